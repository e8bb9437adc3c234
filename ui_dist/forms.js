/** Forms for events, made from the shapes of their schemas. */

import { choice, draw, focusField, h } from "./dom.js";
import { complaint, complaints, fill, plain, pretty, reach, read, shapeOf } from "./json.js";

let forms = 0;

export function eventForm({ submit, onsubmit, oninput }) {
  const node = Object.assign(document.createElement("form"), { className: "event-form", noValidate: true, onsubmit: send });
  const name = `form-${(forms += 1)}`;
  let offered = [];
  let single = false;
  let type = "";
  let shape = { kind: "absent" };
  let draft = null;
  let raw = null;
  let errors = {};
  let server = "";
  let busy = false;

  function paint() {
    const titles = offered.map(({ title }) => h("option", { value: title }, title));
    draw(
      node,
      h("div.modes", h("select", { "aria-label": "Event type", hidden: single, value: type, onchange: ({ target }) => choose(target.value) }, titles), choice("Input as", ["Form", "JSON"], raw === null ? "Form" : "JSON", turn)),
      raw === null
        ? widget(shape, draft, (value) => (draft = value), "fields", [])
        : h("textarea.code", { "aria-label": "Fields as JSON", "aria-invalid": errors[""] && "true", spellcheck: "false", rows: 6, value: raw, oninput: ({ target }) => changed((raw = target.value)) }),
      h("p.problem", { role: "alert", key: "alert" }, errors[""]),
      h("div.row", { key: "row" }, h("button.primary", { type: "submit", disabled: busy || offered.length === 0 }, submit)),
    );
  }

  function widget(shape, draft, give, label, path) {
    const key = path.join(".");
    const words = key ? errors[key] : undefined;
    const id = `${name}-${key}`;
    const typed = (value) => changed(give(value));
    if (shape.kind === "union") return union(shape, draft, give, label, path);
    const typing = { "aria-label": label, "aria-invalid": words && "true", "aria-describedby": words && id, autocomplete: "off", spellcheck: "false", value: draft, oninput: ({ target }) => typed(target.value) };
    return h("div.control", { key: shape.kind }, CONTROLS[shape.kind]?.(shape, typing, typed) ?? GROUPS[shape.kind]?.(shape, draft, label, path), words && h("p.problem", { id }, words));
  }

  const GROUPS = {
    object: ({ fields }, draft, _label, path) => h("div.fields", fields.map((one) => fieldRow(one, widget(one.shape, draft[one.name], (value) => (draft[one.name] = value), one.name, [...path, one.name])))),
    list: ({ item }, draft, label, path) => rows(draft, label, "Add", () => fill(item), (one, at) => widget(item, one, (value) => (draft[at] = value), `${label} ${at + 1}`, [...path, String(at)])),
    dict: ({ value: item }, draft, label, path) =>
      rows(draft, label, "Add a field", () => ["", fill(item)], (row) => [
        h("input.key", { placeholder: "name", "aria-label": `Name in ${label}`, autocomplete: "off", value: row[0], oninput: ({ target }) => changed((row[0] = target.value)) }),
        widget(item, row[1], (value) => (row[1] = value), `Value in ${label}`, [...path, row[0]]),
      ]),
  };

  function rows(draft, label, more, empty, row) {
    const add = ({ target }) => {
      changed(draft.push(empty()));
      focusField(target.closest(".list").firstChild.lastChild);
    };
    const remove = (at) => ({ target }) => {
      target.closest(".list").lastChild.focus();
      changed(draft.splice(at, 1));
    };
    return h(
      "div.list",
      h("ul.items", draft.map((one, at) => h("li", row(one, at), h("button.icon", { "aria-label": `Remove from ${label}`, key: "remove", onclick: remove(at) }, "×")))),
      h("button.link", { onclick: add }, more, h("span.unseen", ` to ${label}`)),
    );
  }

  function union({ choices }, draft, give, label, path) {
    const choose = ({ target }) => {
      const at = target.selectedIndex;
      changed(give({ at, part: fill(choices[at].shape) }));
      focusField(target.nextSibling);
    };
    const { shape } = choices[draft.at];
    return h(
      "div.union",
      h("select", { "aria-label": `Kind of ${label}`, value: String(draft.at), onchange: choose }, choices.map((one, at) => h("option", { value: at }, one.label))),
      shape.kind !== "const" && widget(shape, draft.part, (value) => (draft.part = value), label, path),
    );
  }

  function changed() {
    paint();
    const json = current({});
    if (json !== null) oninput?.(json);
  }

  function current(found) {
    const json = raw ?? read(shape, draft, (path, words) => (found[path.join(".")] = words));
    if (raw !== null && complaint(raw)) found[""] = complaint(raw);
    return Object.keys(found).length > 0 ? null : json;
  }

  function checked() {
    errors = {};
    const json = current(errors);
    paint();
    if (json === null) node.querySelector("[aria-invalid]")?.focus();
    return json;
  }
  function send(event) {
    event.preventDefault();
    const json = busy || offered.length === 0 ? null : checked();
    if (json !== null) onsubmit(type, json);
  }
  function turn(word) {
    const json = checked();
    if (json === null || (word === "JSON") === (raw !== null)) return;
    if (raw === null) raw = pretty(json);
    else show(json);
    paint();
  }
  function show(json) {
    raw = null;
    draft = fill(shape, json);
  }
  function choose(title, json) {
    type = title;
    const found = shapeOf(offered.find((one) => one.title === title) ?? {});
    // Events without fields take any; people who answer are expected to give a `response`.
    const free = { kind: "dict", value: { kind: "any" }, json: title === "HumanResponseEvent" ? '{"response":""}' : undefined };
    shape = found.fields?.length > 0 ? found : free;
    errors = {};
    show(json);
    paint();
  }

  return {
    node,
    fill: (json) => choose(type, json),
    offer(schemas, fixed = false) {
      offered = schemas;
      single = fixed;
      choose(schemas[0]?.title ?? "");
    },
    draw({ error = "", busy: sending = false } = {}) {
      if (error === server && sending === busy) return;
      busy = sending;
      paint();
      if (error !== server) {
        server = error;
        errors = {};
        const open = [];
        for (const [path, about] of server ? complaints(server) : []) {
          const found = raw === null ? reach(shape, draft, path).join(".") : "";
          if (found) errors[found] = about;
          else open.push([path.join("."), about].filter(Boolean).join(": "));
        }
        if (open.length > 0) errors[""] = open.join("\n");
        paint();
        if (server) (node.querySelector("[aria-invalid]") ?? node.elements[0]).focus();
      }
    },
  };
}

const CONTROLS = {
  string: ({ long, format, max }, typing) => h(long ? "textarea" : "input", { type: format === "date" && format, maxlength: max, ...typing }),
  number: ({ integer, min, max }, typing) => h("input.short", { type: "number", step: integer ? 1 : "any", min, max, ...typing }),
  boolean: (_shape, { value, ...typing }, typed) => h("input", { ...typing, type: "checkbox", checked: value, oninput: ({ target }) => typed(target.checked) }),
  enum: ({ options }, typing) => h("select", typing, options.map((json) => h("option", { value: json }, plain(json)))),
  any: (_shape, typing) => h("textarea", { rows: 1, placeholder: "JSON or text", ...typing }),
  const: ({ json }) => h("code", plain(json)),
};

function fieldRow({ name, required, type, description, shape }, part) {
  const deep = ["object", "list", "dict"].includes(shape.kind);
  const about = [deep || shape.kind === "union" ? "" : type, description].filter(Boolean).join(" · ");
  return h(`div.field${deep ? ".nested" : ""}`, { key: name }, h("div.head", h("span.label", { onclick: ({ target }) => focusField(target.closest(".field")) }, name, required && h("span.required", "*")), h("span.soft", about)), part);
}

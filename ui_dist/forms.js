/**
 * Forms for events, made from the shapes of their schemas. What is typed becomes JSON text digit by digit.
 *
 * A widget has a `node`; `read()` gives the JSON text of its value (`undefined`: left out) or throws `Wrong`;
 * `fill(json)` shows a value; `find(path)` gives the widget there, as deep as there is one; `told(words)` says what is
 * wrong with it; `each(act)` visits all within; `focus()`.
 */

import { attribute, h, memo, text } from "./dom.js";
import { complaint, elements, members, pretty } from "./json.js";
import { complaints, fits, shapeOf } from "./schema.js";

let count = 0;

class Wrong extends Error {}

const widget = (shape, label) => WIDGETS[shape.kind](shape, label);
const plain = (json) => (json?.[0] === '"' ? JSON.parse(json) : (json ?? ""));
const flat = (json) => (json?.[0] === "{" ? members(json).flatMap(([name, inner]) => (name === "_data" ? members(inner) : [[name, inner]])) : []);
const object = (entries) => `{${entries.filter(([, json]) => json !== undefined).map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(",")}}`;
const changed = (node) => node.dispatchEvent(new Event("input", { bubbles: true }));

/** A widget around one control. */
function control(shape, input, read, show) {
  const problem = h("p", { class: "problem", id: `problem-${(count += 1)}` });
  const self = {
    node: h("div", { class: "control" }, input, problem),
    read: () => read((words) => Object.assign(new Wrong(words), { part: self })),
    fill: (json) => show(json ?? shape.json),
    find: () => self,
    focus: () => input.focus(),
    told(words) {
      text(problem, words);
      attribute(input, "aria-invalid", words ? "true" : null);
      attribute(input, "aria-describedby", words ? problem.id : null);
    },
    each: (act) => act(self),
  };
  return self;
}

/** A widget of widgets; `parts()` gives them by key. */
function group(node, { parts, focus = () => parts()[0]?.[1].focus(), ...rest }) {
  const problem = h("p", { class: "problem" });
  node.append(problem);
  const self = {
    node,
    ...rest,
    find: ([key, ...deeper]) => parts().find(([name]) => name === key)?.[1].find(deeper) ?? self,
    focus,
    told: (words) => text(problem, words),
    each(act) {
      act(self);
      for (const [, part] of parts()) part.each(act);
    },
  };
  return self;
}

/** Rows that can be added and removed; with `keys`, each has a name. */
function rows(shape, item, label, keys) {
  const all = [];
  const box = h(keys ? "ul" : "ol", { class: "items" });
  const more = h("button", { type: "button", class: "add", onclick: () => (add().focus(), changed(box)) }, keys ? "Add a field" : "Add", h("span", { class: "unseen" }, ` to ${label}`));
  function add(json, key = "") {
    const name = keys && h("input", { type: "text", class: "key", placeholder: "name", "aria-label": `Name in ${label}`, autocomplete: "off" });
    const part = widget(item, keys ? `Value in ${label}` : `${label} ${all.length + 1}`);
    const remove = h("button", { type: "button", class: "icon", "aria-label": `Remove from ${label}`, onclick: drop }, "×");
    const row = { name, part, node: h("li", {}, name, part.node, remove) };
    function drop() {
      all.splice(all.indexOf(row), 1);
      row.node.remove();
      more.focus();
      changed(box);
    }
    if (name) name.value = key;
    part.fill(json);
    all.push(row);
    box.append(row.node);
    return name || part;
  }
  const parts = () => all.map(({ name, part }, at) => [keys ? name.value : String(at), part]).filter(([key]) => key !== "");
  return group(h("div", { class: "list" }, box, more), {
    parts,
    focus: () => (all[0]?.name || all[0]?.part || more).focus(),
    read: () => (keys ? object(parts().map(([key, part]) => [key, part.read()])) : `[${parts().map(([, part]) => part.read() ?? "null")}]`),
    fill(given) {
      const json = given ?? shape.json;
      for (const row of all.splice(0)) row.node.remove();
      if (keys) for (const [key, one] of flat(json)) add(one, key);
      else for (const one of json?.[0] === "[" ? elements(json) : Array(shape.min).fill()) add(one);
    },
  });
}

const WIDGETS = {
  string(shape, label) {
    const { long, format, min, max } = shape;
    const limits = { maxlength: max, "aria-label": label, autocomplete: "off", spellcheck: "false" };
    const input = long ? h("textarea", { rows: 2, ...limits }) : h("input", { type: { email: "email", uri: "url", date: "date" }[format] ?? "text", ...limits });
    return control(shape, input, () => JSON.stringify(input.value), (json) => (input.value = plain(json)));
  },
  number(shape, label) {
    const { integer, min, max } = shape;
    const input = h("input", { type: "number", class: "short", step: integer ? 1 : "any", min, max, "aria-label": label });
    const read = (wrong) => {
      const { badInput, rangeUnderflow, rangeOverflow, stepMismatch } = input.validity;
      if (badInput || input.value === "" || (integer && stepMismatch)) throw wrong(`Enter a ${integer ? "whole " : ""}number.`);
      if (rangeUnderflow) throw wrong(`At least ${min}.`);
      if (rangeOverflow) throw wrong(`At most ${max}.`);
      // JSON has no "+", no leading zeros, and digits on both sides of the point.
      return input.value.replace("+", "").replace(/^(-?)0+(?=\d)/, "$1").replace(/^(-?)\./, "$10.").replace(/\.(?=e|$)/i, "");
    };
    return control(shape, input, read, (json) => (input.value = json ?? min ?? 0));
  },
  boolean(shape, label) {
    const input = h("input", { type: "checkbox", "aria-label": label });
    return control(shape, input, () => String(input.checked), (json) => (input.checked = json === "true"));
  },
  enum(shape, label) {
    const input = h("select", { "aria-label": label }, ...shape.options.map((json) => h("option", { value: json }, plain(json))));
    return control(shape, input, () => input.value, (json) => (input.value = shape.options.includes(json) ? json : shape.options[0]));
  },
  const: (shape) => control(shape, h("code", {}, plain(shape.json)), () => shape.json, () => {}),
  absent: (shape) => control(shape, h("span"), () => undefined, () => {}),
  any(shape, label) {
    const input = h("textarea", { rows: 1, placeholder: "JSON or text", "aria-label": label, spellcheck: "false" });
    const read = () => {
      try {
        JSON.parse(input.value);
        return input.value.trim();
      } catch {
        return JSON.stringify(input.value);
      }
    };
    // Text that could be taken for JSON keeps its quotation marks.
    return control(shape, input, read, (json) => {
      input.value = plain(json);
      if (json !== undefined && read() !== json) input.value = pretty(json);
    });
  },
  object(shape) {
    const parts = shape.fields.map((one) => [one.name, widget(one.shape, one.name)]);
    return group(h("div", { class: "fields" }, ...shape.fields.map((one, at) => fieldRow(one, parts[at][1]))), {
      parts: () => parts,
      read: () => object(parts.map(([name, part]) => [name, part.read()])),
      fill(json) {
        const given = new Map(flat(json ?? shape.json));
        for (const [name, part] of parts) part.fill(given.get(name));
      },
    });
  },
  list: (shape, label) => rows(shape, shape.item, label, false),
  dict: (shape, label) => rows(shape, shape.value, label, true),
  union(shape, label) {
    const { choices } = shape;
    const select = h("select", { "aria-label": `Kind of ${label}`, onchange: () => (choose(select.selectedIndex), part.focus(), changed(select)) }, ...choices.map((one) => h("option", {}, one.label)));
    const holder = h("div", { class: "control" });
    let part = null;
    function choose(at, json) {
      const { shape: chosen } = choices[at];
      select.selectedIndex = at;
      part = widget(chosen, label);
      part.fill(json);
      holder.replaceChildren(part.node);
      holder.hidden = ["absent", "const"].includes(chosen.kind);
    }
    choose(0);
    return group(h("div", { class: "union" }, select, holder), {
      parts: () => [], // A server names the kind of value it tried, as in `note.str`; that is no key.
      focus: () => select.focus(),
      read: () => part.read(),
      fill(given) {
        const json = given ?? shape.json;
        choose(Math.max(0, choices.findIndex((one) => fits(one.shape, json))), json);
      },
    });
  },
};

function fieldRow({ name, required, type, description, shape }, part) {
  const deep = ["object", "list", "dict"].includes(shape.kind);
  const about = [deep || shape.kind === "union" ? "" : type, description].filter(Boolean).join(" · ");
  const label = h("span", { class: "label", onclick: () => part.focus() }, name, required && h("span", { class: "required", title: "Required" }, "*"));
  return h("div", { class: deep ? "field nested" : "field" }, h("div", { class: "head" }, label, h("span", { class: "soft" }, about)), part.node);
}

/**
 * A form for an event: its type, chosen among those offered, and its fields, as a form or as JSON.
 *
 * @param {{submit: string, extra?: Node, onsubmit: (type: string, json: string) => void, oninput?: (json: string) => void}} options
 * @returns `node`; `offer(schemas, fixed)` sets the types, the first is chosen; `fill(json)`; `draw({error, busy})`
 *   shows the server's complaint at the fields that it is about
 */
export function eventForm({ submit, onsubmit, oninput, extra }) {
  const select = h("select", { "aria-label": "Event type", onchange: () => choose() });
  const modes = ["Form", "JSON"].map((word) => h("button", { type: "button", onclick: () => mode(word === "JSON") }, word));
  const area = h("textarea", { "aria-label": "Fields as JSON", spellcheck: "false", class: "code", rows: 6 });
  const holder = h("div");
  const alert = h("p", { class: "problem", role: "alert" });
  const button = h("button", { class: "primary", type: "submit" }, submit);
  const node = h("form", { class: "event-form", novalidate: true, onsubmit: send, oninput: typed, onkeydown: hasten }, h("div", { class: "modes" }, select, h("div", { class: "switch", role: "group", "aria-label": "Input as" }, ...modes)), holder, alert, h("div", { class: "row" }, button, extra));
  let offered = [];
  let part = null;
  let raw = false;

  function send(event) {
    event.preventDefault();
    const json = button.disabled ? null : read(true);
    if (json !== null) onsubmit(select.value, json);
  }
  function hasten(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send(event);
  }
  function typed(event) {
    const json = event.target === select ? null : read(false);
    if (json !== null) oninput?.(json);
  }
  /** What is typed, as JSON; `null` if it is none, which is told if `aloud`. */
  function read(aloud) {
    if (aloud) tell("");
    try {
      const wrong = raw ? complaint(area.value) : "";
      if (!wrong) return raw ? area.value : part.read();
      if (aloud) tell(wrong);
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      if (aloud) error.part.told(error.message);
      if (aloud) error.part.focus();
    }
    return null;
  }
  function tell(words) {
    const open = [];
    const told = [];
    part?.each((one) => one.told(""));
    for (const [path, about] of words ? complaints(words) : []) {
      const found = raw ? part : part.find(path);
      if (found === part) open.push([path.join("."), about].filter(Boolean).join(": "));
      else told.push(found.told(about) ?? found);
    }
    text(alert, open.join("\n"));
    attribute(area, "aria-invalid", words ? "true" : null);
    if (words) (raw ? area : (told[0] ?? part)).focus();
  }
  function mode(json) {
    const now = json === raw ? null : read(true);
    if (now === null) return;
    raw = json;
    show(now);
  }
  function show(json) {
    modes.forEach((one, at) => attribute(one, "aria-pressed", String(raw === (at === 1))));
    part.fill(json);
    if (raw) area.value = pretty(json ?? part.read());
    attribute(area, "rows", Math.min(18, Math.max(4, area.value.split("\n").length)));
    holder.replaceChildren(raw ? area : part.node);
  }
  function choose(json) {
    const schema = offered.find((one) => one.title === select.value) ?? {};
    const shape = shapeOf(schema);
    // Events without fields take any; people who answer are expected to give a `response`.
    const free = { kind: "dict", value: { kind: "any" }, json: schema.title === "HumanResponseEvent" ? '{"response":""}' : undefined };
    part = widget(shape.fields?.length > 0 ? shape : free, "fields");
    tell("");
    show(json);
  }
  const draw = memo((error) => tell(error));
  return {
    node,
    fill: choose,
    offer(schemas, fixed = false) {
      offered = schemas;
      select.hidden = fixed;
      select.replaceChildren(...schemas.map(({ title }) => h("option", { value: title }, title)));
      choose();
    },
    draw({ error, busy }) {
      if (part) draw(error);
      button.disabled = busy || offered.length === 0;
    },
  };
}

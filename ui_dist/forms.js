/** Places where a person types JSON: one editor, and the form for events that uses it. */

import { attribute, h, text } from "./dom.js";
import { fields, prefilled } from "./schema.js";

const MANY = 200_000; // Characters of JSON that are laid out; the rest only slows the browser.

let count = 0;

/**
 * A form with one JSON editor.
 *
 * @param {{label: string, submit: string, lead?: Node, extra?: Node, onsubmit: (text: string) => void, oninput?: (text: string) => void}} options
 * @returns the form's `node`, `fill(text)`, `value()`, and `draw({error, busy})`, which moves the focus to a new error's editor
 */
export function jsonForm({ label, submit, lead, extra, onsubmit, oninput }) {
  const id = `json-${(count += 1)}`;
  const area = h("textarea", { id, spellcheck: "false", autocapitalize: "off", autocomplete: "off", rows: 4, oninput: changed, onkeydown: hasten });
  const alert = h("p", { class: "problem", role: "alert", id: `${id}-problem` });
  const button = h("button", { class: "primary", type: "submit" }, submit);
  const node = h("form", { class: "json-form", onsubmit: send, novalidate: true }, lead, h("label", { for: id }, label), area, alert, h("div", { class: "row" }, button, extra));

  function send(event) {
    event.preventDefault();
    if (!button.disabled) onsubmit(area.value);
  }
  function hasten(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send(event);
  }
  function changed() {
    fit();
    oninput?.(area.value);
  }
  function fit() {
    attribute(area, "rows", Math.min(16, Math.max(3, area.value.split("\n").length)));
  }
  return {
    node,
    value: () => area.value,
    fill(value) {
      area.value = value;
      fit();
    },
    draw({ error, busy }) {
      const news = error && alert.textContent !== error;
      text(alert, error);
      attribute(area, "aria-invalid", error ? "true" : null);
      attribute(area, "aria-describedby", error ? alert.id : null);
      button.disabled = busy;
      if (news) area.focus();
    },
  };
}

/**
 * A form for an event: its type, chosen among `schemas`, and its fields.
 *
 * @returns like `jsonForm`, with `offer(schemas)` to set the choices; the first is chosen
 */
export function eventForm({ submit, onsubmit, extra }) {
  const id = `type-${(count += 1)}`;
  const select = h("select", { id, onchange: choose });
  const lead = h("div", { class: "field" }, h("label", { for: id }, "Event type"), select);
  const hints = h("div", { class: "wide" });
  const form = jsonForm({ label: "Fields as JSON", submit, lead, extra, onsubmit: (value) => onsubmit(select.value, value) });
  form.node.append(hints);
  let offered = [];

  function choose() {
    const schema = offered.find((one) => one.title === select.value);
    form.fill(prefilled(schema));
    hints.replaceChildren(...(schema ? fieldList(schema) : []));
  }
  return {
    ...form,
    offer(schemas) {
      offered = schemas;
      select.replaceChildren(...schemas.map(({ title }) => h("option", { value: title }, title)));
      if (schemas.length === 0) select.append(h("option", { value: "" }, "No events known"));
      choose();
    },
    draw: ({ error, busy }) => form.draw({ error, busy: busy || offered.length === 0 }),
  };
}

/** The fields of a schema, explained; nothing if it declares none. */
export function fieldList(schema) {
  const found = fields(schema);
  if (found.length === 0) return [];
  const rows = found.map(({ name, type, required, description }) =>
    h("div", {}, h("dt", {}, h("code", {}, name), required && h("span", { class: "required" }, "required")), h("dd", {}, h("span", { class: "type" }, type), description && ` ${description}`)),
  );
  return [h("dl", { class: "fields", "aria-label": "Fields" }, ...rows)];
}

/** JSON laid out and coloured, as the content of a `pre`. */
export function coloured(json, layout) {
  const cut = json.length > MANY;
  if (cut) return [json.slice(0, MANY), `\n… ${(json.length - MANY).toLocaleString("en")} more characters`];
  const pieces = layout(json);
  if (pieces.length > 4000) return [pieces.map(([, piece]) => piece).join("")];
  return pieces.map(([kind, piece]) => (kind === "plain" ? piece : h("span", { class: `json-${kind}` }, piece)));
}

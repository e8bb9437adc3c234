/**
 * What a JSON schema asks of a person, and what the person has given.
 *
 * A *shape* is one of string {long, format, max} · number {integer, min, max} · boolean · enum {options} · const ·
 * list {item, min} · dict {value} · object {fields} · union {choices} · absent · any, each with the `json` text to begin with.
 * A *draft* is what was typed for a shape: text, `true` or `false`, an object of drafts, a list of drafts, a list of
 * `[key, draft]`, and for a union `{at, part}`. Drafts become JSON text digit by digit.
 */

import { fieldsOf, members, object, plain, pretty } from "./json.js";

const DEEP = 6; // A schema may refer to itself; nobody fills in deeper forms anyway.
const LONG = /prompt|text|body|content|message|description|comment|note|query/i; // Names of fields for more than a line.
const WORDS = { string: "text", integer: "whole number", boolean: "yes or no", null: "none", undefined: "anything" };

/** The shape of `schema`, the value of field `name`; references are looked up in `root`. */
export function shapeOf(schema, root = schema, name = "", depth = 0) {
  const node = resolve(schema, root);
  const given = "default" in node ? node.default : node.examples?.[0];
  const inner = (one, label = name) => shapeOf(one, root, label, depth + 1);
  return { ...bare(node, name, inner, root, depth), ...(given !== undefined && { json: JSON.stringify(given) }) };
}

function bare(node, name, inner, root, depth) {
  const { type, format, minimum, maximum, exclusiveMinimum, exclusiveMaximum, maxLength: max, additionalProperties: more } = node;
  const choices = node.anyOf ?? node.oneOf;
  if (depth > DEEP) return { kind: "any" };
  if ("const" in node || type === "null") return { kind: "const", json: JSON.stringify(node.const ?? null) };
  if (node.enum) return { kind: "enum", options: node.enum.map((one) => JSON.stringify(one)) };
  if (choices) return { kind: "union", choices: choices.map((one) => ({ label: titleOf(one, root), shape: inner(one) })) };
  if (type === "string") return { kind: type, long: !format && (max > 200 || LONG.test(name)), format, max };
  if (type === "integer" || type === "number") return { kind: "number", integer: type === "integer", min: minimum ?? exclusiveMinimum, max: maximum ?? exclusiveMaximum };
  if (type === "boolean") return { kind: type };
  if (type === "array" && !node.prefixItems) return { kind: "list", item: inner(node.items ?? {}), min: node.minItems ?? 0 };
  if (node.properties) return { kind: "object", fields: Object.entries(node.properties).map(([key, one]) => field(key, one, node, inner(one, key), root)) };
  if (type === "object") return { kind: "dict", value: inner(typeof more === "object" ? more : {}) };
  return { kind: "any" };
}

/** A field that is neither required nor has a default may be left out: then the workflow decides. */
function field(name, schema, parent, shape, root) {
  const required = parent.required?.includes(name) ?? false;
  const about = { name, required, type: titleOf(schema, root), description: resolve(schema, root).description ?? "" };
  if (required || shape.json !== undefined) return { ...about, shape };
  const choices = shape.choices ?? [{ label: about.type, shape }];
  return { ...about, shape: { kind: "union", choices: [{ label: "not given", shape: { kind: "absent" } }, ...choices] } };
}

/** What kind of value a schema wants, in a word or two. */
export function titleOf(schema, root) {
  const node = resolve(schema, root);
  const choices = node.anyOf ?? node.oneOf;
  if (node.enum) return "choice";
  if ("const" in node) return String(node.const);
  if (choices) return [...new Set(choices.map((one) => titleOf(one, root)))].join(" or ");
  if (node.type === "array") return node.items ? `list of ${titleOf(node.items, root)}` : "list";
  return node.type === "object" ? (node.title ?? "object") : (WORDS[node.type] ?? node.type);
}

/** Follow `$ref`s into `root`; the siblings of a reference (a default, a description) win. */
function resolve(schema, root) {
  let node = schema;
  for (let hops = 0; hops < DEEP && (node.$ref || node.allOf?.length === 1); hops += 1) {
    const { $ref, allOf, ...siblings } = node;
    const names = $ref?.slice(2).split("/").map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
    node = { ...(names ? names.reduce((at, name) => at?.[name], root) : allOf[0]), ...siblings };
  }
  return node;
}

/** Whether a value (JSON text, or `undefined` for none) looks as if it belonged to `shape`. */
export function fits(shape, json) {
  const { kind } = shape;
  if (json === undefined || kind === "absent") return json === undefined && kind === "absent";
  if (kind === "const") return json === shape.json;
  if (kind === "enum") return shape.options.includes(json);
  if (kind === "union") return shape.choices.some((one) => fits(one.shape, json));
  if (kind === "object") return json[0] === "{" && shape.fields.every(({ name, required }) => !required || Object.hasOwn(JSON.parse(json), name));
  return ({ string: /^"/, number: /^[-\d]/, boolean: /^[tf]/, list: /^\[/, dict: /^\{/ }[kind] ?? /^/).test(json);
}

/** The draft that shows a value (JSON text), or without one what the schema begins with. */
export function fill(shape, value) {
  const json = value ?? shape.json;
  const given = () => fieldsOf(json);
  switch (shape.kind) {
    case "boolean":
      return json === "true";
    case "number":
      return json ?? String(shape.min ?? 0);
    case "enum":
      return shape.options.includes(json) ? json : shape.options[0];
    case "any": // Text that could be taken for JSON keeps its quotation marks.
      return json === undefined || asJson(plain(json)) === json ? plain(json) : pretty(json);
    case "list":
      return json?.[0] === "[" ? members(json).map(([, one]) => fill(shape.item, one)) : Array.from({ length: shape.min }, () => fill(shape.item));
    case "dict":
      return given().map(([key, one]) => [key, fill(shape.value, one)]);
    case "object":
      return Object.fromEntries(shape.fields.map((one) => [one.name, fill(one.shape, new Map(given()).get(one.name))]));
    case "union": {
      const at = Math.max(0, shape.choices.findIndex((one) => fits(one.shape, json)));
      return { at, part: fill(shape.choices[at].shape, json) };
    }
    default:
      return plain(json);
  }
}

/** The parts of a draft: `[key, shape, draft]`. */
function parts(shape, draft) {
  if (shape.kind === "object") return shape.fields.map((one) => [one.name, one.shape, draft[one.name]]);
  if (shape.kind === "list") return draft.map((one, at) => [String(at), shape.item, one]);
  return shape.kind === "dict" ? draft.filter(([key]) => key !== "").map(([key, one]) => [key, shape.value, one]) : [];
}

/** The JSON text of a draft; `undefined` leaves it out. `wrong(path, words)` is told what can't be sent. */
export function read(shape, draft, wrong, path = []) {
  const inner = () => parts(shape, draft).map(([key, one, part]) => [key, read(one, part, wrong, [...path, key])]);
  switch (shape.kind) {
    case "string":
      return JSON.stringify(draft);
    case "boolean":
      return String(draft);
    case "number":
      return number(shape, draft, (words) => wrong(path, words));
    case "const":
      return shape.json;
    case "any":
      return asJson(draft);
    case "list":
      return `[${inner().map(([, json]) => json ?? "null")}]`;
    case "dict":
    case "object":
      return object(inner());
    case "union":
      return read(shape.choices[draft.at].shape, draft.part, wrong, path);
    case "enum":
      return draft;
  }
}

function number({ integer, min, max }, typed, wrong) {
  const value = Number(typed);
  if (typed === "" || Number.isNaN(value) || (integer && !Number.isInteger(value))) wrong(`Enter a ${integer ? "whole " : ""}number.`);
  else if (value < min) wrong(`At least ${min}.`);
  else if (value > max) wrong(`At most ${max}.`);
  // JSON has no "+", no leading zeros, and digits on both sides of the point.
  return typed.replace("+", "").replace(/^(-?)0+(?=\d)/, "$1").replace(/^(-?)\./, "$10.").replace(/\.(?=e|$)/i, "");
}

function asJson(typed) {
  try {
    JSON.parse(typed);
    return typed.trim();
  } catch {
    return JSON.stringify(typed);
  }
}

/** How far `path` leads into a draft: a server also names the kind of value that it tried, as in `note.str`. */
export function reach(shape, draft, path) {
  if (shape.kind === "union") return reach(shape.choices[draft.at].shape, draft.part, path);
  const found = parts(shape, draft).find(([key]) => key === path[0]);
  return found ? [path[0], ...reach(found[1], found[2], path.slice(1))] : [];
}

/**
 * The server's complaint about an event, taken apart: `[[path, words], …]`, the path empty if it belongs to no field.
 * It has the form "…: Order.customer.name: Field required; Order.items.0: …".
 */
export function complaints(detail) {
  const text = detail.replace(/^.*?Failed to deserialize event: /s, "");
  if (text === detail) return [[[], detail]];
  return text.split(/; (?=\w+(?:\.[^:; ]+)*: )/).map((one) => {
    const [, path, words] = /^\w+((?:\.[^:; ]+)+): (.*)$/s.exec(one) ?? [];
    return path ? [path.slice(1).split("."), words] : [[], one.replace(/^\w+: /, "")];
  });
}

/** Schemas of the events that a person may send to a run: answers first, then undeclared ones, what begins or ends a run last. */
export function sendable({ events, graph, start } = {}) {
  if (!events || !graph) return [];
  const rank = ({ title }) => {
    const node = graph.nodes.find((one) => one.event_type === title);
    if (title === "HumanResponseEvent" || node?.event_types?.includes("HumanResponseEvent")) return 0;
    if (!node) return 1;
    return title === "StopEvent" || title === start?.title ? 3 : 2;
  };
  return events.toSorted((a, b) => rank(a) - rank(b));
}

/**
 * What a JSON schema says to a person who has to give a value: the *shape* of a form for it, one of
 *   string {long, format, …} · number {integer, min, max} · boolean · enum {options} · const {json} · list {item, min} ·
 *   dict {value} · object {fields: [{name, required, shape, …}]} · union {choices: [{label, shape}]} · absent · any
 * each with the `json` text to begin with, if the schema has a default.
 */

const DEEP = 6; // A schema may refer to itself; nobody fills in deeper forms anyway.
const LONG = /prompt|text|body|content|message|description|comment|note|query/i; // Names of fields for more than a line.
const WORDS = { string: "text", integer: "whole number", boolean: "yes or no", null: "none", undefined: "anything" };

/** The shape of `schema`, the value of field `name`; references are looked up in `root`. */
export function shapeOf(schema, root = schema, name = "", depth = 0) {
  const node = resolve(schema, root);
  const given = "default" in node ? node.default : node.examples?.[0];
  const shape = bare(node, name, (inner, label = name) => shapeOf(inner, root, label, depth + 1), root, depth);
  return given === undefined ? shape : { ...shape, json: JSON.stringify(given) };
}

function bare(node, name, inner, root, depth) {
  const { type } = node;
  const choices = node.anyOf ?? node.oneOf;
  if (depth > DEEP) return { kind: "any" };
  if ("const" in node || type === "null") return { kind: "const", json: JSON.stringify(node.const ?? null) };
  if (node.enum) return { kind: "enum", options: node.enum.map((one) => JSON.stringify(one)) };
  if (choices) return { kind: "union", choices: choices.map((one) => ({ label: titleOf(one, root), shape: inner(one) })) };
  if (type === "string") return { kind: "string", long: !node.format && (node.maxLength > 200 || LONG.test(name)), format: node.format, min: node.minLength, max: node.maxLength };
  if (type === "integer" || type === "number") return { kind: "number", integer: type === "integer", min: node.minimum ?? node.exclusiveMinimum, max: node.maximum ?? node.exclusiveMaximum };
  if (type === "boolean") return { kind: "boolean" };
  if (type === "array" && !node.prefixItems) return { kind: "list", item: inner(node.items ?? {}), min: node.minItems ?? 0 };
  if (node.properties) return { kind: "object", fields: Object.entries(node.properties).map(([key, one]) => field(key, one, node.required?.includes(key) ?? false, inner(one, key), root)) };
  if (type === "object") return { kind: "dict", value: inner(typeof node.additionalProperties === "object" ? node.additionalProperties : {}) };
  return { kind: "any" };
}

/** A field that is neither required nor has a default may be left out: then the workflow decides. */
function field(name, schema, required, shape, root) {
  const { description = "" } = resolve(schema, root);
  const type = titleOf(schema, root);
  if (required || shape.json !== undefined) return { name, required, shape, type, description };
  const choices = shape.kind === "union" ? shape.choices : [{ label: type, shape }];
  return { name, required, shape: { kind: "union", choices: [{ label: "not given", shape: { kind: "absent" } }, ...choices] }, type, description };
}

/** Whether a value (JSON text, or `undefined` for none) looks as if it belonged to `shape`. */
export function fits(shape, json) {
  if (json === undefined || shape.kind === "absent") return json === undefined && shape.kind === "absent";
  if (shape.kind === "const") return json === shape.json;
  if (shape.kind === "enum") return shape.options.includes(json);
  if (shape.kind === "union") return shape.choices.some((one) => fits(one.shape, json));
  if (shape.kind === "object") return json[0] === "{" && shape.fields.every(({ name, required }) => !required || Object.hasOwn(JSON.parse(json), name));
  return ({ string: /^"/, number: /^[-\d]/, boolean: /^[tf]/, list: /^\[/, dict: /^\{/ }[shape.kind] ?? /^/).test(json);
}

/** What kind of value a schema wants, in a word or two. */
export function titleOf(schema, root) {
  const node = resolve(schema, root);
  const choices = node.anyOf ?? node.oneOf;
  if (node.enum) return "choice";
  if ("const" in node) return String(node.const);
  if (choices) return [...new Set(choices.map((one) => titleOf(one, root)))].join(" or ");
  if (node.type === "array") return node.items ? `list of ${titleOf(node.items, root)}` : "list";
  if (node.type === "object") return node.title ?? "object";
  return WORDS[node.type] ?? node.type;
}

/** Follow `$ref`s into `root`; the siblings of a reference (a default, a description) win. */
function resolve(schema, root) {
  let node = schema;
  for (let hops = 0; hops < DEEP && (node.$ref || node.allOf?.length === 1); hops += 1) {
    const { $ref, allOf, ...siblings } = node;
    const names = $ref?.replace(/^#\//, "").split("/");
    const target = names ? names.reduce((at, name) => at?.[name.replaceAll("~1", "/").replaceAll("~0", "~")], root) : allOf[0];
    node = { ...target, ...siblings };
  }
  return node;
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
export function sendable({ events, answers, declared, start }) {
  if (!events || !answers) return [];
  const rank = ({ title }) => {
    if (answers.includes(title) || title === "HumanResponseEvent") return 0;
    if (!declared.includes(title)) return 1;
    return title === "StopEvent" || title === start?.title ? 3 : 2;
  };
  return events.map((schema) => ({ schema, rank: rank(schema) })).sort((a, b) => a.rank - b.rank).map((one) => one.schema);
}

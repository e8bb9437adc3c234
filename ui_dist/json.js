/** JSON as text: a debugger must show what was sent, but `JSON.parse` turns 1250.0 into 1250 and rounds large integers. */

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

export function members(text) {
  const found = [];
  let depth = 0;
  let key;
  let from = -1;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (depth === 1 && ",}]".includes(token)) {
      if (from >= 0) found.push([key, text.slice(from, index).trim()]);
      from = -1;
    } else if (depth === 1 && token === ":") {
      key = JSON.parse(text.slice(from, index));
      from = index + 1;
    } else if (depth === 1 && from < 0) from = index;
    if ("{[".includes(token)) depth += 1;
    if ("}]".includes(token)) depth -= 1;
  }
  return found;
}

export const object = (pairs) => `{${pairs.filter(([, json]) => json !== undefined).map(([key, json]) => `${JSON.stringify(key)}:${json}`)}}`;

export function fieldsOf(value) {
  if (value?.[0] !== "{") return [];
  return members(value).flatMap(([name, json]) => (name === "_data" ? members(json) : [[name, json]]));
}

export function pick(text, ...path) {
  return path.reduce((value, key) => (value?.[0] === "{" ? members(value).find(([name]) => name === key)?.[1] : null) ?? null, text);
}

export const plain = (json) => (json?.[0] === '"' ? JSON.parse(json) : (json ?? ""));

export function changes(before, now) {
  const [old, fresh] = [before ?? now, now].map((text) => new Map(members(text)));
  return [...new Set([...fresh.keys(), ...old.keys()])].map((key) => [key, fresh.get(key), old.get(key)]);
}

export function pretty(text) {
  const tokens = text.match(TOKEN) ?? [];
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  return tokens.map((token, at) => {
    if ("}]".includes(token)) {
      depth -= 1;
      return "{[".includes(tokens[at - 1]) ? token : line() + token;
    }
    if ("{[".includes(token)) depth += 1;
    if (token === "," || ("{[".includes(token) && !"}]".includes(tokens[at + 1]))) return token + line();
    return token === ":" ? ": " : token;
  }).join("");
}

export function complaint(text) {
  try {
    return JSON.parse(text)?.constructor === Object ? "" : 'Enter a JSON object such as {"name": "Ada"}; {} stands for no input.';
  } catch (error) {
    return `This is not valid JSON. ${error.message}.`;
  }
}

export function startBody(input, handler, type) {
  // Fields whose names would be mistaken for those of an envelope go into one.
  const mistakable = ["value", "data", "type", "qualified_name"].some((name) => Object.hasOwn(JSON.parse(input), name));
  const event = mistakable && type ? object([["type", JSON.stringify(type)], ["value", input]]) : input;
  return object([["start_event", event], ["handler_id", handler ? JSON.stringify(handler) : undefined]]);
}

const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export const asCurl = (base, workflow, input, type) => `curl -X POST ${shell(`${base}workflows/${encodeURIComponent(workflow)}/run-nowait`)} \\
  -H 'Content-Type: application/json' \\
  -d ${shell(startBody(input, null, type))}`;

/** A text as a Python literal; JSON's escapes are Python's, too. */
const python = (text) => JSON.stringify(text).replace(/[\u007f-\uffff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);

export const asPython = (base, workflow, input) => `import asyncio
import json

from llama_agents.client import WorkflowClient

INPUT = json.loads(${python(input)})

async def main():
    client = WorkflowClient(base_url=${python(base.replace(/\/$/, ""))})
    handler = await client.run_workflow_nowait(${python(workflow)}, start_event=INPUT)
    async for event in client.get_workflow_events(handler.handler_id):
        print(event)

asyncio.run(main())
`;

// What a JSON schema asks of a person (a *shape*), and what the person has given (a *draft*).

const DEEP = 6;
const LONG = /prompt|text|body|message|description|comment|note/i;
const WORDS = { string: "text", integer: "whole number", boolean: "yes or no", null: "none", undefined: "anything" };

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

function field(name, schema, parent, shape, root) {
  const required = parent.required?.includes(name) ?? false;
  const about = { name, required, type: titleOf(schema, root), description: resolve(schema, root).description ?? "" };
  if (required || shape.json !== undefined) return { ...about, shape };
  const choices = shape.choices ?? [{ label: about.type, shape }];
  return { ...about, shape: { kind: "union", choices: [{ label: "not given", shape: { kind: "absent" } }, ...choices] } };
}

export function titleOf(schema, root) {
  const node = resolve(schema, root);
  const choices = node.anyOf ?? node.oneOf;
  if (node.enum) return "choice";
  if ("const" in node) return String(node.const);
  if (choices) return [...new Set(choices.map((one) => titleOf(one, root)))].join(" or ");
  if (node.type === "array") return node.items ? `list of ${titleOf(node.items, root)}` : "list";
  return node.type === "object" ? (node.title ?? "object") : (WORDS[node.type] ?? node.type);
}

function resolve(schema, root) {
  let node = schema;
  for (let hops = 0; hops < DEEP && (node.$ref || node.allOf?.length === 1); hops += 1) {
    const { $ref, allOf, ...siblings } = node;
    const names = $ref?.slice(2).split("/").map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
    node = { ...(names ? names.reduce((at, name) => at?.[name], root) : allOf[0]), ...siblings };
  }
  return node;
}

export function fits(shape, json) {
  const { kind } = shape;
  if (json === undefined || kind === "absent") return json === undefined && kind === "absent";
  if (kind === "const") return json === shape.json;
  if (kind === "enum") return shape.options.includes(json);
  if (kind === "union") return shape.choices.some((one) => fits(one.shape, json));
  if (kind === "object") return json[0] === "{" && shape.fields.every(({ name, required }) => !required || Object.hasOwn(JSON.parse(json), name));
  return ({ string: /^"/, number: /^[-\d]/, boolean: /^[tf]/, list: /^\[/, dict: /^\{/ }[kind] ?? /^/).test(json);
}

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

function parts(shape, draft) {
  if (shape.kind === "object") return shape.fields.map((one) => [one.name, one.shape, draft[one.name]]);
  if (shape.kind === "list") return draft.map((one, at) => [String(at), shape.item, one]);
  return shape.kind === "dict" ? draft.filter(([key]) => key !== "").map(([key, one]) => [key, shape.value, one]) : [];
}

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
  return asJson(typed)[0] === '"' ? String(value) : typed; // JSON knows no "+5", "007" and ".5".
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

export function complaints(detail) {
  const text = detail.replace(/^.*?Failed to deserialize event: /s, "");
  if (text === detail) return [[[], detail]];
  return text.split(/; (?=\w+(?:\.[^:; ]+)*: )/).map((one) => {
    const [, path, words] = /^\w+((?:\.[^:; ]+)+): (.*)$/s.exec(one) ?? [];
    return path ? [path.slice(1).split("."), words] : [[], one.replace(/^\w+: /, "")];
  });
}

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

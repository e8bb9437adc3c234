/**
 * JSON as text. A debugger must show what was sent, but `JSON.parse` turns 1250.0 into 1250 and rounds large integers; so
 * values are cut out of the text, and laid out as text. The text is expected to be valid, as the server sends it.
 */

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** What the object or list in `text` holds, in order: pairs of the decoded key (in a list, `undefined`) and the value's text. */
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

/** The object with these pairs of a key and a value's text; those whose text is `undefined` are left out. */
export const object = (pairs) => `{${pairs.filter(([, json]) => json !== undefined).map(([key, json]) => `${JSON.stringify(key)}:${json}`)}}`;

/** The fields of an event's value, free-form extras (which are dumped as `_data`) among them. */
export function fieldsOf(value) {
  if (value?.[0] !== "{") return [];
  return members(value).flatMap(([name, json]) => (name === "_data" ? members(json) : [[name, json]]));
}

/** The text of the value at `path` (keys of nested objects), or `null` if there is none. */
export function pick(text, ...path) {
  return path.reduce((value, key) => (value?.[0] === "{" ? members(value).find(([name]) => name === key)?.[1] : null) ?? null, text);
}

/** A value as people read it: a string without its quotation marks. */
export const plain = (json) => (json?.[0] === '"' ? JSON.parse(json) : (json ?? ""));

/** What became of the object `before` (or `null`): `[key, is, was]` for each key of both texts, `undefined` where it is not. */
export function changes(before, now) {
  const [old, fresh] = [before ?? now, now].map((text) => new Map(members(text)));
  return [...new Set([...fresh.keys(), ...old.keys()])].map((key) => [key, fresh.get(key), old.get(key)]);
}

/** `text` over lines, as pairs of a kind (`key`, `string`, `number`, `word` or `plain`) and a text. */
export function layout(text) {
  const tokens = text.match(TOKEN) ?? [];
  const out = [];
  let depth = 0;
  const line = () => out.push(["plain", `\n${"  ".repeat(depth)}`]);
  tokens.forEach((token, at) => {
    const [opens, closes] = ["{[".includes(token), "}]".includes(token)];
    if (closes) depth -= 1;
    if (closes && !"{[".includes(tokens[at - 1])) line();
    out.push([kindOf(token, tokens[at + 1]), token]);
    if (opens) depth += 1;
    if (token === "," || (opens && !"}]".includes(tokens[at + 1]))) line();
    if (token === ":") out.push(["plain", " "]);
  });
  return out;
}

export const pretty = (text) => layout(text).map(([, piece]) => piece).join("");

function kindOf(token, next) {
  if (token[0] === '"') return next === ":" ? "key" : "string";
  if ("{}[],:".includes(token)) return "plain";
  return /^[-\d]/.test(token) ? "number" : "word";
}

/** What is wrong with a text where a JSON object belongs, in a sentence; nothing if it is one. */
export function complaint(text) {
  if (text.trim() === "") return "Enter a JSON object; {} stands for no input.";
  try {
    const value = JSON.parse(text);
    if (value?.constructor === Object) return "";
    const kind = Array.isArray(value) ? "a list" : value === null ? "null" : `a ${typeof value}`;
    return `Expected a JSON object such as {"name": "Ada"}, but this is ${kind}.`;
  } catch (error) {
    return `This is not valid JSON. ${error.message}.`;
  }
}

/** What to send to start a run with `input` (JSON text), continuing `handler` if given. */
export function startBody(input, handler, type) {
  // Fields whose names would be mistaken for those of an envelope go into one.
  const mistakable = ["value", "data", "type", "qualified_name"].some((name) => Object.hasOwn(JSON.parse(input), name));
  const event = mistakable && type ? object([["type", JSON.stringify(type)], ["value", input]]) : input;
  return object([["start_event", event], ["handler_id", handler ? JSON.stringify(handler) : undefined]]);
}

const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** `curl` for starting `workflow` at the server `base` (which ends in a slash). */
export const asCurl = (base, workflow, input, type) => `curl -X POST ${shell(`${base}workflows/${encodeURIComponent(workflow)}/run-nowait`)} \\
  -H 'Content-Type: application/json' \\
  -d ${shell(startBody(input, null, type))}`;

/** A text as a Python literal; JSON's escapes are Python's, too. */
const python = (text) => JSON.stringify(text).replace(/[\u007f-\uffff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** The same in Python, with the client that people have, and following the run's events. */
export const asPython = (base, workflow, input) => `import asyncio
import json

from llama_agents.client import WorkflowClient

INPUT = json.loads(${python(input)})


async def main() -> None:
    client = WorkflowClient(base_url=${python(base.replace(/\/$/, ""))})
    handler = await client.run_workflow_nowait(${python(workflow)}, start_event=INPUT)
    async for event in client.get_workflow_events(handler.handler_id):
        print(event.type, event.value)


asyncio.run(main())
`;

/**
 * JSON as text.
 *
 * A debugger must show what was sent. `JSON.parse` turns 1250.0 into 1250 and rounds large
 * integers, so values are cut out of the text and laid out as text, never parsed and printed again.
 * The functions expect valid JSON, as the server sends it.
 */

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** The members of the object in `text`, in order, as pairs of the decoded key and the value's text. */
export function members(text) {
  const found = [];
  let depth = 0;
  let key = null;
  let from = -1;
  for (const match of text.matchAll(TOKEN)) {
    const token = match[0];
    if (depth === 1 && from >= 0 && (token === "," || token === "}")) {
      found.push([key, text.slice(from, match.index).trim()]);
      key = null;
      from = -1;
    }
    if (token === "{" || token === "[") depth += 1;
    else if (token === "}" || token === "]") depth -= 1;
    else if (depth === 1 && from < 0 && token === ":") from = match.index + 1;
    else if (depth === 1 && from < 0 && token[0] === '"') key = JSON.parse(token);
  }
  return found;
}

/** The texts of the elements of the list in `text`. */
export function elements(text) {
  const found = [];
  let depth = 0;
  let from = -1;
  for (const match of text.matchAll(TOKEN)) {
    const token = match[0];
    if (depth === 1 && (token === "," || token === "]")) {
      if (from >= 0) found.push(text.slice(from, match.index).trim());
      from = -1;
    }
    if (depth === 1 && from < 0 && token !== "," && token !== "]") from = match.index;
    if (token === "{" || token === "[") depth += 1;
    else if (token === "}" || token === "]") depth -= 1;
  }
  return found;
}

/** Which keys of the object `now` are new, changed or gone since `before` (both JSON text): `[key, was, is]`. */
export function changes(before, now) {
  const [old, fresh] = [new Map(members(before)), new Map(members(now))];
  const found = [];
  for (const [key, is] of fresh) if (old.get(key) !== is) found.push([key, old.get(key) ?? null, is]);
  for (const [key, was] of old) if (!fresh.has(key)) found.push([key, was, null]);
  return found;
}

/** The text of the value at `path` (keys of nested objects), or `null` if there is none. */
export function pick(text, ...path) {
  let value = text;
  for (const key of path) {
    if (value === null || !value.startsWith("{")) return null;
    value = members(value).find(([name]) => name === key)?.[1] ?? null;
  }
  return value;
}

/**
 * `text` laid out over lines, as pairs of kind and text; the kinds are `key`, `string`, `number`,
 * `word` (true, false, null) and `plain` (punctuation and white space).
 */
export function layout(text) {
  const tokens = [...text.matchAll(TOKEN)].map((match) => match[0]);
  const out = [];
  let depth = 0;
  tokens.forEach((token, at) => {
    const opens = token === "{" || token === "[";
    const closes = token === "}" || token === "]";
    const empty = (opens && "}]".includes(tokens[at + 1] ?? " ")) || (closes && "{[".includes(tokens[at - 1] ?? " "));
    if (closes) depth -= 1;
    if (closes && !empty) out.push(["plain", newline(depth)]);
    out.push([kindOf(token, tokens[at + 1]), token]);
    if (opens) depth += 1;
    if ((opens && !empty) || token === ",") out.push(["plain", newline(depth)]);
    if (token === ":") out.push(["plain", " "]);
  });
  return out;
}

/** `text` laid out over lines, as one string. */
export function pretty(text) {
  return layout(text).map(([, piece]) => piece).join("");
}

const newline = (depth) => `\n${"  ".repeat(depth)}`;

function kindOf(token, next) {
  if (token[0] === '"') return next === ":" ? "key" : "string";
  if ("{}[],:".includes(token)) return "plain";
  return /^[-\d]/.test(token) ? "number" : "word";
}

/**
 * Check what a person typed where a JSON object belongs.
 *
 * Returns a sentence that says what is wrong, or an empty string if `text` is an object.
 */
export function complaint(text) {
  if (text.trim() === "") return "Enter a JSON object; {} stands for no input.";
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `This is not valid JSON. ${located(error.message, text)}`;
  }
  const kind = Array.isArray(value) ? "a list" : value === null ? "null" : `a ${typeof value}`;
  return kind === "a object" ? "" : `Expected a JSON object such as {"name": "Ada"}, but this is ${kind}.`;
}

/** Engines differ: some tell a line and column, some only a position, which nobody counts by hand. */
function located(message, text) {
  const at = /at position (\d+)/.exec(message);
  if (!at || /line \d+/.test(message)) return `${message}.`;
  const before = text.slice(0, Number(at[1])).split("\n");
  return message.replace(at[0], `at line ${before.length}, column ${before.at(-1).length + 1}`) + ".";
}

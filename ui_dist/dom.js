/** The few things that drawing needs. Text always goes in as text, never as markup. */

const SVG = "http://www.w3.org/2000/svg";
const MANY = 200_000; // Characters of JSON that are laid out; the rest only slows the browser.

/** Make an element: `on…` properties are listeners, the others attributes; `false`, `null` and `undefined` are left out. */
export const h = (tag, properties = {}, ...children) => fill(document.createElement(tag), properties, children);

/** The same for drawings. */
export const s = (tag, properties = {}, ...children) => fill(document.createElementNS(SVG, tag), properties, children);

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return node;
}

/** Set an attribute, or remove it if `value` is `null` or `false`. */
export function attribute(node, name, value) {
  if (value === null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Set an element's text if it differs, so that live regions speak only when there is news. */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

/** Return a function that calls `draw` with its arguments unless they are the same as last time. */
export function memo(draw) {
  let last = null;
  return (...now) => {
    if (last && now.length === last.length && now.every((value, at) => Object.is(value, last[at]))) return;
    last = now;
    draw(...now);
  };
}

/** Make the children of `parent` those of `items`, keeping the elements (and their focus) of known keys. */
export function keyed(parent, items, keyOf, create, change = () => {}) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let before = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    const node = old.get(key) ?? create(item);
    old.delete(key);
    node.dataset.key = key;
    change(node, item);
    if (node === before) before = before.nextSibling;
    else parent.insertBefore(node, before);
  }
  for (const node of old.values()) node.remove();
}

/** JSON laid out and coloured, as the content of a `pre`. */
export function coloured(json, layout) {
  if (json.length > MANY) return [json.slice(0, MANY), `\n… ${(json.length - MANY).toLocaleString("en")} more characters`];
  const pieces = layout(json);
  if (pieces.length > 4000) return [pieces.map(([, piece]) => piece).join("")];
  return pieces.map(([kind, piece]) => (kind === "plain" ? piece : h("span", { class: `json-${kind}` }, piece)));
}

/** Pairs of a name and what belongs to it. */
export const pairs = (...found) => h("dl", { class: "pairs" }, ...found.filter(Boolean).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

/** Put `value` into the clipboard and say so on the button. Pages without encryption may not ask for the clipboard. */
export async function copy(value, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(value);
  } catch {
    const area = h("textarea", { class: "unseen" });
    area.value = value;
    button.parentNode.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  text(button, "Copied");
  setTimeout(() => text(button, before), 1200);
}

const TIME = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const EXACT = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
const DAY = new Intl.DateTimeFormat([], { day: "numeric", month: "short" });

/** A time of day, with the date if it is not today's. */
export function clock(iso, now, exact = false) {
  const date = new Date(iso);
  const today = date.toDateString() === new Date(now).toDateString();
  const told = (exact ? EXACT : TIME).format(date);
  return today ? told : `${DAY.format(date)}, ${told}`;
}

/** How long something took, from milliseconds. */
export function span(ms) {
  if (!(ms >= 0)) return "0 ms";
  if (ms < 9.95) return `${Number(ms.toFixed(ms < 0.995 ? 2 : 1))} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(ms < 10_000 ? 2 : 1))} s`;
  const minutes = Math.floor(ms / 60_000);
  const seconds = Math.floor((ms % 60_000) / 1000);
  if (minutes < 60) return seconds ? `${minutes} min ${seconds} s` : `${minutes} min`;
  if (minutes < 2880) return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

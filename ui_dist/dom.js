/** The few things that drawing needs. Text always goes in as text, never as markup. */

/** Make an element: `on…` properties are listeners, the others attributes; `false`, `null` and `undefined` are left out. */
export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
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
    if (last && now.every((value, at) => Object.is(value, last[at]))) return;
    last = now;
    draw(...now);
  };
}

/** Make the children of `parent` those of `items`, keeping the elements (and their focus) of known keys. */
export function keyed(parent, items, keyOf, create, change) {
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

const TIME = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat([], { day: "numeric", month: "short" });

/** A time of day, with the date if it is not today's. */
export function clock(iso, now) {
  const date = new Date(iso);
  const today = date.toDateString() === new Date(now).toDateString();
  return today ? TIME.format(date) : `${DAY.format(date)}, ${TIME.format(date)}`;
}

/** How long something took, from milliseconds. */
export function span(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(ms < 10_000 ? 2 : 1))} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Drawing: views describe what should be there, and `draw` touches only what differs. Text goes in as text, never as markup. */

import { pretty } from "./json.js";

const MANY = 200_000;
const TYPED = ["value", "checked"]; // People change these, too.

/** Describe an element: `on…` are listeners, `style` is an object, `key` tells apart what may change places. */
export function h(name, ...children) {
  const [tag, ...classes] = name.split(".");
  const properties = children[0]?.constructor === Object && !children[0].tag ? children.shift() : {};
  return { tag, children, properties: { type: tag === "button" && tag, class: classes.join(" ") || null, ...properties } };
}

export function draw(parent, ...children) {
  const wanted = new Map();
  children.flat().forEach((child, at) => {
    if (child === 0 || child) wanted.set(child.tag ? `${child.tag} ${child.properties.key ?? at}` : child instanceof Node ? child : at, child);
  });
  const known = new Map();
  for (const node of [...parent.childNodes]) {
    if (wanted.has(node.key)) known.set(node.key, node);
    else node.remove();
  }
  let next = parent.firstChild;
  for (const [key, child] of wanted) {
    const node = known.get(key) ?? create(child, parent);
    node.key = key;
    change(node, child);
    if (node === next) next = node.nextSibling;
    else parent.insertBefore(node, next);
  }
}

function create(child, parent) {
  if (child instanceof Node) return child;
  if (!child.tag) return new Text();
  return document.createElementNS(child.tag === "svg" ? "http://www.w3.org/2000/svg" : parent.namespaceURI, child.tag);
}

function change(node, now) {
  const before = node.drawn;
  if (node === now || before === now) return;
  node.drawn = now;
  if (!now.tag) {
    node.nodeValue = now;
    return;
  }
  for (const name of Object.keys({ ...before?.properties, ...now.properties })) {
    const value = now.properties[name];
    if (!TYPED.includes(name) && value !== before?.properties[name]) set(node, name, value);
  }
  draw(node, ...now.children);
  for (const name of TYPED) if (name in now.properties && node[name] !== now.properties[name]) node[name] = now.properties[name];
}

function set(node, name, value) {
  if (name === "modal") queueMicrotask(() => node.showModal());
  else if (name === "style") Object.assign(node.style, value);
  else if (name.startsWith("on")) node[name] = value ?? null;
  else if (name.startsWith("aria-") && typeof value === "boolean") node.setAttribute(name, value);
  else if ((value ?? false) === false) node.removeAttribute(name);
  else if (name !== "key") node.setAttribute(name, value === true ? "" : value);
}

export function memo(make) {
  let last = [];
  let value;
  return (...now) => {
    if (now.length !== last.length || now.some((one, at) => !Object.is(one, last[at]))) value = make(...now);
    last = now;
    return value;
  };
}

export function tabs(label, words, chosen, choose) {
  const names = Object.keys(words);
  const turn = ({ key, currentTarget }) => {
    const step = { ArrowRight: 1, ArrowLeft: names.length - 1 }[key];
    if (!step) return;
    const next = (names.indexOf(chosen) + step) % names.length;
    choose(names[next]);
    currentTarget.children[next].focus();
  };
  const tab = (name) => h("button", { role: "tab", id: `tab-${name}`, "aria-selected": name === chosen, tabindex: name === chosen ? 0 : -1, onclick: () => choose(name) }, words[name]);
  return h("div.tabs", { role: "tablist", "aria-label": label, onkeydown: turn }, names.map(tab));
}

export const choice = (label, words, chosen, choose) => h("div.switch", { role: "group", "aria-label": label }, words.map((word) => h("button", { "aria-pressed": word === chosen, onclick: () => choose(word) }, word)));

export const pairs = (found) => h("dl.pairs", found.filter(Boolean).flatMap(([name, value]) => [h("dt", name), h("dd", value)]));

export const json = (text, label, more = "") => h(`pre${more}`, { tabindex: 0, "aria-label": label }, pretty(text.slice(0, MANY)), text.length > MANY && `\n… ${text.length - MANY} more characters`);

/** A button that copies. The clipboard's own interface is closed to pages without encryption; this old command is not. */
export const copier = (value) => h("button.small", { onclick: ({ target }) => copy(value, target.firstChild) }, "Copy");

function copy(value, words) {
  const put = (event) => (event.clipboardData.setData("text", value), event.preventDefault());
  addEventListener("copy", put, { once: true });
  document.execCommand("copy");
  words.nodeValue = "Copied";
  setTimeout(() => (words.nodeValue = "Copy"), 1200);
}

export const focusField = (node) => node?.querySelector("input, textarea, select")?.focus();

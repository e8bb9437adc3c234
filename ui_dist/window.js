/**
 * A long list of which only the rows near the visible part exist in the document, so that ten thousand cost as much as
 * fifty. All rows have one height. One row can be reached by Tab; the arrow keys, `j` and `k` move from there.
 */

import { attribute, h } from "./dom.js";

const AROUND = 8; // Rows kept above and below the visible part, so that quick scrolling shows no gaps.
const NEAR = 40; // This close to the end counts as reading the newest rows.

/** The rows to draw, from the first up to but not including the last, of `count` rows of this `height` in pixels. */
export function visible(count, height, scrolled, viewport) {
  const first = Math.min(count, Math.max(0, Math.floor(scrolled / height) - AROUND));
  return [first, Math.max(first, Math.min(count, Math.ceil((scrolled + viewport) / height) + AROUND))];
}

/**
 * Make a list.
 *
 * @param {{height: number, label: string, keyOf: (item) => number, create: (item) => Element, change?: (row: Element, item) => void, pick: (item) => void}} options
 *   `create` makes a row's button, `change` brings it up to date, `pick` is told of a click or Enter; keys grow with the index
 * @returns `node` and `draw(items, {selected, follow})`; with `follow`, the newest rows stay in view while they are
 */
export function makeList({ height, label, keyOf, create, change = () => {}, pick }) {
  const list = h("ol", { class: "rows", "aria-label": label });
  const box = h("div", { class: "scroller", onscroll: scrolled, onkeydown: move }, list);
  const jump = h("button", { class: "jump", type: "button", hidden: true, onclick: toEnd }, "Newest ↓");
  const node = h("div", { class: "list-frame" }, box, jump);
  const rows = new Map(); // Rows by key.
  new ResizeObserver(schedule).observe(box);
  let items = [];
  let selected = null;
  let live = false;
  let following = true;
  let current = null; // Key of the row that Tab reaches.
  let waiting = false;

  function draw(next, { selected: chosen, follow }) {
    const news = chosen !== selected && chosen !== null;
    items = next;
    selected = chosen;
    live = follow;
    if (news) current = chosen;
    paint();
    if (news && indexOf(chosen) >= 0) reveal(indexOf(chosen));
    else if (following && live) box.scrollTop = box.scrollHeight;
  }

  function scrolled() {
    following = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
    schedule();
  }

  function schedule() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      paint();
    });
  }

  function paint() {
    const [first, end] = visible(items.length, height, box.scrollTop, box.clientHeight);
    const wanted = new Set();
    list.style.height = `${items.length * height}px`;
    if (indexOf(current) < 0) current = items.length > 0 ? keyOf(items[0]) : null;
    let before = null;
    for (let index = end - 1; index >= first; index -= 1) {
      const item = items[index];
      const key = keyOf(item);
      wanted.add(key);
      const row = rows.get(key) ?? make(item, key);
      if (row.nextSibling !== before || !row.parentNode) list.insertBefore(row, before); // In order, for who reads by ear.
      before = row;
      row.style.transform = `translateY(${index * height}px)`;
      attribute(row, "aria-setsize", items.length);
      attribute(row, "aria-posinset", index + 1);
      row.firstChild.tabIndex = key === current ? 0 : -1;
      attribute(row.firstChild, "aria-current", key === selected ? "true" : null);
      change(row.firstChild, item);
    }
    for (const [key, row] of rows) {
      if (wanted.has(key)) continue;
      row.remove();
      rows.delete(key);
    }
    jump.hidden = !live || following || items.length * height <= box.clientHeight;
  }

  function make(item, key) {
    const button = create(item);
    button.addEventListener("click", () => pick(items[indexOf(key)]));
    button.addEventListener("focus", () => {
      const old = rows.get(current);
      if (old) old.firstChild.tabIndex = -1;
      current = key;
      button.tabIndex = 0;
    });
    const row = h("li", {}, button);
    rows.set(key, row);
    return row;
  }

  function move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    step1(step);
  }

  function step1(step) {
    const at = Math.min(items.length - 1, Math.max(0, indexOf(current) + (list.contains(document.activeElement) ? step : 0)));
    if (!items[at]) return;
    current = keyOf(items[at]);
    reveal(at);
    paint();
    rows.get(current)?.firstChild.focus();
  }

  function reveal(at) {
    if (at * height < box.scrollTop) box.scrollTop = at * height;
    else if ((at + 1) * height > box.scrollTop + box.clientHeight) box.scrollTop = (at + 1) * height - box.clientHeight;
    paint();
  }

  function toEnd() {
    box.scrollTop = box.scrollHeight;
  }

  /** Keys grow, so that an item is found by halving. */
  function indexOf(key) {
    let low = 0;
    let high = items.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = keyOf(items[middle]);
      if (found === key) return middle;
      if (found < key) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  return { node, draw, step: step1 };
}

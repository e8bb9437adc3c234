/** The list of a run's events: only the rows near the visible part exist in the document. */

import { attribute, h } from "./dom.js";
import { coloured } from "./forms.js";
import { layout } from "./json.js";
import { hue, summary } from "./run.js";
import { visible } from "./window.js";

const ROW = 38; // Height of a closed row in pixels, as in the style sheet.
const NEAR = 40; // This close to the end counts as reading the newest events.

/** Make the list. `draw(records, live)` shows these records; while the run is live, the newest stay in view. */
export function makeLog() {
  const list = h("ol", { class: "rows", role: "list" });
  const box = h("div", { class: "log", onscroll: schedule, onkeydown: move }, list);
  const jump = h("button", { class: "jump", type: "button", hidden: true, onclick: toEnd }, "Newest events ↓");
  const node = h("div", { class: "log-frame" }, box, jump);
  const rows = new Map(); // Row elements by sequence.
  const open = new Map(); // Extra heights of open rows by sequence.
  const sizes = new ResizeObserver(measured);
  new ResizeObserver(schedule).observe(box);
  let records = [];
  let live = false;
  let following = true;
  let current = 0; // Sequence of the row that the Tab key reaches.
  let waiting = false;

  function draw(next, isLive) {
    if (next === records && isLive === live) return;
    records = next;
    live = isLive;
    paint();
    if (following && live) box.scrollTop = box.scrollHeight;
  }

  function schedule() {
    following = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      paint();
    });
  }

  function paint() {
    const extras = [...open].map(([sequence, extra]) => ({ index: indexOf(sequence), extra })).filter((one) => one.index >= 0);
    const seen = visible(records.length, ROW, extras.sort((a, b) => a.index - b.index), box.scrollTop, box.clientHeight);
    const wanted = new Set();
    list.style.height = `${seen.total}px`;
    if (indexOf(current) < 0) current = records[0]?.sequence ?? 0;
    for (let index = seen.first; index < seen.end; index += 1) {
      const record = records[index];
      wanted.add(record.sequence);
      const row = rows.get(record.sequence) ?? insert(record, index);
      row.style.transform = `translateY(${seen.top(index)}px)`;
      attribute(row, "aria-setsize", records.length);
      attribute(row, "aria-posinset", index + 1);
      row.firstChild.tabIndex = record.sequence === current ? 0 : -1;
    }
    for (const [sequence, row] of rows) {
      if (!wanted.has(sequence) && (indexOf(sequence) < 0 || !row.contains(document.activeElement))) drop(sequence, row);
    }
    jump.hidden = !live || box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
  }

  function insert(record, index) {
    const row = h("li", {}, head(record));
    rows.set(record.sequence, row);
    // Keep the order of the document that of the events, for those who read it by ear or by Tab.
    const following = records.slice(index + 1, index + 80).find((one) => rows.has(one.sequence));
    list.insertBefore(row, following ? rows.get(following.sequence) : null);
    if (open.has(record.sequence)) expand(row, record);
    return row;
  }

  function head(record) {
    const chip = h("span", { class: `chip ${hue(record)}` }, record.type);
    const number = h("span", { class: "number" }, h("span", { class: "unseen" }, "Event "), String(record.sequence));
    const line = h("span", { class: "summary" }, summary(record));
    const toggle = () => (open.has(record.sequence) ? collapse(record) : expand(rows.get(record.sequence), record));
    return h("button", { class: "event", type: "button", "aria-expanded": "false", onclick: toggle, onfocus: () => focused(record) }, number, chip, line);
  }

  function expand(row, record) {
    const detail = h("pre", { class: "detail", tabindex: 0, "aria-label": `JSON of event ${record.sequence}` }, ...coloured(record.text, layout));
    row.append(detail);
    attribute(row.firstChild, "aria-expanded", "true");
    open.set(record.sequence, open.get(record.sequence) ?? 0);
    sizes.observe(detail);
  }

  function collapse(record) {
    const row = rows.get(record.sequence);
    sizes.unobserve(row.lastChild);
    row.lastChild.remove();
    attribute(row.firstChild, "aria-expanded", "false");
    open.delete(record.sequence);
    paint();
  }

  function drop(sequence, row) {
    if (open.has(sequence)) sizes.unobserve(row.lastChild);
    row.remove();
    rows.delete(sequence);
  }

  function measured(entries) {
    for (const [sequence, row] of rows) {
      if (open.has(sequence) && entries.some((entry) => entry.target === row.lastChild)) open.set(sequence, row.offsetHeight - ROW);
    }
    paint();
  }

  function focused(record) {
    const before = rows.get(current);
    if (before) before.firstChild.tabIndex = -1;
    current = record.sequence;
    rows.get(current).firstChild.tabIndex = 0;
  }

  function move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !event.target.matches(".event")) return;
    const next = records[indexOf(current) + step];
    if (!next) return;
    event.preventDefault();
    rows.get(next.sequence)?.firstChild.focus();
  }

  function toEnd() {
    box.scrollTop = box.scrollHeight;
  }

  /** Sequences grow, so that a record is found by halving. */
  function indexOf(sequence) {
    let low = 0;
    let high = records.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = records[middle].sequence;
      if (found === sequence) return middle;
      if (found < sequence) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  return { node, draw };
}

/** The waterfall: a row for each execution of a step, a bar for each stretch of its time. */

import { attribute, h, span, text } from "./dom.js";
import { errorName, tint } from "./tell.js";
import { durations, rowsOf, scale } from "./timeline.js";
import { makeList } from "./window.js";

const WORDS = { queued: "queued", running: "running", waiting: "waits for an answer", done: "done", failed: "failed", stopped: "stopped" };
const DOTS = 80; // Published events drawn on a bar.

const percent = (x) => `${(x * 100).toFixed(3)}%`;

/** Make the waterfall; `draw(run, now, settings, focus, seq)` brings it up to date. */
export function makeTimeline(dispatch) {
  const fold = h("input", { type: "checkbox", onchange: () => dispatch({ type: "set", name: "fold", value: fold.checked }) });
  const count = h("span", { class: "count" });
  const legend = h("span", { class: "legend", "aria-hidden": "true" }, ...["queued", "running", "waiting", "failed"].map((kind) => h("span", {}, h("i", { class: `stretch ${kind}` }), kind)));
  const axis = h("div", { class: "axis", "aria-hidden": "true" });
  const grid = h("div", { class: "grid", "aria-hidden": "true" });
  const none = h("p", { class: "hint" });
  let now = 0;
  let line = null;
  const list = makeList({ height: 32, label: "Executions of steps", keyOf: (one) => one.sequence, create, change, pick: (one) => dispatch({ type: "look", seq: one.sequence, pane: "details" }) });
  const frame = h("div", { class: "waterfall" }, axis, grid, list.node);
  const node = h("section", { class: "view timeline", "aria-label": "Timeline" }, h("div", { class: "bar" }, count, legend, h("label", { class: "check" }, fold, "Fold idle time")), none, frame);

  function create(item) {
    const name = h("span", { class: "label" }, h("span", { class: "step" }, item.step), h("span", { class: "soft" }, item.input));
    return h("button", { class: `exec hue-${tint(item.step)}`, type: "button" }, name, h("span", { class: "track" }));
  }

  function change(row, item) {
    const key = `${line.key} ${item.is} ${item.spans.length} ${item.marks.length} ${item.spans.at(-1)?.to === null ? now : ""}`;
    if (row.dataset.drawn === key) return;
    row.dataset.drawn = key;
    const spans = item.spans.filter((one) => one.kind !== "delayed" || one.to !== null);
    const track = spans.map((one) => {
      const [x, end] = [line.at(one.from), line.at(one.to ?? now)];
      const kind = one.failure ? "failed" : one.cut ? "cut" : one.kind;
      const bar = h("i", { class: `stretch ${kind}${one.to === null ? " open" : ""}`, title: title(one) }, one.kind === "running" && one.attempt > 1 && end - x > 0.03 ? String(one.attempt) : "");
      bar.style.left = percent(x);
      bar.style.width = percent(end - x);
      return bar;
    });
    const places = new Set(item.marks.map((at) => Math.round(line.at(at) * 400)));
    for (const place of [...places].slice(0, DOTS)) {
      const dot = h("i", { class: "dot" });
      dot.style.left = percent(place / 400);
      track.push(dot);
    }
    const last = spans.at(-1);
    const [x, end] = last ? [line.at(spans[0].from), line.at(last.to ?? now)] : [0, 1];
    if (x > 0.14 || end < 0.86) track.push(tail(item, x, end)); // Else there is no room for words.
    row.lastChild.replaceChildren(...track);
    const took = durations(item, now);
    attribute(row, "aria-label", `${item.step}, ${item.input}${item.output ? ` to ${item.output}` : ""}, ${WORDS[item.is]}${item.attempt > 1 ? `, attempt ${item.attempt}` : ""}, ${span(took.running)}`);
    attribute(row, "data-is", item.is);
  }

  function title({ kind, from, to, attempt, failure, cut }) {
    const end = failure ? ` – ${errorName(failure)}: ${failure.exception_message}` : cut ? " – stopped" : "";
    return `${kind === "delayed" ? "waits for the next attempt" : kind}${attempt > 1 ? `, attempt ${attempt}` : ""}: ${span((to ?? now) - from)}${end}`;
  }

  /** How long it worked, behind the bars, or before them where there is no room. */
  function tail(item, x, end) {
    const took = durations(item, now);
    const words = item.is === "waiting" ? "waits" : item.is === "queued" ? "queued" : span(took.running);
    const note = h("span", { class: "took" }, words);
    if (end > 0.86) {
      note.classList.add("before");
      note.style.right = percent(1 - x);
    } else note.style.left = percent(end);
    return note;
  }

  return {
    node,
    step: list.step,
    draw(run, at, settings, focus, seq) {
      now = at;
      const rows = rowsOf(run, focus);
      const began = run.events[0]?.at ?? at;
      line = scale(run.items.values(), began, Math.max(at, began), settings.fold);
      line.key = `${line.ms} ${settings.fold} ${run.id}`;
      fold.checked = settings.fold;
      text(count, `${rows.length.toLocaleString("en")} ${rows.length === 1 ? "execution" : "executions"}`);
      none.hidden = rows.length > 0;
      frame.hidden = rows.length === 0;
      text(none, focus ? "No execution matches." : run.stream === "done" ? "No step has run." : "No step has run yet.");
      axis.replaceChildren(...line.ticks.filter((tick) => tick.x < 0.93).map(({ x, ms }) => mark("b", x, ms === 0 ? "0" : span(ms))), ...line.folds.map((one) => foldMark(one)));
      grid.replaceChildren(...line.ticks.map(({ x }) => mark("i", x, "")), ...line.folds.map(({ x, width }) => foldLine(x, width)));
      list.draw(rows, { selected: selectedItem(run, seq), follow: run.stream !== "done" });
    },
  };
}

/** The sequence by which the execution is known that event `seq` belongs to. */
export function selectedItem(run, seq) {
  const one = seq === null ? null : run.events[seq];
  return one?.item === null || !one ? null : (run.items.get(one.item)?.sequence ?? null);
}

function mark(tag, x, words) {
  const node = h(tag, {}, words);
  node.style.left = percent(x);
  return node;
}

function foldMark({ x, width, ms }) {
  const node = h("em", { title: `${span(ms)} without work` }, span(ms));
  node.style.left = percent(x + width / 2);
  return node;
}

function foldLine(x, width) {
  const node = h("u");
  node.style.left = percent(x);
  node.style.width = percent(width);
  return node;
}

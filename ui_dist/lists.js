/** The two long lists of a run, its executions and its events. */

import { draw, h, memo } from "./dom.js";
import { durations, lasting, scale, visible } from "./layout.js";
import { ended } from "./run.js";
import { clock, count, errorWords, hue, matching, rowsOf, span, summary, tint } from "./tell.js";

const NEAR = 40; // Pixels from the end that count as reading the newest rows.

/**
 * A list of which only the rows near the visible part exist in the document, so that ten thousand cost as much as fifty.
 * One row can be reached by Tab; the arrow keys, `j` and `k` move from there. Items are known by their `sequence`.
 *
 * @param {string} label what the list is called
 * @param {number} height of each row, in pixels
 * @param {(item) => void} pick is told of a click or Enter
 * @returns `node`; `step(by)`; `draw(items, row, selected, live)`: `row` makes an item's button (a new function makes all
 *   anew); while `live`, the newest rows stay in view if they are
 */
function makeList(label, height, pick) {
  const node = Object.assign(document.createElement("div"), { className: "list-frame" });
  let [items, row, selected, live] = [[], null, null, false];
  let made = new WeakMap();
  let following = true;
  let current = null; // Sequence of the row that Tab reaches.
  new ResizeObserver(paint).observe(node);

  const indexOf = (sequence) => items.findIndex((one) => one.sequence === sequence);

  function paint() {
    const [first, end] = visible(items.length, height, node.firstChild?.scrollTop ?? 0, node.clientHeight);
    if (indexOf(current) < 0) current = items[0]?.sequence;
    const rows = items.slice(first, end).map((item, at) => h("li", { key: item.sequence, "aria-setsize": items.length, "aria-posinset": first + at + 1 }, button(item)));
    draw(
      node,
      h("div.scroller", { onscroll: scrolled, onkeydown: move }, h("ol.rows", { "aria-label": label, style: { height: `${items.length * height}px`, paddingTop: `${first * height}px` } }, rows)),
      h("button.jump", { hidden: !live || following || items.length * height <= node.clientHeight, onclick: () => reveal(items.length - 1) }, "Newest ↓"),
    );
  }

  function button(item) {
    const { sequence } = item;
    if (!made.has(item)) made.set(item, row(item));
    const { properties, ...rest } = made.get(item);
    const now = { tabindex: sequence === current ? 0 : -1, "aria-current": sequence === selected ? "true" : null, onclick: () => pick(item), onfocus: () => sequence !== current && paint((current = sequence)) };
    return { ...rest, properties: { ...properties, ...now } };
  }

  function scrolled({ target: { scrollHeight, scrollTop, clientHeight } }) {
    following = scrollHeight - scrollTop - clientHeight < NEAR;
    paint();
  }

  function move(event) {
    const by = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    step(by);
  }

  function step(by) {
    const at = Math.min(items.length - 1, Math.max(0, indexOf(current) + (node.contains(document.activeElement) ? by : 0)));
    if (!items[at]) return;
    current = items[at].sequence;
    reveal(at);
    node.querySelector("[tabindex='0']").focus();
  }

  function reveal(at) {
    const box = node.firstChild;
    box.scrollTop = Math.min(at * height, Math.max(box.scrollTop, (at + 1) * height - node.clientHeight));
    paint();
  }

  return {
    node,
    step,
    draw: memo((...next) =>
      queueMicrotask(() => {
        // Now it is in the document, and has a height.
        const [, nextRow, chosen] = next;
        const news = chosen !== selected && chosen !== null;
        if (nextRow !== row) made = new WeakMap();
        [items, row, selected, live] = next;
        if (news) current = selected;
        paint();
        const at = news ? indexOf(selected) : following && live ? items.length - 1 : -1;
        if (at >= 0) reveal(at);
      }),
    ),
  };
}

const checkbox = (word, checked, choose) => h("label.check", h("input", { type: "checkbox", checked, onchange: ({ target }) => choose(target.checked) }), word);

/** The list of events; `draw(state)` describes it. */
export function makeEvents(dispatch) {
  const list = makeList("Events", 34, ({ sequence }) => dispatch({ type: "look", seq: sequence, pane: "details" }));
  const found = memo(matching);
  let run = null;

  function row({ sequence, at, type, ...one }) {
    const before = run.events[sequence - 1];
    const when = Number.isFinite(at) && h("time", { title: `${clock(at, at, 3)} · ${span(at - before?.at)} after the event before` }, `+${span(at - run.events[0].at)}`);
    return h("button.event", h("span.number", h("span.unseen", "Event "), sequence), when, h(`span.chip.${hue({ type, ...one })}`, type), h("span.summary", summary(one)));
  }

  return {
    step: list.step,
    draw(state, seq) {
      const { settings, focus, words } = state;
      run = state.run;
      const records = found(run, settings.internal, focus, words);
      const all = settings.internal ? run.events.length : run.shown.length;
      const hidden = run.events.length - all;
      const none = words || focus ? "No event matches." : hidden > 0 ? `Nothing but ${hidden} internal events so far.` : run.stream === "done" ? "This run has no events." : "No events yet.";
      list.node.hidden = records.length === 0;
      list.draw(records, row, seq, run.stream !== "done" && !ended(run));
      return h(
        "section.view.events",
        { "aria-label": "Events" },
        h(
          "div.bar",
          h("input", { type: "search", placeholder: "Filter events", "aria-label": "Filter events", value: words, oninput: ({ target }) => dispatch({ type: "show", words: target.value }) }),
          h("span.count", records.length === all ? "" : `${records.length.toLocaleString("en")} of `, all.toLocaleString("en")),
          checkbox("Internal events", settings.internal, (value) => dispatch({ type: "set", name: "internal", value })),
          h("button.link", { onclick: () => save(run) }, "Download"),
        ),
        records.length === 0 && h("p.hint", none),
        list.node,
      );
    },
  };
}

/** All events as a file, a line for each. */
function save({ id, events }) {
  const file = URL.createObjectURL(new Blob(events.flatMap((one) => [one.text, "\n"]), { type: "application/x-ndjson" }));
  Object.assign(document.createElement("a"), { href: file, download: `${id}.ndjson` }).click();
  setTimeout(() => URL.revokeObjectURL(file), 10_000);
}

const STATES = { queued: "queued", running: "running", waiting: "waits for an answer", done: "done", failed: "failed", stopped: "stopped" };
const percent = (x) => `${(x * 100).toFixed(3)}%`;
const between = (x, end) => ({ left: percent(x), width: percent(end - x) });

/** The waterfall: a row for each execution of a step, a bar for each stretch of its time; `draw(state, now)` describes it. */
export function makeTimeline(dispatch) {
  const list = makeList("Executions of steps", 32, ({ sequence }) => dispatch({ type: "look", seq: sequence, pane: "details" }));
  const rows = memo((items, focus) => rowsOf({ items }, focus));
  const line = memo((items, began, now, fold) => {
    const found = scale(items.values(), began, now, fold);
    return { ...found, row: (item) => execution(item, found, now) };
  });
  const axis = memo((line) => [
    h(
      "div.axis",
      { "aria-hidden": "true" },
      line.ticks.filter((tick) => tick.x < 0.93).map(({ x, ms }) => h("b", { style: { left: percent(x) } }, ms === 0 ? "0" : span(ms))),
      line.folds.map(({ x, width, ms }) => h("em", { title: `${span(ms)} without work`, style: { left: percent(x + width / 2) } }, span(ms))),
    ),
    h("div.grid", line.ticks.map(({ x }) => h("i", { style: { left: percent(x) } })), line.folds.map(({ x, width }) => h("u", { style: between(x, x + width) }))),
  ]);

  return {
    step: list.step,
    draw({ run, settings, focus }, seq, now) {
      const items = rows(run.items, focus);
      const began = run.events[0]?.at ?? now;
      const shown = line(run.items, began, Math.max(now, began), settings.fold);
      list.draw(items, shown.row, run.items.get(run.events[seq]?.item)?.sequence ?? null, run.stream !== "done");
      return h(
        "section.view.timeline",
        { "aria-label": "Timeline" },
        h(
          "div.bar",
          h("span.count", count(items.length, "execution")),
          h("span.legend", { "aria-hidden": "true" }, ["queued", "running", "waiting", "failed"].map((kind) => h("span", h(`i.stretch.${kind}`), kind))),
          checkbox("Fold idle time", settings.fold, (value) => dispatch({ type: "set", name: "fold", value })),
        ),
        items.length === 0 && h("p.hint", focus ? "No execution matches." : run.stream === "done" ? "No step has run." : "No step has run yet."),
        h("div.waterfall", { hidden: items.length === 0 }, axis(shown), list.node),
      );
    },
  };
}

function execution(item, line, now) {
  const { step, input, output, is, attempt } = item;
  const spans = item.spans.filter(lasting);
  const [x, end] = spans.length > 0 ? [line.at(spans[0].from), line.at(spans.at(-1).to ?? now)] : [0, 1];
  const worked = span(durations(item, now).running);
  // How long it worked, behind the bars, or before them where there is no room.
  const place = end <= 0.86 ? { left: percent(end) } : { right: percent(1 - x) };
  const took = (x > 0.14 || end < 0.86) && h("span.took", { style: { left: "auto", right: "auto", ...place } }, { waiting: "waits", queued: "queued" }[is] ?? worked);
  return h(
    `button.exec.${tint(step)}`,
    { "aria-label": `${step}, ${input}${output ? ` to ${output}` : ""}, ${STATES[is]}${attempt > 1 ? `, attempt ${attempt}` : ""}, ${worked}` },
    h("span.label", h("span.step", step), h("span.soft", input)),
    h("span.track", spans.map((one) => bar(one, line, now)), took),
  );
}

function bar({ kind, from, to, attempt, failure, cut }, line, now) {
  const [x, end] = [line.at(from), line.at(to ?? now)];
  const why = failure ? ` – ${errorWords(failure)}` : cut ? " – stopped" : "";
  const title = `${kind === "delayed" ? "waits for the next attempt" : kind}${attempt > 1 ? `, attempt ${attempt}` : ""}: ${span((to ?? now) - from)}${why}`;
  const look = failure ? "failed" : cut ? "cut" : kind;
  return h(`i.stretch.${look}${to === null ? ".open" : ""}`, { title, style: between(x, end) }, kind === "running" && attempt > 1 && end - x > 0.03 ? attempt : "");
}

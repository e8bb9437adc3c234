/** What the middle of the page shows of a run: its executions, its graph and its events. */

import { draw, h, memo } from "./dom.js";
import { durations, lasting, place, scale, visible } from "./layout.js";
import { clock, count, ended, hue, matching, rowsOf, span, summary, tally, tint } from "./run.js";

/** A list of which only the rows in sight are in the document. `row` makes an item's button; a new function makes all anew. */
function makeList(label, height, dispatch) {
  const node = Object.assign(document.createElement("div"), { className: "list-frame" });
  let [items, row, selected, live] = [[], null, null, false];
  let made = new WeakMap();
  let following = true;
  new ResizeObserver(paint).observe(node);

  const indexOf = (sequence) => items.findIndex((one) => one.sequence === sequence);

  function paint() {
    const [first, end] = visible(items.length, height, node.firstChild?.scrollTop ?? 0, node.clientHeight);
    const reached = items[Math.max(0, indexOf(selected))];
    const rows = items.slice(first, end).map((item, at) => {
      if (!made.has(item)) made.set(item, row(item));
      const { properties, ...rest } = made.get(item);
      const now = { tabindex: item === reached ? 0 : -1, "aria-current": item.sequence === selected ? "true" : null, onclick: () => dispatch("look", { seq: item.sequence, pane: "details" }) };
      return h("li", { key: item.sequence, "aria-setsize": items.length, "aria-posinset": first + at + 1 }, { ...rest, properties: { ...properties, ...now } });
    });
    draw(
      node,
      h("div.scroller", { onscroll: scrolled, onkeydown: move }, h("ol.rows", { "aria-label": label, style: { height: `${items.length * height}px`, paddingTop: `${first * height}px` } }, rows)),
      h("button.jump", { hidden: !live || following || items.length * height <= node.clientHeight, onclick: () => reveal(items.length - 1) }, "Newest ↓"),
    );
  }

  function scrolled({ target: { scrollHeight, scrollTop, clientHeight } }) {
    following = scrollHeight - scrollTop - clientHeight < height;
    paint();
  }

  function move(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    step(by);
  }

  function step(by) {
    const at = indexOf(selected);
    const next = at < 0 ? 0 : at + by;
    if (!items[next]) return;
    selected = items[next].sequence;
    reveal(next); // At once: the next key may come before the next frame.
    node.querySelector("[aria-current]").focus();
    dispatch("look", { seq: selected });
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
        const news = next[2] !== selected;
        if (next[1] !== row) made = new WeakMap();
        [items, row, selected, live] = next;
        paint();
        const at = news ? indexOf(selected) : following && live ? items.length - 1 : -1;
        if (at >= 0) reveal(at);
      }),
    ),
  };
}

const checkbox = (word, checked, choose) => h("label.check", h("input", { type: "checkbox", checked, onchange: ({ target }) => choose(target.checked) }), word);

export function makeEvents(dispatch) {
  const list = makeList("Events", 34, dispatch);
  const found = memo(matching);
  let run = null;

  function row({ sequence, at, type, ...one }) {
    const before = run.events[sequence - 1];
    const when = Number.isFinite(at) && h("time", { title: `${clock(at, at, 3)}, ${span(at - before?.at)} after the last` }, `+${span(at - run.events[0].at)}`);
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
        "div.view.events",
        h(
          "div.bar",
          h("input", { type: "search", placeholder: "Filter events", "aria-label": "Filter events", value: words, oninput: ({ target }) => dispatch("show", { words: target.value }) }),
          h("span.count", records.length === all ? "" : `${count(records.length)} of `, count(all)),
          checkbox("Internal events", settings.internal, (value) => dispatch("set", { name: "internal", value })),
          h("button.link", { onclick: () => save(run) }, "Download"),
        ),
        records.length === 0 && h("p.hint", none),
        list.node,
      );
    },
  };
}

function save({ id, events }) {
  const file = URL.createObjectURL(new Blob(events.flatMap((one) => [one.text, "\n"]), { type: "application/x-ndjson" }));
  Object.assign(document.createElement("a"), { href: file, download: `${id}.ndjson` }).click();
  setTimeout(() => URL.revokeObjectURL(file), 10_000);
}

const percent = (x) => `${(x * 100).toFixed(3)}%`;
const between = (x, end) => ({ left: percent(x), width: percent(end - x) });

export function makeTimeline(dispatch) {
  const list = makeList("Executions of steps", 32, dispatch);
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
      line.folds.map(({ x, width, ms }) => h("em", { style: { left: percent(x + width / 2) } }, span(ms))),
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
        "div.view.timeline",
        h(
          "div.bar",
          h("span.count", count(items.length, "execution")),
          h("span.legend", { "aria-hidden": "true" }, ["queued", "running", "waiting", "failed"].map((kind) => h("span", h(`i.stretch.${kind}`), kind))),
          checkbox("Fold idle time", settings.fold, (value) => dispatch("set", { name: "fold", value })),
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
  const place = end < 0.86 ? { left: percent(end), right: "auto" } : { left: "auto", right: percent(1 - x) };
  const took = (x > 0.14 || end < 0.86) && h("span.took", { style: place }, is === "queued" || is === "waiting" ? is : worked);
  return h(
    `button.exec.${tint(step)}`,
    { "aria-label": `${step}, ${input}${output ? ` to ${output}` : ""}, ${is}${attempt > 1 ? `, attempt ${attempt}` : ""}, ${worked}` },
    h("span.label", h("span.step", step), h("span.soft", input)),
    h("span.track", spans.map((one) => bar(one, line, now)), took),
  );
}

function bar({ kind, from, to, attempt, failure, cut }, line, now) {
  const [x, end] = [line.at(from), line.at(to ?? now)];
  const look = failure ? "failed" : cut ? "cut" : kind;
  return h(`i.stretch.${look}${to === null ? ".open" : ""}`, { style: between(x, end) }, kind === "running" && attempt > 1 && end - x > 0.03 && attempt);
}

const EDGE = 24;

export function makeGraph(dispatch) {
  const plan = memo(place);
  const counted = memo((items, shown) => tally({ items, shown }));

  return (details, run, focus) => {
    if (!details?.graph) return h("div.view.graph", h("p.hint", details?.error ? "The workflow is no longer served." : "Loading…"));
    const { nodes, edges, width, height } = plan(details.graph);
    const { steps, types } = counted(run.items, run.shown);
    const seen = (id) => id === "external_step" || Boolean(steps[id] ?? types[id]);
    const size = [width + EDGE * 2, height + EDGE * 2];
    return h(
      "div.view.graph",
      h(
        "svg",
        { viewBox: [-EDGE, -EDGE, ...size].join(" "), width: size[0], style: { minWidth: `${size[0] * 0.6}px` }, role: "group", "aria-label": "Steps and events" },
        h("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 3, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, h("path", { d: "M0 .8L6.5 4L0 7.2z" })),
        edges.map(({ source, target, path, back }) => h(`path.edge${back ? ".back" : ""}`, { d: path, "marker-end": "url(#arrow)", "data-seen": String(seen(source) && seen(target)) })),
        nodes.map((one) => drawNode(one, steps, types, focus, dispatch)),
      ),
    );
  };
}

function drawNode({ node, x, y, w, h: tall }, steps, types, focus, dispatch) {
  const { node_type: kind, label, description } = node;
  const step = kind === "step";
  const person = kind === "external";
  const name = person ? "a person" : label;
  const found = step ? steps[label] : null;
  const times = (step ? found?.count : types[label]) ?? 0;
  const state = found ? STATES.filter((word) => found[word]).slice(0, 2).map((word) => `${found[word]} ${word}`).join(", ") || "done" : "not run yet";
  const is = STATES.find((word) => found?.[word]) ?? (times > 0 ? "seen" : "unseen");
  const pick = () => dispatch("show", { focus: { kind: step ? "step" : "type", name: label } });
  const active = { role: "button", tabindex: 0, "aria-label": `${step ? "Step" : "Event"} ${label}, ${times} times${found ? `, ${state}` : ""}`, "aria-pressed": focus?.name === label, onclick: pick, onkeydown: ({ key }) => key === "Enter" && pick() };
  const left = -w / 2;
  return h(
    `g.node.${kind}${step ? `.${tint(label)}` : ""}`,
    { transform: `translate(${x} ${y})`, "data-is": is, ...(person ? { role: "img", "aria-label": name } : active) },
    h("title", [name, description].filter(Boolean).join("\n")),
    h("rect", { x: left, y: -tall / 2, width: w, height: tall, rx: step ? 8 : 13 }),
    step && h("rect.band", { x: left + 5, y: -15, width: 4, height: 30, rx: 2 }),
    h("text.name", { x: left + 16, y: step ? -5 : 1 }, name.length > 26 ? `${name.slice(0, 25)}…` : name),
    step && h("text.state", { x: left + 16, y: 11 }, state),
    !person && times > 0 && h("text.times", { x: w / 2 - 10, y: step ? -5 : 1 }, times),
  );
}

const STATES = ["running", "waiting", "failed", "queued", "retried"];

/** The list of a run's events. */

import { clock, h, memo, span, text } from "./dom.js";
import { ended } from "./run.js";
import { hue, matching, summary } from "./tell.js";
import { makeList } from "./window.js";

/** Make the list; `draw(state, now)` brings it up to date. */
export function makeLog(dispatch) {
  const count = h("span", { class: "count" });
  const words = h("input", { type: "search", placeholder: "Filter events", "aria-label": "Filter events", oninput: () => dispatch({ type: "words", text: words.value }) });
  const internal = h("input", { type: "checkbox", onchange: () => dispatch({ type: "set", name: "internal", value: internal.checked }) });
  const none = h("p", { class: "hint" });
  let run = null;
  let began = 0;
  const list = makeList({ height: 34, label: "Events", keyOf: (one) => one.sequence, create, pick: (one) => dispatch({ type: "look", seq: one.sequence, pane: "details" }) });
  const node = h("section", { class: "view events", "aria-label": "Events" }, h("div", { class: "bar" }, words, count, h("label", { class: "check" }, internal, "Internal events")), none, list.node);

  function create(one) {
    const before = run.events[one.sequence - 1];
    const delta = Number.isFinite(before?.at) ? one.at - before.at : NaN;
    const when = Number.isFinite(one.at) ? `${clock(one.at, one.at, true)} · ${span(delta)} after the event before` : "";
    return h(
      "button",
      { class: "event", type: "button" },
      h("span", { class: "number" }, h("span", { class: "unseen" }, "Event "), String(one.sequence)),
      Number.isFinite(one.at) && h("time", { title: when }, `+${span(one.at - began)}`),
      h("span", { class: `chip ${hue(one)}` }, one.type),
      h("span", { class: "summary" }, summary(one)),
    );
  }

  const found = memoValue(matching);
  return {
    node,
    step: list.step,
    draw: memo((now, settings, focus, wanted, selected) => {
      run = now;
      began = Number.isFinite(run.events[0]?.at) ? run.events[0].at : 0;
      const records = found(run, settings.internal, focus, wanted);
      const all = settings.internal ? run.events.length : run.shown.length;
      internal.checked = settings.internal;
      if (document.activeElement !== words) words.value = wanted;
      text(count, records.length === all ? all.toLocaleString("en") : `${records.length.toLocaleString("en")} of ${all.toLocaleString("en")}`);
      none.hidden = records.length > 0;
      const hidden = run.events.length - run.shown.length;
      text(none, wanted || focus ? "No event matches." : hidden > 0 && !settings.internal ? `Nothing but ${hidden} internal events so far.` : run.stream === "done" ? "This run has no events." : "No events yet.");
      list.node.hidden = records.length === 0;
      list.draw(records, { selected, follow: run.stream !== "done" && !ended(run) });
    }),
  };
}

/** The last result again if the arguments are the same. */
export function memoValue(make) {
  let last = [];
  let value;
  return (...now) => {
    if (now.length !== last.length || now.some((one, at) => one !== last[at])) value = make(...now);
    last = now;
    return value;
  };
}

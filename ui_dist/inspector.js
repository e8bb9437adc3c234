/** The pane at the right: what is selected, what the run keeps, and what it began with. */

import { attribute, clock, coloured, copy, h, memo, pairs, span, text } from "./dom.js";
import { changes, layout, members, pick, pretty } from "./json.js";
import { serverTime } from "./core.js";
import { errorName, hue, tint } from "./tell.js";
import { durations } from "./timeline.js";

const PARTS = { details: "Details", state: "State", input: "Input" };

/** Make the pane; `draw(state, now)` brings it up to date. */
export function makeInspector(dispatch) {
  const tabs = Object.entries(PARTS).map(([part, word]) => h("button", { type: "button", role: "tab", id: `tab-${part}`, "aria-controls": "inspected", onclick: () => dispatch({ type: "inspect", part }), onkeydown: turn }, word));
  const panel = h("div", { class: "inspected", id: "inspected", role: "tabpanel", tabindex: "0" });
  const node = h("aside", { class: "inspector", "aria-label": "Inspector" }, h("div", { class: "tabs", role: "tablist", "aria-label": "Inspector" }, ...tabs), panel);
  const parts = Object.keys(PARTS);
  let times = 0; // How often the panel was given another part.

  function turn(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (tabs.indexOf(event.target) + step + parts.length) % parts.length;
    dispatch({ type: "inspect", part: parts[next] });
    tabs[next].focus();
  }

  const look = (seq) => () => dispatch({ type: "look", seq });
  const drawDetails = memo((_turn, run, seq, graph, now) => {
    const one = seq === null ? null : (run.events[seq] ?? null);
    const item = one !== null && one.item !== null ? run.items.get(one.item) : null;
    const open = panel.querySelector("details")?.open ?? false;
    panel.replaceChildren(...(one === null ? overview(run, seq, now) : one.step && item ? execution(run, one, item, graph, now, look) : event(run, one, item, now, look)));
    const raw = panel.querySelector("details");
    if (raw) raw.open = open;
  });
  const drawState = memo((_turn, store) => panel.replaceChildren(...stateOf(store)));
  const drawInput = memo((_turn, input) => panel.replaceChildren(...inputOf(input)));

  return {
    node,
    draw(state, now) {
      const { run, part } = state;
      node.hidden = run === null || run.load !== "ready";
      if (node.hidden) return;
      tabs.forEach((tab, at) => {
        attribute(tab, "aria-selected", String(parts[at] === part));
        tab.tabIndex = parts[at] === part ? 0 : -1;
      });
      attribute(panel, "aria-labelledby", `tab-${part}`);
      if (panel.dataset.part !== part) {
        panel.dataset.part = part;
        panel.scrollTop = 0;
        times += 1;
      }
      if (part === "state") drawState(times, run.store);
      else if (part === "input") drawInput(times, run.input);
      else {
        const item = run.items.get(run.events[state.route.seq]?.item);
        const moving = item && run.open.has(item.id) && run.stream === "live";
        drawDetails(times, run, state.route.seq, state.details[run.handler.workflow_name]?.graph, moving ? Math.floor(serverTime(state, now) / 500) * 500 : serverTime(state, 0));
      }
    },
  };
}

function overview(run, seq, now) {
  const { handler } = run;
  const failed = [...run.items.values()].filter((one) => one.spans.some((part) => part.failure)).length;
  return [
    seq === null ? h("p", { class: "hint" }, "Select a bar, a node or an event to look at it.") : h("p", { class: "hint" }, run.stream === "done" ? `This run has no event ${seq}.` : `Event ${seq} has not come yet.`),
    pairs(
      ["Handler", h("code", {}, handler.handler_id)],
      ["Run", h("code", {}, handler.run_id)],
      ["Status", handler.phase && handler.phase !== "done" && handler.phase !== handler.status ? `${handler.status}, ${handler.phase}` : handler.status],
      ["Started", clock(handler.started_at, now || Date.now(), true)],
      handler.completed_at && ["Ended", clock(handler.completed_at, now || Date.now(), true)],
      ["Events", `${run.shown.length.toLocaleString("en")} and ${(run.events.length - run.shown.length).toLocaleString("en")} internal`],
      ["Executions", `${run.items.size.toLocaleString("en")}${failed > 0 ? `, ${failed} with failures` : ""}`],
    ),
  ];
}

function execution(run, one, item, graph, now, look) {
  const took = durations(item, now);
  const about = graph?.nodes.find((node) => node.node_type === "step" && node.label === item.step)?.description;
  const runs = item.spans.filter((part) => part.kind === "running");
  const published = run.shown.filter((event) => event.item === item.id);
  const began = run.events[0].at;
  return [
    h("h2", { class: `title hue-${tint(item.step)}` }, h("i", { class: "swatch" }), item.step, h("span", { class: `state ${item.is}` }, item.is)),
    about && h("p", { class: "soft prose" }, about.split("\n\n")[0]),
    pairs(
      ["Takes", item.input],
      item.output && ["Returned", item.output === "NoneType" ? "None" : item.output],
      ["Began", `${clock(item.spans[0].from, now, true)} (+${span(item.spans[0].from - began)})`],
      took.queued > 0 && ["In the queue", span(took.queued)],
      ["Worked", span(took.running)],
      took.waiting > 0 && ["Waited", span(took.waiting)],
      took.delayed > 0 && ["Until retries", span(took.delayed)],
      ["Worker", runs.at(-1)?.worker ?? "none yet"],
    ),
    (runs.length > 1 || item.failure) && h("h3", {}, "Attempts"),
    (runs.length > 1 || item.failure) && h("ol", { class: "attempts" }, ...runs.slice(-30).map(attempt(now))),
    published.length > 0 && h("h3", {}, `Published ${published.length.toLocaleString("en")} ${published.length === 1 ? "event" : "events"}`),
    published.length > 0 && h("ul", { class: "published" }, ...published.slice(0, 20).map((event) => h("li", {}, h("button", { type: "button", class: "quiet", onclick: look(event.sequence) }, h("span", { class: `chip ${hue(event)}` }, event.type), h("span", { class: "soft" }, `#${event.sequence}`))))),
    raw(one),
  ].filter(Boolean);
}

const attempt = (now) => (part) => {
  const end = part.failure ? `${errorName(part.failure)}: ${part.failure.exception_message}` : part.cut ? "stopped" : part.to === null ? "running" : "";
  return h("li", { class: part.failure ? "failed" : "" }, h("span", {}, `Attempt ${part.attempt}`), h("span", { class: "soft" }, span((part.to ?? now) - part.from)), end && h("p", {}, end));
};

function event(run, one, item, now, look) {
  const value = pick(one.text, "value") ?? "null";
  const before = run.events[one.sequence - 1];
  const name = pick(one.text, "qualified_name");
  const button = h("button", { type: "button", class: "small", onclick: () => copy(pretty(value), button) }, "Copy");
  return [
    h("h2", { class: "title" }, h("span", { class: `chip ${hue(one)}` }, one.type), h("span", { class: "soft" }, `#${one.sequence}`)),
    pairs(
      Number.isFinite(one.at) && ["Time", clock(one.at, now || one.at, true)],
      Number.isFinite(one.at) && ["Since start", span(one.at - run.events[0].at)],
      before && Number.isFinite(one.at) && ["Since the last", span(one.at - before.at)],
      item && ["Published by", h("button", { type: "button", class: "link", onclick: look(item.sequence) }, item.step)],
      name && name !== "null" && ["Class", h("code", {}, JSON.parse(name))],
    ),
    h("div", { class: "over" }, h("h3", {}, "Fields"), button),
    h("pre", { tabindex: 0, class: "json", "aria-label": `JSON of event ${one.sequence}` }, ...coloured(value, layout)),
    raw(one),
  ];
}

function raw(one) {
  const button = h("button", { type: "button", class: "small", onclick: () => copy(one.text, button) }, "Copy");
  const pre = h("pre", { class: "json", tabindex: 0, "aria-label": "The whole envelope" });
  const show = () => pre.childNodes.length === 0 && pre.append(...coloured(one.text, layout));
  return h("details", { ontoggle: show }, h("summary", {}, "As it was sent"), button, pre);
}

function stateOf(store) {
  if (!store || store.load === "loading") return [h("p", { class: "hint" }, "Loading…")];
  if (store.load === "error") return [h("p", { class: "hint" }, store.error)];
  const found = members(store.text);
  const news = new Map((store.before === null ? [] : changes(store.before, store.text)).map(([key, was, is]) => [key, { was, is }]));
  const gone = [...news].filter(([, { is }]) => is === null).map(([key]) => [key, null]);
  if (found.length + gone.length === 0) return [h("p", { class: "hint" }, "This run keeps nothing in ", h("code", {}, "ctx.store"), ".")];
  const button = h("button", { type: "button", class: "small", onclick: () => copy(pretty(store.text), button) }, "Copy");
  const rows = [...found, ...gone].map(([key, json]) => {
    const change = news.get(key);
    const word = !change ? "" : change.is === null ? "removed" : change.was === null ? "new" : "changed";
    return h(
      "li",
      { class: `entry ${word}` },
      h("div", { class: "over" }, h("h3", {}, key), word && h("span", { class: "change" }, word)),
      json !== null && h("pre", { class: "json", tabindex: 0, "aria-label": `Value of ${key}` }, ...coloured(json, layout)),
      change?.was && h("pre", { class: "json was", tabindex: 0, "aria-label": `Value of ${key} before` }, pretty(change.was).slice(0, 2000)),
    );
  });
  return [h("div", { class: "over" }, h("p", { class: "hint" }, store.kind ? h("code", {}, store.kind) : "What the run keeps in ctx.store"), button), h("ul", { class: "entries" }, ...rows)];
}

function inputOf(input) {
  if (!input) return [h("p", { class: "hint" }, "Loading…")];
  if (input.text === null) return [h("p", { class: "hint" }, input.error)];
  const button = h("button", { type: "button", class: "small", onclick: () => copy(pretty(input.text), button) }, "Copy");
  return [h("div", { class: "over" }, h("h3", {}, "Start event"), button), h("pre", { class: "json", tabindex: 0, "aria-label": "Input as JSON" }, ...coloured(input.text, layout))];
}


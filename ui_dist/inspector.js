/** The pane at the right: what is selected, what the run keeps, and what it began with. */

import { choice, copier, h, json, memo, pairs, tabs } from "./dom.js";
import { asCurl, asPython, changes, pick, pretty } from "./json.js";
import { durations } from "./layout.js";
import { clock, count, errorWords, hue, span, tint } from "./tell.js";

/** Return a function that describes the pane for a state at the time `now`, or leaves it out. */
export function makeInspector(dispatch) {
  let kind = "JSON"; // How the input is shown.
  const look = (seq) => () => dispatch({ type: "look", seq });
  const details = memo((run, seq, graph, now) => {
    const one = run.events[seq];
    const item = run.items.get(one?.item);
    if (!one) return overview(run, seq);
    return one.step ? execution(run, one, item, graph, now, look) : event(run, one, item, look);
  });
  const state = memo(stateOf);
  const input = (run, workflow) => {
    const choose = (word) => dispatch({ type: "inspect", part: "input" }, (kind = word));
    return inputOf(run, workflow, kind, choose);
  };

  return ({ run, part, route, details: all }, now) => {
    const workflow = all[run.handler.workflow_name];
    const parts = { details: () => details(run, route.seq, workflow?.graph, Math.floor(now / 500) * 500), state: () => state(run.store), input: () => input(run, workflow) };
    return h(
      "aside.inspector",
      { "aria-label": "Inspector" },
      tabs("Inspector", { details: "Details", state: "State", input: "Input" }, part, (name) => dispatch({ type: "inspect", part: name })),
      h("div.inspected", { key: `${part} ${route.seq}`, role: "tabpanel", tabindex: 0, "aria-labelledby": `tab-${part}` }, parts[part]()),
    );
  };
}

const over = (left, right) => h("div.over", left, right);

function overview({ handler, events, shown, items, stream }, seq) {
  const { handler_id: id, run_id: run, status, phase, started_at: started, completed_at: completed } = handler;
  const failed = [...items.values()].filter((one) => one.spans.some((part) => part.failure)).length;
  const when = (iso) => clock(iso, Date.now(), 3);
  return [
    h("p.hint", seq === null ? "Select a bar, a node or an event to look at it." : stream === "done" ? `This run has no event ${seq}.` : `Event ${seq} has not come yet.`),
    pairs([
      ["Handler", h("code", id)],
      ["Run", h("code", run)],
      ["Status", [...new Set([status, phase ?? "done"])].filter((word) => word !== "done").join(", ")],
      ["Started", when(started)],
      completed && ["Ended", when(completed)],
      ["Events", `${shown.length.toLocaleString("en")} and ${(events.length - shown.length).toLocaleString("en")} internal`],
      ["Executions", `${items.size.toLocaleString("en")}${failed > 0 ? `, ${failed} with failures` : ""}`],
    ]),
  ];
}

function execution({ events, shown }, one, { id, step, is, input, output, spans, failure }, graph, now, look) {
  const took = durations({ spans }, now);
  const about = graph?.nodes.find((node) => node.node_type === "step" && node.label === step)?.description;
  const attempts = spans.filter((part) => part.kind === "running");
  const published = shown.filter((event) => event.item === id);
  const [{ from }] = spans;
  return [
    h(`h2.title.${tint(step)}`, h("i.swatch"), step, h(`span.state.${is}`, is)),
    about && h("p.soft.prose", about.split("\n\n")[0]),
    pairs([
      ["Takes", input],
      output && ["Returned", output === "NoneType" ? "None" : output],
      ["Began", `${clock(from, now || from, 3)} (+${span(from - events[0].at)})`],
      ...Object.entries({ queued: "In the queue", running: "Worked", waiting: "Waited", delayed: "Until retries" }).map(([kind, word]) => took[kind] > 0 && [word, span(took[kind])]),
    ]),
    (attempts.length > 1 || failure) && h("h3", "Attempts"),
    (attempts.length > 1 || failure) && h("ol.attempts", attempts.slice(-30).map((part) => tried(part, now))),
    published.length > 0 && h("h3", `Published ${count(published.length, "event")}`),
    published.length > 0 && h("ul", published.slice(0, 20).map((event) => h("li", h("button.quiet", { onclick: look(event.sequence) }, ...named(event))))),
    raw(one),
  ];
}

const named = (one) => [h(`span.chip.${hue(one)}`, one.type), h("span.soft", `#${one.sequence}`)];

function tried({ attempt, from, to, failure, cut }, now) {
  const end = failure ? errorWords(failure) : cut ? "stopped" : to === null ? "running" : "";
  return h(`li${failure ? ".failed" : ""}`, h("span", `Attempt ${attempt}`), h("span.soft", span((to ?? now) - from)), end && h("p", end));
}

function event({ events }, one, item, look) {
  const { sequence, at, text } = one;
  const value = pick(text, "value") ?? "null";
  const before = events[sequence - 1];
  return [
    h("h2.title", ...named(one)),
    pairs([
      ...(Number.isFinite(at) ? [["Time", clock(at, at, 3)], ["Since start", span(at - events[0].at)], before && ["Since the last", span(at - before.at)]] : []),
      item && ["Published by", h("button.link", { onclick: look(item.sequence) }, item.step)],
    ]),
    over(h("h3", "Fields"), copier(pretty(value))),
    json(value, `JSON of event ${sequence}`),
    raw(one),
  ];
}

const raw = ({ text }) => h("details", h("summary", "As it was sent"), copier(text), json(text, "The whole envelope"));

function stateOf(store) {
  if (!store?.text) return h("p.hint", store ? store.error : "Loading…");
  const rows = changes(store.before, store.text).map(([key, is, was]) => {
    const word = is === was ? "" : is === undefined ? "removed" : was === undefined ? "new" : "changed";
    return h(`li${word && `.${word}`}`, over(h("h3", key), word && h("span.change", word)), is && json(is, `Value of ${key}`), word && was && json(was.slice(0, 2000), `Value of ${key} before`, ".was"));
  });
  if (rows.length === 0) return h("p.hint", "This run keeps nothing in ", h("code", "ctx.store"), ".");
  return [over(h("p.hint", store.kind ? h("code", store.kind) : "What the run keeps in ctx.store"), copier(pretty(store.text))), h("ul.entries", rows)];
}

/** The input, to look at and to start a run like this one from elsewhere. */
function inputOf({ input, handler }, workflow, kind, choose) {
  if (!input?.text) return h("p.hint", input ? input.error : "Loading…");
  const from = [new URL(".", document.baseURI).href, handler.workflow_name, input.text];
  const text = { JSON: () => pretty(input.text), curl: () => asCurl(...from, workflow?.start?.title), Python: () => asPython(...from) }[kind]();
  return [over(choice("Show as", ["JSON", "curl", "Python"], kind, choose), copier(text)), kind === "JSON" ? json(text, "Input as JSON") : h("pre", { tabindex: 0, "aria-label": `Input as ${kind}` }, text)];
}

/** One run: its head, open questions, how it ended, the views of what happened, and the inspector at the right. */

import { hashOf, runTime } from "./core.js";
import { choice, copier, h, json, memo, pairs, tabs } from "./dom.js";
import { eventForm } from "./forms.js";
import { asCurl, asPython, changes, pretty, sendable } from "./json.js";
import { durations } from "./layout.js";
import { asked, asking, clock, condition, count, ended, hue, outcome, span, time, tint, errorWords, title } from "./run.js";
import { makeEvents, makeGraph, makeTimeline } from "./views.js";

const STREAMS = { live: "Live", connecting: "Connecting…", reconnecting: "Reconnecting…" };
const SHOWN = 4;

export function makeRunView(id, dispatch) {
  const graph = makeGraph(dispatch);
  const lists = { timeline: makeTimeline(dispatch), events: makeEvents(dispatch) };
  const questions = makeQuestions(dispatch);
  const sending = makeSending(dispatch);
  const ending = memo((run) => drawOutcome(outcome(run)));
  const drawn = {};

  return {
    step: (by, tab) => lists[tab]?.step(by),
    draw(state, now) {
      const { run, route, focus, details } = state;
      const { load, handler } = run;
      if (load !== "ready") {
        const [heading, words] = {
          missing: ["There is no such run", `The server knows no run with the id ${id}.`],
          error: ["The run can't be shown", run.error],
          loading: ["Run", "Loading…"],
        }[load];
        return h("article.run", { key: id }, h("header.run-head", h("div.title", h("h1", { tabindex: -1 }, heading))), h("p.hint", words));
      }
      const workflow = details[handler.workflow_name];
      const moving = [...run.items.values()].some((one) => one.spans.at(-1)?.to === null);
      const at = runTime(state, moving ? now : 0);
      const views = {
        timeline: () => lists.timeline.draw(state, route.seq, at),
        graph: () => graph(workflow, run, focus),
        events: () => lists.events.draw(state, route.seq),
      };
      drawn[route.tab] = views[route.tab]();
      return h(
        "article.run",
        { key: id },
        drawHead(state, now, dispatch),
        questions(asking(run), workflow, state.forms),
        ending(run),
        h(
          "div.views",
          h(
            "div.over",
            tabs("Views", { timeline: "Timeline", graph: "Graph", events: "Events" }, route.tab, (tab) => dispatch("look", { tab })),
            focus && h("button.focus", { title: "Show everything again", onclick: () => dispatch("show", { focus: null }) }, `${focus.kind === "step" ? "Step" : "Event"} ${focus.name} ×`),
          ),
          Object.keys(views).map((tab) => h("div.panel", { key: tab, role: "tabpanel", "aria-labelledby": `tab-${tab}`, hidden: tab !== route.tab }, drawn[tab])),
        ),
        state.dialog === "send" && !ended(run) && sending(workflow, state.forms.send),
      );
    },
  };
}

export function actions({ run }, dispatch) {
  const { handler, id, input } = run;
  if (!handler) return {};
  const open = (name) => () => dispatch("dialog", { name });
  const go = (more) => () => (location.hash = hashOf("new", handler.workflow_name, { from: id, ...more }));
  if (!ended(run)) return { send: open("send"), x: open("cancel") };
  return { r: input?.text ? () => dispatch("rerun") : null, e: go(), again: go({ again: 1 }), remove: open("remove") };
}

const ACTIONS = { r: "Run again", e: "Edit and run", again: "Continue", send: "Send event", x: "Cancel run", remove: "Delete" };

function drawHead(state, now, dispatch) {
  const { run, forms } = state;
  const { handler, stream, id } = run;
  const word = condition(run);
  const over = ended(run);
  const began = time(handler.started_at);
  const took = over ? time(handler.completed_at ?? handler.updated_at) - began : Math.floor((now - began) / 1000) * 1000;
  const does = actions(state, dispatch);
  const buttons = Object.keys(ACTIONS).filter((key) => key in does);
  return h(
    "header.run-head",
    h("div.title", h("h1", { tabindex: -1 }, handler.workflow_name), h(`span.badge.${word}`, title(word))),
    h("div.actions", buttons.map((key) => h(`button${["x", "remove"].includes(key) ? ".danger" : ""}`, { key, "aria-keyshortcuts": key.length === 1 ? key : null, disabled: !does[key] || (key === "r" && forms.rerun?.busy), onclick: does[key] }, ACTIONS[key]))),
    h("p.meta", h("code", id), h("span", "started ", h("time", { datetime: handler.started_at }, clock(handler.started_at, now))), h("span", `${over ? "took" : "for"} ${span(took)}`), h("span.stream", { "data-state": stream }, !over && STREAMS[stream])),
    h("p.problem", { role: "alert" }, forms.rerun?.error),
  );
}

function makeQuestions(dispatch) {
  const forms = new Map();

  function formFor({ key, question, waiter, type, schema }) {
    const form = eventForm({ submit: "Answer", onsubmit: (eventType, text) => dispatch("send", { form: `answer ${key}`, eventType, text, question, waiter }) });
    if (waiter !== undefined) form.offer([{ type: "object", ...schema, title: type }], true);
    return { ...form, offer: memo((details) => waiter === undefined && form.offer(sendable(details))) };
  }

  return (open, details, states) => {
    const cards = open.slice(0, SHOWN).map((one) => {
      const { key, step, type, deadline } = one;
      if (!forms.has(key)) forms.set(key, formFor(one));
      const form = forms.get(key);
      form.offer(details);
      form.draw(states[`answer ${key}`]);
      const { prompt, rest } = asked(one.prompt);
      return h(
        "div.card.question",
        { key },
        h("h2", prompt || `The run waits for ${type ?? "an answer"}`),
        step && h("p.soft", "Step ", h("b", step), ` waits for ${type}${deadline ? ` until ${clock(deadline, Date.now())}` : ""}`),
        rest.length > 0 && pairs(rest),
        form.node,
      );
    });
    const held = document.activeElement?.closest(".question");
    if (held) queueMicrotask(() => held.isConnected || (document.querySelector(".question :is(input, select, textarea)") ?? document.querySelector("h1")).focus());
    return h("section.questions", { "aria-label": "Open questions", hidden: open.length === 0 }, cards, open.length > SHOWN && h("p.hint", `${open.length - SHOWN} more open after these.`));
  };
}

function drawOutcome(found) {
  if (found === null) return null;
  const { kind, heading, note, text, json: value } = found;
  return h(`section.card.outcome.${kind}`, { "aria-label": "Outcome" }, h("div.over", h("h2", heading), h("span.soft", note)), value === undefined ? h("pre.prose", { tabindex: 0, "aria-label": heading }, text) : json(value, heading));
}

function makeSending(dispatch) {
  const form = eventForm({ submit: "Send", onsubmit: (eventType, text) => dispatch("send", { form: "send", eventType, text }) });
  const offer = memo((details) => form.offer(sendable(details)));
  return (details, state) => {
    offer(details);
    form.draw(state);
    return dialog("send", "Send an event to this run", "Close", dispatch, form.node, h("p.hint", { role: "status" }, state?.done > 0 && `${state.done} sent.`));
  };
}

export function dialog(name, heading, keep, dispatch, content, act) {
  const close = h("button", { onclick: ({ target }) => target.closest("dialog").close() }, keep);
  return h("dialog", { modal: true, key: name, "aria-label": heading, onclose: () => dispatch("closed", { name }) }, h("h2", heading), content, h("div.row.end", close, act));
}

export function makeInspector(dispatch) {
  let kind = "JSON";
  const look = (seq) => () => dispatch("look", { seq });
  const details = memo((run, seq, graph, now) => {
    const one = run.events[seq];
    const item = run.items.get(one?.item);
    if (!one) return overview(run, seq);
    return one.step ? execution(run, one, item, graph, now, look) : event(run, one, item, look);
  });
  const state = memo(stateOf);
  const input = (run, workflow) => {
    const choose = (word) => dispatch("inspect", { part: "input" }, (kind = word));
    return inputOf(run, workflow, kind, choose);
  };

  return ({ run, part, route, details: all }, now) => {
    const workflow = all[run.handler.workflow_name];
    const parts = { details: () => details(run, route.seq, workflow?.graph, Math.floor(now / 500) * 500), state: () => state(run.store), input: () => input(run, workflow) };
    return h(
      "aside.inspector",
      { "aria-label": "Inspector" },
      tabs("Inspector", { details: "Details", state: "State", input: "Input" }, part, (name) => dispatch("inspect", { part: name })),
      h("div.inspected", { key: `${part} ${route.seq}`, role: "tabpanel", tabindex: 0, "aria-labelledby": `tab-${part}` }, parts[part]()),
    );
  };
}

const over = (left, right) => h("div.over", left, right);

function overview({ handler, events, shown, items, stream }, seq) {
  const { handler_id: id, run_id: run, status, phase } = handler;
  return [
    h("p.hint", seq === null ? "Select a bar, a node or an event to look at it." : stream === "done" ? `This run has no event ${seq}.` : `Event ${seq} has not come yet.`),
    pairs([
      ["Handler", h("code", id)],
      ["Run", h("code", run)],
      ["Status", [...new Set([status, phase ?? "done"])].filter((word) => word !== "done").join(", ")],
      ["Events", `${count(shown.length)} and ${count(events.length - shown.length)} internal`],
      ["Executions", count(items.size)],
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
    h(`h2.title.${tint(step)}`, h("i.stretch.swatch"), step, h(`span.state.${is}`, is)),
    about && h("p.soft.prose", about.split("\n\n")[0]),
    pairs([
      ["Takes", input],
      output && ["Returned", output === "NoneType" ? "None" : output],
      ["Began", `${clock(from, now || from, 3)} (+${span(from - events[0].at)})`],
      ...Object.entries({ queued: "In the queue", running: "Worked", waiting: "Waited", delayed: "Until retries" }).map(([kind, word]) => took[kind] > 0 && [word, span(took[kind])]),
    ]),
    (attempts.length > 1 || failure) && pairs(attempts.slice(-30).map(({ attempt, from, to, failure, cut }) => [`Attempt ${attempt}`, h(`span${failure ? ".danger" : ""}`, [span((to ?? now) - from), failure ? errorWords(failure) : cut && "stopped"].filter(Boolean).join(" · "))])),
    published.length > 0 && h("h3", `Published ${count(published.length, "event")}`),
    published.length > 0 && h("ul", published.slice(0, 20).map((event) => h("li", h("button.link", { onclick: look(event.sequence) }, ...named(event))))),
    ...raw(one),
  ];
}

const raw = ({ sequence, text }) => [over(h("h3", "As it was sent"), copier(text)), json(text, `JSON of event ${sequence}`)];

const named = (one) => [h(`span.chip.${hue(one)}`, one.type), " ", h("span.soft", `#${one.sequence}`)];

function event({ events }, one, item, look) {
  const { sequence, at } = one;
  const before = events[sequence - 1];
  return [
    h("h2.title", ...named(one)),
    pairs([
      ...(Number.isFinite(at) ? [["Time", clock(at, at, 3)], ["Since start", span(at - events[0].at)], before && ["Since the last", span(at - before.at)]] : []),
      item && ["Published by", h("button.link", { onclick: look(item.sequence) }, item.step)],
    ]),
    ...raw(one),
  ];
}

function stateOf(store) {
  if (!store?.text) return h("p.hint", store ? store.error : "Loading…");
  const rows = changes(store.before, store.text).map(([key, is, was]) => {
    const word = is === was ? "" : is === undefined ? "removed" : was === undefined ? "new" : "changed";
    return h(`li${word && `.${word}`}`, over(h("h3", key), word && h("span.change", word)), is && json(is, `Value of ${key}`), word && was && json(was.slice(0, 2000), `Value of ${key} before`, ".was"));
  });
  if (rows.length === 0) return h("p.hint", "This run keeps nothing in ", h("code", "ctx.store"), ".");
  return [over(h("p.hint", store.kind ? h("code", store.kind) : "What the run keeps in ctx.store"), copier(pretty(store.text))), h("ul.entries", rows)];
}

function inputOf({ input, handler }, workflow, kind, choose) {
  if (!input?.text) return h("p.hint", input ? input.error : "Loading…");
  const from = [new URL(".", document.baseURI).href, handler.workflow_name, input.text];
  const text = { JSON: () => pretty(input.text), curl: () => asCurl(...from, workflow?.start?.title), Python: () => asPython(...from) }[kind]();
  return [over(choice("Show as", ["JSON", "curl", "Python"], kind, choose), copier(text)), kind === "JSON" ? json(text, "Input as JSON") : h("pre", { tabindex: 0, "aria-label": `Input as ${kind}` }, text)];
}

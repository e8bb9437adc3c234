/** One run: its head, open questions, how it ended, and the three views of what happened. */

import { serverTime } from "./core.js";
import { focusField, h, json, memo, pairs, tabs } from "./dom.js";
import { eventForm } from "./forms.js";
import { makeGraph } from "./graph-view.js";
import { makeEvents, makeTimeline } from "./lists.js";
import { hashOf } from "./requests.js";
import { asking, condition, ended, time } from "./run.js";
import { sendable } from "./schema.js";
import { WORDS, asked, clock, outcome, span } from "./tell.js";

const STREAMS = { live: "Live", connecting: "Connecting…", reconnecting: "Reconnecting…" };
const SHOWN = 4; // Questions shown at a time.
const IDLE = { error: "", busy: false, done: 0 }; // A form that was not sent yet.

/** Make the view of the run `id`; `draw(state, now)` describes it. */
export function makeRunView(id, dispatch) {
  const graph = makeGraph(dispatch);
  const lists = { timeline: makeTimeline(dispatch), events: makeEvents(dispatch) };
  const questions = makeQuestions(dispatch);
  const sending = makeSending(dispatch);
  const ending = memo((_handler, _result, _events, run) => drawOutcome(outcome(run)));
  const drawn = {}; // Each view as it was shown last, to come back to its place.

  return {
    step: (by, tab) => lists[tab]?.step(by),
    draw(state, now) {
      const { run, route, focus, details } = state;
      const { load, handler } = run;
      if (load !== "ready") {
        const gone = `The server knows no run with the id ${id}. It may have been deleted, or the server began anew.`;
        const [title, words] = { missing: ["There is no such run", gone], error: ["The run can't be shown", run.error] }[load] ?? ["Run", "Loading…"];
        return h("article.run", { key: id }, h("header.run-head", h("div.title", h("h1", { tabindex: -1 }, title))), h("p.hint", words));
      }
      const workflow = details[handler.workflow_name];
      const moving = [...run.items.values()].some((one) => one.spans.at(-1)?.to === null);
      const at = moving ? serverTime(state, now) : serverTime(state, 0);
      const views = {
        timeline: () => lists.timeline.draw(state, route.seq, at),
        graph: () => graph(workflow, run, focus, document.querySelector("main").clientWidth - 42),
        events: () => lists.events.draw(state, route.seq),
      };
      drawn[route.tab] = views[route.tab]();
      return h(
        "article.run",
        { key: id },
        drawHead(state, now, dispatch),
        questions(asking(run), workflow, state.forms),
        ending(handler, run.result, run.over, run),
        h(
          "div.views",
          h(
            "div.over",
            tabs("Views", { timeline: "Timeline", graph: "Graph", events: "Events" }, route.tab, (tab) => dispatch({ type: "look", tab })),
            focus && h("button.focus", { title: "Show everything again", onclick: () => dispatch({ type: "show", focus: null }) }, `${focus.kind === "step" ? "Step" : "Event"} ${focus.name} ×`),
          ),
          Object.keys(views).map((tab) => h("div.panel", { key: tab, role: "tabpanel", "aria-labelledby": `tab-${tab}`, hidden: tab !== route.tab }, drawn[tab])),
        ),
        state.dialog === "send" && !ended(run) && sending(workflow, state.forms.send),
      );
    },
  };
}

/** What the keys and buttons of a run's head do, of those that make sense now. */
export function actions({ run }, dispatch) {
  const { handler, id, input } = run;
  if (!handler) return {};
  const open = (name) => () => dispatch({ type: "dialog", name });
  const go = (more) => () => (location.hash = hashOf("new", handler.workflow_name, { from: id, ...more }));
  if (!ended(run)) return { send: open("send"), x: open("cancel") };
  return { r: input?.text ? () => dispatch({ type: "rerun" }) : null, e: go(), again: go({ again: 1 }), remove: open("remove") };
}

const ACTIONS = { r: "Run again", e: "Edit and run", again: "Continue", send: "Send event", x: "Cancel run", remove: "Delete" };
const TITLES = { again: "A new run of the same handler, with its state" };

function drawHead(state, now, dispatch) {
  const { run, forms, skew } = state;
  const { handler, stream, id } = run;
  const word = condition(run);
  const over = ended(run);
  const began = time(handler.started_at);
  const took = over ? time(handler.completed_at ?? handler.updated_at) - began : Math.floor((now - skew - began) / 1000) * 1000;
  const does = actions(state, dispatch);
  const buttons = Object.keys(ACTIONS).filter((key) => key in does);
  const told = over ? (stream === "live" ? "Loading…" : "") : (STREAMS[stream] ?? "");
  return h(
    "header.run-head",
    h("div.title", h("h1", { tabindex: -1 }, handler.workflow_name), h(`span.badge.${word}`, WORDS[word])),
    h("div.actions", buttons.map((key) => h(`button${["x", "remove"].includes(key) ? ".danger" : ""}`, { key, title: TITLES[key], "aria-keyshortcuts": key.length === 1 ? key : null, disabled: !does[key] || (key === "r" && forms.rerun?.busy), onclick: does[key] }, ACTIONS[key]))),
    h("p.meta", h("code", { title: "Id of the run's handler" }, id), h("span", "started ", h("time", { datetime: handler.started_at }, clock(handler.started_at, now))), h("span", `${over ? "took" : "for"} ${span(took)}`), h("span.stream", { "data-state": stream }, told)),
    h("p.problem", { role: "alert" }, forms.rerun?.error),
  );
}

/** A card for each open question, each with its own form, which stays as it is while others come and go. */
function makeQuestions(dispatch) {
  let forms = new Map();

  function card({ key, prompt: value, step, type, deadline }, form) {
    const { prompt, rest } = asked(value);
    return h(
      "div.card.question",
      { key },
      h("h2", prompt || (type ? `The run waits for ${type}` : "The run waits for an answer")),
      step && h("p.soft", "Step ", h("b", step), ` waits for ${type}${deadline ? ` until ${clock(deadline, Date.now())}` : ""}`),
      rest.length > 0 && pairs(rest),
      form.node,
    );
  }

  function made({ key, question, waiter }) {
    const form = eventForm({ submit: "Answer", onsubmit: (eventType, text) => dispatch({ type: "send", form: `answer ${key}`, eventType, text, question, waiter }) });
    return { form, offer: memo((events) => form.offer(events, waiter !== undefined)) };
  }

  const offers = memo(sendable);
  const waited = memo((all) => new Map(all.map(({ key, type, schema }) => [key, [{ type: "object", ...schema, title: type }]])));
  return (open, details, states) => {
    const shown = open.slice(0, SHOWN);
    const known = forms;
    const held = document.activeElement?.closest(".question");
    forms = new Map(shown.map((one) => [one.key, known.get(one.key) ?? made(one)]));
    for (const one of shown) {
      const { form, offer } = forms.get(one.key);
      if (one.waiter === undefined) offer(offers(details));
      else if (!known.has(one.key)) offer(waited([one]).get(one.key));
      form.draw(states[`answer ${one.key}`] ?? IDLE);
    }
    // Whoever has answered goes on with the next question, or at the top.
    if (held && !forms.has(held.key.slice(4))) queueMicrotask(() => (document.querySelector(".question") ? focusField(document.querySelector(".question")) : document.querySelector("h1").focus()));
    return h("section.questions", { "aria-label": "Open questions", hidden: open.length === 0 }, shown.map((one) => card(one, forms.get(one.key).form)), open.length > SHOWN && h("p.hint", `${open.length - SHOWN} more open after these.`));
  };
}

function drawOutcome(found) {
  if (found === null) return null;
  const { kind, title, note, text, json: value } = found;
  return h(`section.card.outcome.${kind}`, { "aria-label": "Outcome" }, h("div.over", h("h2", title), h("span.note", note)), value === undefined ? h("pre.prose", { tabindex: 0, "aria-label": title }, text) : json(value, title));
}

/** The dialog that sends any event; it stays open until the run ends. */
function makeSending(dispatch) {
  const form = eventForm({
    submit: "Send",
    extra: () => h("button", { onclick: ({ target }) => target.closest("dialog").close() }, "Close"),
    onsubmit: (eventType, text) => dispatch({ type: "send", form: "send", eventType, text }),
  });
  const offer = memo((details) => form.offer(sendable(details)));
  return (details, state = IDLE) => {
    offer(details);
    form.draw(state);
    return dialog("send", "Send an event to this run", dispatch, form.node, h("p.hint", { role: "status" }, state.done > 0 ? `${state.done} sent.` : ""));
  };
}

/** What opens above the page; whatever closes it, the state is told. */
export const dialog = (name, title, dispatch, ...children) => h("dialog", { modal: true, key: name, "aria-label": title, onclose: () => dispatch({ type: "closed", name }) }, h("h2", title), ...children);

/** One run: its head, an open question, how it ended, and its events. */

import { attribute, clock, h, memo, span, text } from "./dom.js";
import { coloured, eventForm } from "./forms.js";
import { layout } from "./json.js";
import { makeLog } from "./log.js";
import { asked, condition, ended, outcome } from "./run.js";
import { sendable } from "./schema.js";

const WORDS = { running: "Running", waiting: "Waiting for an answer", blocked: "Blocked", completed: "Completed", failed: "Failed", cancelled: "Cancelled" };
const TITLES = { missing: "There is no such run", error: "The run can't be shown" };
const IDLE = { error: "", busy: false, done: 0 }; // A form that was not sent yet.
const STREAMS = { connecting: "Connecting…", live: "Live", reconnecting: "Reconnecting…", done: "Complete", off: "" };

/** Make the view of the run `id`; `draw(state, now)` brings it up to date. */
export function makeRunView(id, dispatch) {
  const head = makeHead(id, dispatch);
  const question = makeQuestion(dispatch);
  const end = makeOutcome();
  const events = makeEvents(dispatch);
  const trouble = h("p", { class: "hint" });
  const body = h("div", { class: "run-body" }, question.node, end.node, events.node);
  return {
    node: h("article", { class: "run" }, head.node, trouble, body),
    draw(state, now) {
      const { run } = state;
      body.hidden = run.load !== "ready";
      text(trouble, run.load === "missing" ? `The server knows no run with the id ${id}. It may have been deleted, or the server began anew.` : run.load === "loading" ? "Loading…" : run.error);
      head.draw(state, now);
      question.draw(run.questions.at(-1), run.questions.length, state.details[run.handler?.workflow_name], state.forms.answer);
      end.draw(run.handler, run.result, run.over, run);
      events.draw(run, state.showInternal, run.stream);
    },
  };
}

function makeHead(id, dispatch) {
  const title = h("h1", { tabindex: "-1" }, "Run");
  const badge = h("span", { class: "badge" });
  const started = h("time");
  const took = h("span");
  const meta = h("p", { class: "meta" }, h("span", {}, h("code", { title: "Id of the run's handler" }, id)), h("span", {}, "started ", started), took);
  const again = h("a", { class: "button" }, "New run");
  const send = h("button", { type: "button", onclick: () => sending.show() }, "Send event");
  const cancel = h("button", { type: "button", class: "danger", onclick: () => asking.show() }, "Cancel run");
  const sending = sendDialog(dispatch);
  const asking = cancelDialog(dispatch);
  const drawRun = memo((load, handler, state, now) => {
    text(title, handler?.workflow_name ?? TITLES[load] ?? "Run");
    text(badge, WORDS[state] ?? "");
    attribute(badge, "class", `badge ${state}`);
    meta.hidden = badge.hidden = handler === null;
    if (handler === null) return;
    const over = ["completed", "failed", "cancelled"].includes(handler.status);
    const began = Date.parse(handler.started_at);
    const length = over ? Date.parse(handler.completed_at ?? handler.updated_at) - began : Math.floor((now - began) / 1000) * 1000;
    attribute(started, "datetime", handler.started_at);
    text(started, clock(handler.started_at, now));
    text(took, `${over ? "took" : "for"} ${span(length)}`);
    attribute(again, "href", `#/new/${encodeURIComponent(handler.workflow_name)}`);
  });
  const actions = h("div", { class: "actions" }, again, send, cancel);
  return {
    node: h("header", { class: "run-head" }, h("a", { class: "back", href: "#/" }, "← All runs"), h("div", { class: "title" }, title, badge), meta, actions, sending.node, asking.node),
    draw({ run, details, forms }, now) {
      const over = ended(run);
      drawRun(run.load, run.handler, condition(run), over ? startOfHour(now) : now);
      actions.hidden = run.handler === null;
      send.hidden = cancel.hidden = over;
      sending.draw(details[run.handler?.workflow_name], forms.send, over);
      asking.draw(forms.cancel, over);
    },
  };
}

const startOfHour = (now) => now - (now % 3_600_000); // Ended runs are drawn again only to notice a new day.

function sendDialog(dispatch) {
  const close = h("button", { type: "button", onclick: () => node.close() }, "Close");
  const form = eventForm({ submit: "Send", extra: close, onsubmit: (eventType, value) => dispatch({ type: "send", form: "send", eventType, text: value }) });
  const sent = h("p", { class: "hint", role: "status" });
  const node = h("dialog", { "aria-labelledby": "send-title", onclose: () => dispatch({ type: "dismiss", form: "send" }) }, h("h2", { id: "send-title" }, "Send an event to this run"), form.node, sent);
  const offer = memo((details) => form.offer(sendable(details)));
  return {
    node,
    show: () => node.showModal(),
    draw(details, state = IDLE, over) {
      offer(details);
      form.draw(state);
      text(sent, state.done > 0 ? `${state.done} sent.` : "");
      if (node.open && over) node.close();
    },
  };
}

function cancelDialog(dispatch) {
  const keep = h("button", { type: "button", onclick: () => node.close() }, "Keep it running");
  const sure = h("button", { type: "button", class: "danger solid", onclick: () => dispatch({ type: "cancel" }) }, "Cancel the run");
  const problem = h("p", { class: "problem", role: "alert" });
  const node = h(
    "dialog",
    { "aria-labelledby": "cancel-title", onclose: () => dispatch({ type: "dismiss", form: "cancel" }) },
    h("h2", { id: "cancel-title" }, "Cancel this run?"),
    h("p", {}, "Its steps are stopped where they are. The events up to then stay."),
    problem,
    h("div", { class: "row end" }, keep, sure),
  );
  return {
    node,
    show: () => node.showModal(),
    draw(state = IDLE, over) {
      text(problem, state.error);
      sure.disabled = state.busy;
      if (node.open && over) node.close();
    },
  };
}

function makeQuestion(dispatch) {
  const prompt = h("h2");
  const rest = h("dl", { class: "pairs" });
  const more = h("p", { class: "hint" });
  let sequence = 0;
  const form = eventForm({ submit: "Answer", onsubmit: (eventType, value) => dispatch({ type: "send", form: "answer", eventType, text: value, question: sequence }) });
  const node = h("section", { class: "card question", "aria-label": "Open question", hidden: true }, prompt, rest, form.node, more);
  const drawQuestion = memo((question) => {
    if (!question && node.contains(document.activeElement)) node.closest("article").querySelector("h1").focus();
    node.hidden = !question;
    if (!question) return;
    sequence = question.sequence;
    const found = asked(question);
    text(prompt, found.prompt);
    rest.replaceChildren(...found.rest.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
  });
  const offer = memo((details, _question) => form.offer(sendable(details)));
  return {
    node,
    draw(question, count, details, state = IDLE) {
      drawQuestion(question);
      offer(details, question);
      form.draw(state);
      text(more, count > 1 ? `${count - 1} more open after this.` : "");
    },
  };
}

function makeOutcome() {
  const title = h("h2");
  const note = h("span", { class: "note" });
  const body = h("div");
  const node = h("section", { class: "card outcome", "aria-label": "Outcome", hidden: true }, h("div", { class: "title" }, title, note), body);
  const draw = memo((_handler, _result, _over, found) => {
    node.hidden = found === null;
    if (found === null) return;
    attribute(node, "class", `card outcome ${found.kind}`);
    text(title, found.title);
    text(note, found.note);
    body.replaceChildren(h("pre", { tabindex: "0", "aria-label": found.title, class: found.json === undefined ? "prose" : "" }, ...(found.json === undefined ? [found.text] : coloured(found.json, layout))));
  });
  let last = null;
  return {
    node,
    draw(handler, result, over, run) {
      if (last?.handler !== handler || last.result !== result || last.over !== over) last = { handler, result, over, found: outcome(run) };
      draw(handler, result, over, last.found);
    },
  };
}

function makeEvents(dispatch) {
  const count = h("span", { class: "count" });
  const stream = h("span", { class: "stream" });
  const internal = h("input", { type: "checkbox", onchange: () => dispatch({ type: "internal", show: internal.checked }) });
  const none = h("p", { class: "hint" });
  const log = makeLog();
  const bar = h("div", { class: "bar" }, h("h2", {}, "Events ", count), stream, h("label", { class: "check" }, internal, "Internal events"));
  return {
    node: h("section", { class: "card events", "aria-label": "Events" }, bar, none, log.node),
    draw(run, showInternal, state) {
      const records = showInternal ? run.events : run.shown;
      const hidden = run.events.length - records.length;
      internal.checked = showInternal;
      text(count, `${records.length.toLocaleString("en")}`);
      text(stream, state === "live" && ended(run) ? "Loading…" : STREAMS[state]);
      attribute(stream, "data-state", state);
      none.hidden = records.length > 0;
      text(none, hidden > 0 ? `Nothing but ${hidden} internal events so far.` : state === "done" ? "This run has no events." : "No events yet.");
      log.node.hidden = records.length === 0;
      log.draw(records, state !== "done" && !ended(run));
    },
  };
}

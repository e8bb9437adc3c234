/**
 * The run on the page: a fold over its events and over what the server says of its handler.
 *
 * Events come in order of their sequence; after a reconnect some may come twice and count once. Their JSON stays
 * text until somebody looks at it. From the step-state events follow the executions: one *item* for each event that
 * a step works on, with *spans* of time (queued, running, waiting, delayed), one running span for each attempt.
 */

import { pick } from "./json.js";

const ENDS = new Set(["completed", "failed", "cancelled"]);
const MARKS = 400; // Times of published events that an execution keeps; more could not be told apart.

/** The state of a run of which nothing but the handler's id is known yet. */
export function freshRun(id) {
  return {
    id,
    handler: null,
    result: null, // The result's envelope as text.
    load: "loading", // loading | ready | missing | error
    error: "",
    events: [],
    shown: [], // Those that are not internal.
    items: new Map(), // Executions by number, in the order of their beginning.
    open: new Set(), // Numbers of those that are not over.
    last: -1, // Sequence of the newest event.
    over: false, // The event that ends the run was seen.
    stream: "off", // off | connecting | live | reconnecting | done
    progressed: false, // Whether the present connection brought anything.
    attempt: 0, // Connections in a row that failed or brought nothing.
    questions: [], // Open ones that a step returned, oldest first.
    waits: [], // Open waits of steps, as the server lists them.
    idle: false, // The run said that it waits for the outside.
    answers: [], // Questions answered here whose answer was not seen to arrive yet.
    suspensions: 0, // How often a step began or ended to wait.
    input: null, // { load, text }
    store: null, // { load, text, before }: what `ctx.store` holds, and held when it was looked at before.
  };
}

/** Whether the server says that the run has ended. */
export const ended = (run) => run.handler !== null && ENDS.has(run.handler.status);

/** Milliseconds since the epoch, with fractions, of an ISO time; `NaN` for none. */
export function time(iso) {
  const [, whole, digits = "0", zone] = /^(.{19})(?:\.(\d+))?(.*)$/.exec(iso ?? "") ?? [];
  return whole ? Date.parse(whole + (zone || "Z")) + Number(`0.${digits}`) * 1000 : NaN;
}

/** One event as it came: its sequence, its JSON, and what the page needs of it at once. */
export function record(sequence, text) {
  const { type, types, value, timestamp, item = null, attempt, failure } = JSON.parse(text);
  const family = [type, ...(types ?? [])];
  const internal = family.includes("InternalDispatchEvent");
  const step = internal && type === "StepStateChanged" && item !== null;
  return {
    sequence,
    text,
    type,
    internal,
    stops: family.includes("StopEvent"),
    asks: family.includes("InputRequiredEvent"),
    at: time(timestamp),
    item,
    step: step ? { name: value.name, is: value.step_state, worker: value.worker_id, input: value.input_event_name, output: value.output_event_name, attempt, failure } : null,
  };
}

/** Add events to the run. `answered` holds the sequences of questions answered in this browser. */
export function withEvents(run, records, answered = []) {
  const added = records.filter((one, index) => one.sequence > (index === 0 ? run.last : Math.max(run.last, records[index - 1].sequence)));
  if (added.length === 0) return run;
  const next = { ...run, items: new Map(run.items), open: new Set(run.open) };
  const fresh = new Set(); // Items that are copies already.
  let before = run.events.at(-1);
  for (const one of added) {
    next.over ||= one.stops;
    follow(next, one, before, answered);
    if (one.item !== null) execute(next, one, fresh);
    if (one.stops) for (const id of [...next.open]) stop(change(next, id, fresh), one.at, next);
    before = one;
  }
  const visible = added.filter((one) => !one.internal);
  next.last = before.sequence;
  next.events = run.events.concat(added);
  next.shown = visible.length > 0 ? run.shown.concat(visible) : run.shown;
  next.progressed = true;
  next.attempt = 0;
  return next;
}

/** The item of this number, to be changed: a copy, made once for each batch. */
function change(next, id, fresh) {
  const known = next.items.get(id);
  if (fresh.has(id)) return known;
  fresh.add(id);
  const copy = { ...known, spans: known.spans.map((span) => ({ ...span })), marks: [...known.marks] };
  next.items.set(id, copy);
  return copy;
}

function execute(next, { sequence, at, item: id, step }, fresh) {
  if (!next.items.has(id)) {
    if (!step) return;
    const { name, input } = step;
    fresh.add(id);
    next.items.set(id, { id, step: name, input, sequence, is: "", attempt: 1, output: null, failure: null, spans: [], marks: [] });
  }
  const item = change(next, id, fresh);
  if (!step) {
    if (item.marks.length < MARKS) item.marks.push(at);
    return;
  }
  const span = item.spans.at(-1);
  if (span && span.to === null) {
    span.to = at;
    if (step.is === "running" && span.kind === "running") span.cut = true; // The process died; the step runs again.
  }
  item.attempt = step.attempt ?? 1;
  next.open.add(id);
  const add = (kind) => item.spans.push({ kind, from: at, to: null, sequence, attempt: item.attempt, worker: step.worker });
  if (step.is === "preparing") add((item.is = "queued"));
  else if (step.is === "running") add((item.is = "running"));
  else if (step.failure) {
    Object.assign(item, { is: "failed", failure: step.failure });
    if (span) span.failure = step.failure;
    add("delayed");
  } else if (step.output === null) {
    add((item.is = "waiting"));
    next.suspensions += 1;
  } else {
    Object.assign(item, { is: "done", output: step.output, failure: null });
    next.open.delete(id);
  }
  if (step.is === "running" && span?.kind === "waiting") next.suspensions += 1;
}

/** The run is over: whatever is open ends here. */
function stop(item, at, next) {
  const span = item.spans.at(-1);
  if (span.kind === "delayed") item.spans.pop();
  else Object.assign(span, { to: at, cut: true });
  if (item.is !== "failed") item.is = "stopped";
  next.open.delete(item.id);
}

/**
 * Keep the list of open questions that a step returned (waits are listed by the server).
 *
 * No event says "answered". But a run that is idle goes on only when something reaches it from
 * outside, so the first event after idleness closes the newest question, unless an answer given
 * on this page has closed it already.
 */
function follow(next, one, before, answered) {
  if (one.stops) {
    next.questions = [];
    next.waits = [];
  } else if (one.type === "WorkflowIdleEvent") {
    next.idle = true;
    next.answers = [];
  } else if (one.type === "UnhandledEvent") {
    next.questions = [...next.answers, ...next.questions]; // Nobody took the answer: ask again.
    next.answers = [];
  } else if (next.idle) {
    const waited = one.step && next.items.get(one.item)?.is === "waiting"; // That was the answer to a wait.
    if (next.answers.length > 0) next.answers = next.answers.slice(1);
    else if (!waited) next.questions = next.questions.slice(0, -1);
    next.idle = false;
  }
  if (one.asks && before?.step?.output === one.type && !answered.includes(one.sequence)) next.questions = [...next.questions, one];
}

/** The question with this sequence was answered here. */
export function withAnswer(run, sequence) {
  const given = run.questions.filter((one) => one.sequence === sequence);
  const questions = run.questions.filter((one) => one.sequence !== sequence);
  return given.length > 0 ? { ...run, questions, answers: [...run.answers, ...given] } : run;
}

/** All that is asked of people now: what a step returned as a question, and what steps wait for; the newest first. */
export function asking(run) {
  if (ended(run)) return [];
  const last = run.shown.findLast((one) => one.asks); // The prompt of a wait may have been published by hand.
  const waits = run.waits.map(({ waiter_id: waiter, step, type, schema, deadline, prompt }) => {
    const value = prompt ? JSON.stringify(prompt.value) : last ? pick(last.text, "value") : null;
    return { key: `wait ${waiter}`, waiter, step, type, schema, deadline, prompt: value };
  });
  const returned = run.questions.map((one) => ({ key: `event ${one.sequence}`, question: one.sequence, prompt: pick(one.text, "value") }));
  return [...returned, ...waits].reverse();
}

/** What the server says of the run. A handler that was continued has a new run, whose events count anew. */
export function withHandler(run, handler, text) {
  const base = run.handler !== null && run.handler.run_id !== handler.run_id ? freshRun(run.id) : run;
  const over = ENDS.has(handler.status);
  return {
    ...base,
    handler,
    result: handler.result ? pick(text, "result") : null,
    load: "ready",
    error: "",
    questions: over ? [] : base.questions,
    waits: over ? [] : base.waits,
  };
}

/** One word for the run's state: a status, `queued`, `waiting` for a person, `blocked`, or nothing while it is unknown. */
export function condition(run) {
  if (run.handler === null) return "";
  if (run.handler.phase === "blocked") return "blocked";
  if (run.handler.phase === "queued" && run.events.length === 0) return "queued"; // Its first event tells that it began.
  return !ended(run) && run.questions.length + run.waits.length > 0 ? "waiting" : run.handler.status;
}

/**
 * The run on the page: a fold over its events and over what the server says of its handler.
 *
 * After a reconnect some events may come twice and count once. Their JSON stays text until somebody looks at it. From the
 * step-state events follow the executions: an *item* for each event that a step works on, with *spans* of time (queued,
 * running, waiting, delayed until the next attempt), one running span for each attempt.
 */

import { pick } from "./json.js";

/** The state of a run of which nothing but the handler's id is known yet. */
export const freshRun = (id) => ({
  id,
  handler: null,
  result: null, // The result's envelope as text.
  load: "loading", // loading | ready | missing | error
  error: "",
  events: [],
  shown: [], // Those that are not internal.
  items: new Map(), // Executions by number, in the order of their beginning.
  over: false, // The event that ends the run was seen.
  stream: "off", // off | connecting | live | reconnecting | done
  progressed: false, // Whether the present connection brought anything.
  attempt: 0, // Connections in a row that failed or brought nothing.
  questions: [], // Open ones that a step returned, oldest first.
  answers: [], // Questions answered here whose answer was not seen to arrive yet.
  waits: [], // Open waits of steps, as the server lists them.
  idle: false, // The run said that it waits for the outside.
  input: null, // { text, error }
  store: null, // { text, before, error }: what `ctx.store` holds, and held when it was looked at before.
});

/** Whether the server says that the run has ended. */
export const ended = ({ handler }) => handler !== null && handler.status !== "running";

/** Milliseconds since the epoch, with fractions, of an ISO time; `NaN` for none. */
export function time(iso) {
  const [, whole, digits = "0", zone] = /^(.{19})(?:\.(\d+))?(.*)$/.exec(iso ?? "") ?? [];
  return whole ? Date.parse(whole + (zone || "Z")) + Number(`0.${digits}`) * 1000 : NaN;
}

const STATES = { preparing: "queued", running: "running" };

/** One event as it came: its sequence, its JSON, and what the page needs of it at once. */
export function record(sequence, text) {
  const { type, types, value, timestamp, item = null, attempt, failure } = JSON.parse(text);
  const family = [type, ...(types ?? [])];
  const internal = family.includes("InternalDispatchEvent");
  const { name, step_state: state, input_event_name: input, output_event_name: output } = value ?? {};
  const is = STATES[state] ?? (failure ? "failed" : output ? "done" : "waiting");
  const step = internal && type === "StepStateChanged" && item !== null ? { name, is, input, output, attempt: attempt ?? 1, failure } : null;
  return { sequence, text, type, internal, step, item, at: time(timestamp), stops: family.includes("StopEvent"), asks: family.includes("InputRequiredEvent") };
}

/** Add events to the run. `answered` holds the sequences of questions answered in this browser. */
export function withEvents(run, records, answered = []) {
  const next = { ...run, items: new Map(run.items), events: [...run.events], progressed: true, attempt: 0 };
  for (const one of records) {
    const before = next.events.at(-1);
    if (one.sequence <= (before?.sequence ?? -1)) continue;
    follow(next, one, before, answered);
    if (one.step) execute(next.items, one);
    if (one.stops) stop(next, one.at);
    next.events.push(one);
  }
  next.shown = next.events.filter((one) => !one.internal);
  return next.events.length > run.events.length ? next : run;
}

function execute(items, { sequence, at, item: id, step: { name, is, input, output, attempt, failure } }) {
  const known = items.get(id) ?? { id, step: name, input, sequence, failure: null, spans: [] };
  const spans = [...known.spans];
  const last = spans.at(-1);
  // Running after running: the process died, and the step runs again.
  if (last?.to === null) spans.push({ ...spans.pop(), to: at, failure, cut: is === "running" && last.kind === "running" });
  if (is !== "done") spans.push({ kind: is === "failed" ? "delayed" : is, from: at, to: null, sequence, attempt });
  items.set(id, { ...known, is, attempt, output, spans, failure: is === "done" ? null : (failure ?? known.failure) });
}

/** The run is over: whatever is open ends here. */
function stop(run, at) {
  run.over = true;
  for (const [id, { spans, is, ...rest }] of run.items) {
    const last = spans.at(-1);
    if (last.to !== null) continue;
    const cut = last.kind === "delayed" ? [] : [{ ...last, to: at, cut: true }];
    run.items.set(id, { ...rest, is: is === "failed" ? is : "stopped", spans: [...spans.slice(0, -1), ...cut] });
  }
}

/**
 * Keep the list of open questions that a step returned (waits are listed by the server). No event says "answered". But a
 * run that is idle goes on only when something reaches it from outside, so the first event after idleness closes the newest
 * question, unless it was the answer to a wait, or an answer given on this page has closed one already.
 */
function follow(next, one, before, answered) {
  if (one.stops) Object.assign(next, { questions: [], waits: [] });
  else if (one.type === "WorkflowIdleEvent") Object.assign(next, { idle: true, answers: [] });
  else if (one.type === "UnhandledEvent") Object.assign(next, { questions: [...next.answers, ...next.questions], answers: [] }); // Nobody took it.
  else if (next.idle) {
    const waited = one.step && next.items.get(one.item)?.is === "waiting";
    if (next.answers.length > 0) next.answers = next.answers.slice(1);
    else if (!waited) next.questions = next.questions.slice(0, -1);
    next.idle = false;
  }
  if (one.asks && before?.step?.output === one.type && !answered.includes(one.sequence)) next.questions = [...next.questions, one];
}

/** The question with this sequence was answered here. */
export function withAnswer(run, sequence) {
  const [given, questions] = [true, false].map((yes) => run.questions.filter((one) => (one.sequence === sequence) === yes));
  return { ...run, questions, answers: [...run.answers, ...given] };
}

/** All that is asked of people now: what a step returned as a question, and what steps wait for; the newest first. */
export function asking(run) {
  if (ended(run)) return [];
  const last = run.shown.findLast((one) => one.asks); // The prompt of a wait may have been published by hand.
  const waits = run.waits.map(({ waiter_id: waiter, prompt, ...rest }) => {
    const value = prompt ? JSON.stringify(prompt.value) : last ? pick(last.text, "value") : null;
    return { ...rest, key: `wait ${waiter}`, waiter, prompt: value };
  });
  const returned = run.questions.map((one) => ({ key: `event ${one.sequence}`, question: one.sequence, prompt: pick(one.text, "value") }));
  return [...returned, ...waits].reverse();
}

/** What the server says of the run. A handler that was continued has a new run, whose events count anew. */
export function withHandler(run, handler, text) {
  const base = run.handler !== null && run.handler.run_id !== handler.run_id ? freshRun(run.id) : run;
  const next = { ...base, handler, result: handler.result ? pick(text, "result") : null, load: "ready", error: "" };
  return ended(next) ? { ...next, questions: [], waits: [] } : next;
}

/** One word for the run's state: a status, `queued`, `waiting` for a person, `blocked`, or nothing while it is unknown. */
export function condition(run) {
  if (run.handler === null) return "";
  const { status, phase } = run.handler;
  if (phase === "blocked" || (phase === "queued" && run.events.length === 0)) return phase; // Its first event tells that it began.
  return status === "running" && run.questions.length + run.waits.length > 0 ? "waiting" : status;
}

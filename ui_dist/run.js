/** The run on the page, a fold over its events and what the server says of its handler, and how it is told. */

import { pick, plain, fieldsOf } from "./json.js";

export const freshRun = (id) => ({
  id,
  handler: null,
  result: null,
  load: "loading", // loading | ready | missing | error
  error: "",
  events: [],
  shown: [],
  items: new Map(),
  over: false,
  stream: "off", // off | connecting | live | reconnecting | done
  attempt: 0,
  questions: [],
  answers: [],
  waits: [],
  idle: false,
  input: null,
  store: null,
});

export const ended = ({ handler }) => handler !== null && handler.status !== "running";

export function time(iso) {
  const [, whole, digits = "0", zone] = /^(.{19})(?:\.(\d+))?(.*)$/.exec(iso ?? "") ?? [];
  return whole ? Date.parse(whole + (zone || "Z")) + Number(`0.${digits}`) * 1000 : NaN;
}

const STATES = { preparing: "queued", running: "running" };

export function record(sequence, text) {
  const { type, types, value, timestamp, item = null, attempt, failure } = JSON.parse(text);
  const family = [type, ...(types ?? [])];
  const internal = family.includes("InternalDispatchEvent");
  const { name, step_state: state, input_event_name: input, output_event_name: output } = value ?? {};
  const is = STATES[state] ?? (failure ? "failed" : output ? "done" : "waiting");
  const step = internal && type === "StepStateChanged" && item !== null ? { name, is, input, output, attempt: attempt ?? 1, failure } : null;
  return { sequence, text, type, internal, step, item, at: time(timestamp), stops: family.includes("StopEvent"), asks: family.includes("InputRequiredEvent") };
}

export function withEvents(run, records, answered = []) {
  const next = { ...run, items: new Map(run.items), events: [...run.events], attempt: 0 };
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
 * Keep the open questions that a step returned. No event says "answered"; but an idle run goes on only when something reaches it,
 * so the first event after idleness closes the newest, unless it answered a wait, or an answer given here has closed one.
 */
function follow(next, one, before, answered) {
  if (one.stops) Object.assign(next, { questions: [], waits: [] });
  else if (one.type === "WorkflowIdleEvent") Object.assign(next, { idle: true, answers: [] });
  else if (one.type === "UnhandledEvent") Object.assign(next, { questions: [...next.answers, ...next.questions], answers: [] });
  else if (next.idle) {
    const waited = one.step && next.items.get(one.item)?.is === "waiting";
    if (next.answers.length > 0) next.answers = next.answers.slice(1);
    else if (!waited) next.questions = next.questions.slice(0, -1);
    next.idle = false;
  }
  if (one.asks && before?.step?.output === one.type && !answered.includes(one.sequence)) next.questions = [...next.questions, one];
}

export function withAnswer(run, sequence) {
  const [given, questions] = [true, false].map((yes) => run.questions.filter((one) => (one.sequence === sequence) === yes));
  return { ...run, questions, answers: [...run.answers, ...given] };
}

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

export function withHandler(run, handler, text) {
  const base = run.handler !== null && run.handler.run_id !== handler.run_id ? freshRun(run.id) : run;
  const next = { ...base, handler, result: handler.result ? pick(text, "result") : null, load: "ready", error: "" };
  return ended(next) ? { ...next, questions: [], waits: [] } : next;
}

export function condition(run) {
  if (run.handler === null) return "";
  const { status, phase } = run.handler;
  if (phase === "blocked" || (phase === "queued" && run.events.length === 0)) return phase;
  return status === "running" && run.questions.length + run.waits.length > 0 ? "waiting" : status;
}

/** A state in a word, as a title. */
export const title = (word) => (word === "idle" ? "Waiting" : word.slice(0, 1).toUpperCase() + word.slice(1));

export const count = (number, thing = "") => `${number.toLocaleString("en")}${thing && ` ${thing}${number === 1 ? "" : "s"}`}`;

export function outcome(run) {
  if (condition(run) === "blocked") return { kind: "blocked", heading: "Blocked", note: "It is tried again when the server starts again", text: run.handler.error ?? "" };
  if (!ended(run)) return null;
  const { status: kind, error, result_unreadable: unreadable } = run.handler;
  if (kind === "completed") return { kind, heading: "Result", ...result(run.result, unreadable) };
  const end = run.events.findLast((one) => one.stops);
  const text = error || (kind === "failed" ? "The exception had no message." : "The run was stopped before it ended.");
  return { kind, heading: title(kind), note: end ? lastWords(end) : "", text };
}

function result(envelope, unreadable) {
  if (unreadable || envelope === null) return { note: "", text: unreadable ? "The stored result can't be read." : "The server kept no result." };
  const { type } = JSON.parse(envelope);
  if (type !== "StopEvent") return { note: type, json: pick(envelope, "value") };
  const json = pick(envelope, "value", "result") ?? "null";
  const text = json.length > 2 && json[0] === '"' ? plain(json) : undefined;
  const note = { '"': "string", "{": "object", "[": "list", n: "None", t: "boolean", f: "boolean" }[json[0]] ?? "number";
  return text === undefined ? { note, json } : { note, text };
}

function lastWords({ type, text }) {
  const { active_steps: steps = [], step_name: step, exception, attempts } = JSON.parse(text).value;
  if (type === "WorkflowTimedOutEvent") return `Active when time ran out: ${steps.join(", ") || "no step"}`;
  return step ? `Step ${step} raised ${errorName(exception)}${attempts > 1 ? ` after ${attempts} attempts` : ""}` : "";
}

const errorName = (dumped) => (dumped?.exception_type ?? "an error").replace(/^builtins\./, "");

export const errorWords = (dumped) => `${errorName(dumped)}: ${dumped.exception_message}`;

export function summary({ text, step }) {
  if (text.length > 20_000) return `${count(text.length, "character")} of JSON`;
  if (!step) return fieldsOf(pick(text, "value")).map(([name, json]) => `${name}: ${short(plain(json).replace(/\s+/g, " "))}`).join(", ");
  const { name, is, input, output, attempt, failure } = step;
  return `${name} ${is}: ${failure ? errorWords(failure) : [input, output].filter(Boolean).join(" → ")}${attempt > 1 ? ` (attempt ${attempt})` : ""}`;
}

const short = (text) => (text.length > 160 ? `${text.slice(0, 160)}…` : text);

export function asked(value) {
  const found = fieldsOf(value);
  const texts = found.filter(([, json]) => json[0] === '"');
  const named = ["prompt", "question", "message", "prefix", "text"].map((key) => texts.find(([name]) => name === key)).find(Boolean);
  const prompt = named ?? (texts.length === 1 ? texts[0] : undefined);
  const rest = found.filter((pair) => pair !== prompt);
  return { prompt: plain(prompt?.[1]).trim(), rest: rest.map(([name, json]) => [name, plain(json)]) };
}

export function matching({ events, shown, items }, internal, focus, words) {
  const wanted = words.trim().toLowerCase();
  return (internal ? events : shown).filter(
    ({ item, type, text }) => (!focus || (focus.kind === "type" ? type : items.get(item)?.step) === focus.name) && (!wanted || text.toLowerCase().includes(wanted)),
  );
}

export const rowsOf = ({ items }, focus) => [...items.values()].filter((one) => !focus || (focus.kind === "step" ? [one.step] : [one.input, one.output]).includes(focus.name));

export function tally({ items, shown }) {
  const steps = {};
  const [sent, returned, taken] = [{}, {}, {}];
  const add = (counts, key) => (counts[key] = (counts[key] ?? 0) + 1);
  for (const { type } of shown) add(sent, type);
  for (const { step, is, input, output, attempt, failure } of items.values()) {
    const found = (steps[step] ??= {});
    add(found, "count");
    add(found, is);
    if (attempt > 1 || (failure && is !== "failed")) add(found, "retried");
    if (output) add(returned, output);
    add((taken[step] ??= {}), input);
  }
  const types = {};
  for (const counts of [sent, returned, ...Object.values(taken)]) for (const type in counts) types[type] = Math.max(types[type] ?? 0, counts[type]);
  return { steps, types };
}

export const tint = (name) => `hue-${[...name].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 9973, 7) % 6}`;

export function hue({ type, internal, asks, stops }) {
  if (internal || type === "WorkflowCancelledEvent") return "internal";
  if (asks) return "asks";
  return stops ? (/Failed|TimedOut/.test(type) ? "fails" : "stops") : tint(type);
}

const FULL = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
const DAY = { day: "numeric", month: "short" };

export function clock(iso, now, digits) {
  const date = new Date(iso);
  const today = date.toDateString() === new Date(now).toDateString();
  return date.toLocaleString([], { ...FULL, ...(!today && DAY), fractionalSecondDigits: digits });
}

export function span(ms) {
  if (!(ms >= 0)) return "0 ms";
  if (ms < 9.95) return `${Number(ms.toFixed(ms < 0.995 ? 2 : 1))} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(ms < 10_000 ? 2 : 1))} s`;
  const [unit, size, small, part] = ms < 36e5 ? ["min", 6e4, "s", 1e3] : ms < 1728e5 ? ["h", 36e5, "min", 6e4] : ["d", 864e5, "h", 36e5];
  const rest = Math.floor((ms % size) / part);
  return `${Math.floor(ms / size)} ${unit}${rest ? ` ${rest} ${small}` : ""}`;
}

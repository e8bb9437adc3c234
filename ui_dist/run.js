/**
 * The run on the page: a fold over its events and over what the server says of its handler.
 *
 * Events come in order of their sequence; after a reconnect some may come twice and count once.
 * Their JSON stays text until somebody looks at it.
 */

import { members, pick } from "./json.js";

const ENDS = new Set(["completed", "failed", "cancelled"]);

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
    last: -1, // Sequence of the newest event.
    over: false, // The event that ends the run was seen.
    stream: "off", // off | connecting | live | reconnecting | done
    progressed: false, // Whether the present connection brought anything.
    attempt: 0, // Connections in a row that failed or brought nothing.
    questions: [], // Open ones, oldest first.
    idle: false, // The run said that it waits for the outside.
    answers: [], // Questions answered here whose answer was not seen to arrive yet.
  };
}

/** Whether the server says that the run has ended. */
export const ended = (run) => run.handler !== null && ENDS.has(run.handler.status);

/** One event as it came: its sequence, its JSON, and what the page needs of it at once. */
export function record(sequence, text) {
  const { type, types } = JSON.parse(text);
  const family = [type, ...(types ?? [])];
  return {
    sequence,
    text,
    type,
    internal: family.includes("InternalDispatchEvent"),
    stops: family.includes("StopEvent"),
    asks: family.includes("InputRequiredEvent"),
  };
}

/** Add events to the run. `answered` holds the sequences of questions answered in this browser. */
export function withEvents(run, records, answered = []) {
  const added = [];
  const next = { ...run };
  for (const one of records) {
    if (one.sequence <= next.last) continue;
    added.push(one);
    next.last = one.sequence;
    next.over ||= one.stops;
    follow(next, one, answered);
  }
  if (added.length === 0) return run;
  const visible = added.filter((one) => !one.internal);
  next.events = run.events.concat(added);
  next.shown = visible.length > 0 ? run.shown.concat(visible) : run.shown;
  next.progressed = true;
  next.attempt = 0;
  return next;
}

/**
 * Keep the list of open questions.
 *
 * No event says "answered". But a run that is idle goes on only when something reaches it from
 * outside, so the first event after idleness closes the newest question, unless an answer given
 * on this page has closed it already.
 */
function follow(next, one, answered) {
  if (one.stops) {
    next.questions = [];
  } else if (one.type === "WorkflowIdleEvent") {
    next.idle = true;
    next.answers = [];
  } else if (one.type === "UnhandledEvent") {
    next.questions = [...next.answers, ...next.questions]; // Nobody took the answer: ask again.
    next.answers = [];
  } else if (next.idle) {
    if (next.answers.length > 0) next.answers = next.answers.slice(1);
    else next.questions = next.questions.slice(0, -1);
    next.idle = false;
  }
  if (one.asks && !answered.includes(one.sequence)) next.questions = [...next.questions, one];
}

/** The question with this sequence was answered here. */
export function withAnswer(run, sequence) {
  const given = run.questions.filter((one) => one.sequence === sequence);
  const questions = run.questions.filter((one) => one.sequence !== sequence);
  return given.length > 0 ? { ...run, questions, answers: [...run.answers, ...given] } : run;
}

/** What the server says of the run. A handler that was continued has a new run, whose events count anew. */
export function withHandler(run, handler, text) {
  const base = run.handler !== null && run.handler.run_id !== handler.run_id ? freshRun(run.id) : run;
  return {
    ...base,
    handler,
    result: handler.result ? pick(text, "result") : null,
    load: "ready",
    error: "",
    questions: ENDS.has(handler.status) ? [] : base.questions,
  };
}

/** One word for the run's state: a status, `waiting` for a person, `blocked`, or nothing while it is unknown. */
export function condition(run) {
  if (run.handler === null) return "";
  if (run.handler.phase === "blocked") return "blocked";
  return run.questions.length > 0 ? "waiting" : run.handler.status;
}

/**
 * How the run ended, or why it can't go on: `kind`, `title`, `note` (which step, how often), and either `text` for
 * people or `json`. `null` while it goes on.
 */
export function outcome(run) {
  if (condition(run) === "blocked") return { kind: "blocked", title: "Blocked", note: "", text: run.handler.error ?? "" };
  if (!ended(run)) return null;
  const { status, error, result_unreadable: unreadable } = run.handler;
  if (status === "completed") return completed(run, unreadable);
  const end = run.events.findLast((one) => one.stops);
  const note = end ? lastWords(end) : "";
  if (status === "cancelled") return { kind: status, title: "Cancelled", note, text: error ?? "The run was stopped before it ended." };
  return { kind: status, title: "Failed", note, text: error || "The server gave no reason." };
}

function completed(run, unreadable) {
  const found = { kind: "completed", title: "Result" };
  if (unreadable || run.result === null) {
    return { ...found, note: "", text: unreadable ? "The stored result can't be read." : "The server kept no result." };
  }
  const { type } = JSON.parse(run.result);
  const value = pick(run.result, "value") ?? "null";
  if (type !== "StopEvent") return { ...found, note: type, json: value };
  const json = pick(value, "result") ?? "null";
  if (json.length > 2 && json[0] === '"') return { ...found, note: "string", text: JSON.parse(json) };
  return { ...found, note: kindOf(json), json };
}

function lastWords(end) {
  const value = JSON.parse(pick(end.text, "value") ?? "{}");
  if (end.type === "WorkflowTimedOutEvent") {
    const steps = value.active_steps ?? [];
    return steps.length > 0 ? `Active when time ran out: ${steps.join(", ")}` : "No step was active when time ran out";
  }
  if (!value.step_name) return "";
  const name = (value.exception?.exception_type ?? "an error").replace(/^builtins\./, "");
  const times = value.attempts > 1 ? ` after ${value.attempts} attempts` : "";
  return `Step ${value.step_name} raised ${name}${times}`;
}

function kindOf(json) {
  if (json === "null") return "None";
  if (json === "true" || json === "false") return "boolean";
  return { '"': "string", "{": "object", "[": "list" }[json[0]] ?? "number";
}

/** The fields of an event as pairs of name and JSON text, free-form extras among them. */
export function fieldsOf(one) {
  const value = pick(one.text, "value") ?? "{}";
  if (!value.startsWith("{")) return [["value", value]];
  return members(value).flatMap(([name, json]) => (name === "_data" ? members(json) : [[name, json]]));
}

const STEP_WORDS = { preparing: "queued", running: "began", not_running: "ended" };

/** An event in one line. Long ones are cut; nobody reads a megabyte in a line. */
export function summary(one) {
  if (one.text.length > 20_000) return `${one.text.length.toLocaleString("en")} characters of JSON`;
  const found = fieldsOf(one);
  if (one.type === "StepStateChanged") {
    const { name, step_state, input_event_name, output_event_name } = JSON.parse(one.text).value;
    const change = [input_event_name, output_event_name].filter(Boolean).join(" → ");
    return `${name} ${STEP_WORDS[step_state] ?? step_state}: ${change}`;
  }
  return found.map(([name, json]) => `${name}: ${short(json)}`).join(", ");
}

function short(json) {
  const flat = json[0] === '"' ? JSON.parse(json).replace(/\s+/g, " ") : json;
  return flat.length > 160 ? `${flat.slice(0, 160)}…` : flat;
}

/** What a question asks, and its other fields as pairs of name and text. */
export function asked(question) {
  const found = fieldsOf(question);
  const texts = found.filter(([, json]) => json[0] === '"');
  const prompt =
    ["prompt", "question", "message", "prefix", "text"].map((key) => texts.find(([name]) => name === key)).find(Boolean) ??
    (texts.length === 1 ? texts[0] : undefined);
  const rest = found.filter((pair) => pair !== prompt);
  return {
    prompt: prompt ? JSON.parse(prompt[1]).trim() : "The run waits for an answer.",
    rest: rest.map(([name, json]) => [name, json[0] === '"' ? JSON.parse(json) : json]),
  };
}

/** A colour family for a type: what ends a run, asks, or is internal has its own; the rest share six. */
export function hue(one) {
  if (one.internal) return "internal";
  if (one.asks) return "asks";
  if (one.stops) return one.type === "WorkflowFailedEvent" || one.type === "WorkflowTimedOutEvent" ? "fails" : one.type === "WorkflowCancelledEvent" ? "internal" : "stops";
  let sum = 0;
  for (const letter of one.type) sum = (sum * 31 + letter.charCodeAt(0)) % 9973;
  return `hue-${sum % 6}`;
}

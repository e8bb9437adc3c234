/** What there is to tell of a run, in words, numbers and colours. */

import { fieldsOf, pick, plain } from "./json.js";
import { condition, ended } from "./run.js";

export const WORDS = { running: "Running", queued: "Queued", waiting: "Waiting", idle: "Waiting", blocked: "Blocked", completed: "Completed", failed: "Failed", cancelled: "Cancelled" };

/** A number of things: `1 event`, `1,000 events`. */
export const count = (number, thing) => `${number.toLocaleString("en")} ${thing}${number === 1 ? "" : "s"}`;

/** How the run ended, or why it can't go on: `kind`, `title`, `note`, and `text` or `json`. `null` while it goes on. */
export function outcome(run) {
  if (condition(run) === "blocked") return { kind: "blocked", title: "Blocked", note: "It is tried again when the server starts again", text: run.handler.error ?? "" };
  if (!ended(run)) return null;
  const { status: kind, error, result_unreadable: unreadable } = run.handler;
  if (kind === "completed") return { kind, title: "Result", ...result(run.result, unreadable) };
  const end = run.events.findLast((one) => one.stops);
  const text = error || (kind === "failed" ? "The exception had no message." : "The run was stopped before it ended.");
  return { kind, title: WORDS[kind], note: end ? lastWords(end) : "", text };
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
  if (type === "WorkflowTimedOutEvent") return steps.length > 0 ? `Active when time ran out: ${steps.join(", ")}` : "No step was active when time ran out";
  return step ? `Step ${step} raised ${errorName(exception)}${attempts > 1 ? ` after ${attempts} attempts` : ""}` : "";
}

/** The class of a dumped exception, as people write it. */
const errorName = (dumped) => (dumped?.exception_type ?? "an error").replace(/^builtins\./, "");

export const errorWords = (dumped) => `${errorName(dumped)}: ${dumped.exception_message}`;

/** An event in one line. Long ones are cut; nobody reads a megabyte in a line. */
export function summary({ text, step }) {
  if (text.length > 20_000) return `${text.length.toLocaleString("en")} characters of JSON`;
  if (!step) return fieldsOf(pick(text, "value")).map(([name, json]) => `${name}: ${short(plain(json).replace(/\s+/g, " "))}`).join(", ");
  const { name, is, input, output, attempt, failure } = step;
  const what = { failed: () => `failed: ${errorWords(failure)}`, waiting: () => "waits", running: () => `began: ${input}`, queued: () => `queued: ${input}`, done: () => `ended: ${input} → ${output}` };
  return `${name} ${what[is]()}${attempt > 1 ? ` (attempt ${attempt})` : ""}`;
}

const short = (text) => (text.length > 160 ? `${text.slice(0, 160)}…` : text);

/** What a question (the JSON of its value, or `null`) asks, and its other fields as pairs of name and text. */
export function asked(value) {
  const found = fieldsOf(value);
  const texts = found.filter(([, json]) => json[0] === '"');
  const named = ["prompt", "question", "message", "prefix", "text"].map((key) => texts.find(([name]) => name === key)).find(Boolean);
  const prompt = named ?? (texts.length === 1 ? texts[0] : undefined);
  const rest = found.filter((pair) => pair !== prompt);
  return { prompt: plain(prompt?.[1]).trim(), rest: rest.map(([name, json]) => [name, plain(json)]) };
}

/** The events to list: `internal` ones or not, about the step or type in `focus`, and with `words` in them. */
export function matching({ events, shown, items }, internal, focus, words) {
  const wanted = words.trim().toLowerCase();
  return (internal ? events : shown).filter(
    ({ item, type, text }) => (!focus || (focus.kind === "type" ? type : items.get(item)?.step) === focus.name) && (!wanted || text.toLowerCase().includes(wanted)),
  );
}

/** The executions to draw: those of the step, or with the event type, in `focus`. */
export const rowsOf = ({ items }, focus) => [...items.values()].filter((one) => !focus || (focus.kind === "step" ? [one.step] : [one.input, one.output]).includes(focus.name));

/** How often each step ran and each type was seen: what the graph shows. */
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
    add((taken[step] ??= {}), input); // One event may be taken by several steps.
  }
  const types = {};
  for (const counts of [sent, returned, ...Object.values(taken)]) for (const type in counts) types[type] = Math.max(types[type] ?? 0, counts[type]);
  return { steps, types };
}

/** One of six colours for a name, the same everywhere. */
export const tint = (name) => `hue-${[...name].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 9973, 7) % 6}`;

/** A colour family for an event: what ends a run, asks, or is internal has its own; the rest share six. */
export function hue({ type, internal, asks, stops }) {
  if (internal || type === "WorkflowCancelledEvent") return "internal";
  if (asks) return "asks";
  return stops ? (/Failed|TimedOut/.test(type) ? "fails" : "stops") : tint(type);
}

const FULL = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
const DAY = { day: "numeric", month: "short" };

/** A time of day, with the date if it is not today's; `digits` of fractions of a second. */
export function clock(iso, now, digits) {
  const date = new Date(iso);
  const today = date.toDateString() === new Date(now).toDateString();
  return date.toLocaleString([], { ...FULL, ...(!today && DAY), fractionalSecondDigits: digits });
}

/** How long something took, from milliseconds, in at most two units. */
export function span(ms) {
  if (!(ms >= 0)) return "0 ms";
  if (ms < 9.95) return `${Number(ms.toFixed(ms < 0.995 ? 2 : 1))} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(ms < 10_000 ? 2 : 1))} s`;
  const [unit, size, small, part] = ms < 36e5 ? ["min", 6e4, "s", 1e3] : ms < 1728e5 ? ["h", 36e5, "min", 6e4] : ["d", 864e5, "h", 36e5];
  const rest = Math.floor((ms % size) / part);
  return `${Math.floor(ms / size)} ${unit}${rest ? ` ${rest} ${small}` : ""}`;
}

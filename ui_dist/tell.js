/** What is told of a run, in words, numbers and colours: its outcome, its events, its questions, how often what ran. */

import { members, pick } from "./json.js";
import { condition, ended } from "./run.js";

/**
 * How the run ended, or why it can't go on: `kind`, `title`, `note` (which step, how often), and either `text` for
 * people or `json`. `null` while it goes on.
 */
export function outcome(run) {
  if (condition(run) === "blocked") return { kind: "blocked", title: "Blocked", note: "It is tried again when the server starts again", text: run.handler.error ?? "" };
  if (!ended(run)) return null;
  const { status, error, result_unreadable: unreadable } = run.handler;
  if (status === "completed") return completed(run, unreadable);
  const end = run.events.findLast((one) => one.stops);
  const note = end ? lastWords(end) : "";
  if (status === "cancelled") return { kind: status, title: "Cancelled", note, text: error ?? "The run was stopped before it ended." };
  return { kind: status, title: "Failed", note, text: error || "The exception had no message." };
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
  const times = value.attempts > 1 ? ` after ${value.attempts} attempts` : "";
  return `Step ${value.step_name} raised ${errorName(value.exception)}${times}`;
}

/** The class of a dumped exception, as people write it. */
export const errorName = (dumped) => (dumped?.exception_type ?? "an error").replace(/^builtins\./, "");

function kindOf(json) {
  if (json === "null") return "None";
  if (json === "true" || json === "false") return "boolean";
  return { '"': "string", "{": "object", "[": "list" }[json[0]] ?? "number";
}

/** The fields of an event's value as pairs of name and JSON text, free-form extras among them. */
export function fieldsOf(value) {
  if (!value.startsWith("{")) return [["value", value]];
  return members(value).flatMap(([name, json]) => (name === "_data" ? members(json) : [[name, json]]));
}

const STEP_WORDS = { preparing: "queued", running: "began", not_running: "ended" };

/** An event in one line. Long ones are cut; nobody reads a megabyte in a line. */
export function summary(one) {
  if (one.text.length > 20_000) return `${one.text.length.toLocaleString("en")} characters of JSON`;
  if (one.step) {
    const { name, is, input, output, attempt, failure } = one.step;
    const times = attempt > 1 ? ` (attempt ${attempt})` : "";
    const end = failure ? `failed: ${errorName(failure)}: ${failure.exception_message}` : is === "not_running" && output === null ? "waits" : `${STEP_WORDS[is] ?? is}: ${[input, output].filter(Boolean).join(" → ")}`;
    return `${name} ${end}${times}`;
  }
  return fieldsOf(pick(one.text, "value") ?? "{}").map(([name, json]) => `${name}: ${short(json)}`).join(", ");
}

function short(json) {
  const flat = json[0] === '"' ? JSON.parse(json).replace(/\s+/g, " ") : json;
  return flat.length > 160 ? `${flat.slice(0, 160)}…` : flat;
}

/** What a question (the JSON of its value, or `null`) asks, and its other fields as pairs of name and text. */
export function asked(value) {
  const found = fieldsOf(value ?? "{}");
  const texts = found.filter(([, json]) => json[0] === '"');
  const prompt =
    ["prompt", "question", "message", "prefix", "text"].map((key) => texts.find(([name]) => name === key)).find(Boolean) ??
    (texts.length === 1 ? texts[0] : undefined);
  const rest = found.filter((pair) => pair !== prompt);
  return {
    prompt: prompt ? JSON.parse(prompt[1]).trim() : "",
    rest: rest.map(([name, json]) => [name, json[0] === '"' ? JSON.parse(json) : json]),
  };
}

/** The events to list: `internal` ones or not, about the step or type in `focus`, and with `words` in them. */
export function matching(run, internal, focus, words) {
  let found = internal ? run.events : run.shown;
  if (focus?.kind === "step") found = run.events.filter((one) => (internal || !one.internal) && one.item !== null && run.items.get(one.item)?.step === focus.name);
  if (focus?.kind === "type") found = found.filter((one) => one.type === focus.name);
  const wanted = words.trim().toLowerCase();
  return wanted ? found.filter((one) => one.text.toLowerCase().includes(wanted)) : found;
}

/** How often each step ran and each type was seen: what the graph shows. */
export function tally(run) {
  const steps = {};
  const types = {};
  const taken = {};
  for (const { step, is, input, output, attempt, failure } of run.items.values()) {
    const found = (steps[step] ??= { count: 0, running: 0, queued: 0, waiting: 0, failed: 0, retried: 0 });
    found.count += 1;
    if (is in found) found[is] += 1;
    if (attempt > 1 || (failure && is !== "failed")) found.retried += 1;
    if (output && output !== "NoneType") types[output] = (types[output] ?? 0) + 1;
    const key = `${input} ${step}`;
    taken[key] = (taken[key] ?? 0) + 1;
  }
  for (const [key, count] of Object.entries(taken)) {
    const type = key.split(" ")[0];
    types[type] = Math.max(types[type] ?? 0, count);
  }
  const seen = {};
  for (const { type } of run.shown) seen[type] = (seen[type] ?? 0) + 1;
  for (const [type, count] of Object.entries(seen)) types[type] = Math.max(types[type] ?? 0, count);
  return { steps, types };
}

/** One of six colours for a name, the same everywhere. */
export function tint(name) {
  let sum = 7;
  for (const letter of name) sum = (sum * 31 + letter.charCodeAt(0)) % 9973;
  return sum % 6;
}

/** A colour family for an event: what ends a run, asks, or is internal has its own; the rest share six. */
export function hue(one) {
  if (one.internal) return "internal";
  if (one.asks) return "asks";
  if (one.stops) return /Failed|TimedOut/.test(one.type) ? "fails" : one.type === "WorkflowCancelledEvent" ? "internal" : "stops";
  return `hue-${tint(one.type)}`;
}

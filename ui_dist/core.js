/**
 * The page's logic, without a document, a network or a clock: `update(state, input)` gives the next state and the effects
 * that the shell (`app.js`) performs; what comes back are inputs again. States are never changed in place, so drawing may
 * compare by identity.
 *
 * Effects: request {what, method, path, body?, …} · stream {id, after} · hush (close the stream) · timer {name, after} ·
 *          go {hash} · address {hash} (shown, but not gone to)
 */

import { ANSWERS, after, askDetails, backoff, form, get, getInput, getRun, getRuns, getStore, getWaits, getWorkflows, hashOf, hush, newRuns, openStream, path, post, refresh } from "./requests.js";
import { startBody } from "./json.js";
import { ended, freshRun, record, withEvents } from "./run.js";

export const TABS = ["timeline", "graph", "events"];

/** What the browser keeps for later visits. */
export const KEPT = ["settings", "answered", "drafts", "inputs"];

/** The state before anything is known; `kept` is what the browser remembers. */
export const initial = (kept = {}) => ({
  route: { view: "home" },
  pane: "main", // What a narrow screen shows: runs | main | details
  part: "details", // What the inspector shows: details | state | input
  dialog: null, // What is open above the page: send | cancel | remove | keys
  reachable: true,
  attempt: 0, // Vain tries to reach the server.
  visible: true,
  skew: 0, // Milliseconds that the clock here is ahead of the server's, if it is far off.
  answered: {}, // Sequences of questions answered here, by run id.
  drafts: {}, // What was typed as input, by workflow.
  inputs: {}, // Inputs given before, newest first, by workflow.
  ...kept,
  settings: { internal: false, fold: true, ...kept.settings },
  workflows: { load: "loading", names: [], error: "" },
  runs: newRuns({ q: "", status: "", workflow_name: "" }),
  details: {}, // By workflow: { load, start, events, graph, error }.
  forms: {}, // By form ("start", "answer …", "send", "sure", "rerun"): { error, busy, done }.
  run: null,
  origin: null, // The input to begin a new run with: { id, text, error }.
  focus: null, // Of a run, show one step or type only: { kind: "step" | "type", name }.
  words: "", // Show events with these words in them only.
});

/** The opposite of `hashOf`: `#/run/{id}` and `#/new/{workflow}` with their parameters; everything else is the start page. */
export function parseRoute(hash) {
  try {
    const [, view, encoded, query] = /^#\/(run|new)\/([^?]+)\??(.*)$/.exec(hash);
    const found = new URLSearchParams(query);
    const name = decodeURIComponent(encoded);
    if (view === "new") return { view, name, from: found.get("from"), again: found.has("again") };
    const [tab, seq] = [found.get("view"), found.get("seq")];
    return { view, name, tab: TABS.includes(tab) ? tab : TABS[0], seq: /^\d+$/.test(seq) ? Number(seq) : null };
  } catch {
    return { view: "home" };
  }
}

/** Fold one input into the state. */
export function update(state, input) {
  const [next, ...effects] = INPUTS[input.type](state, input);
  return { state: next, effects: effects.filter(Boolean) };
}

const UNCERTAIN = "The server can't be reached. It may or may not have received this; look at the run before you try again.";

const INPUTS = {
  /** The address has changed. */
  opened(state, { hash }) {
    const route = parseRoute(hash);
    const { view, name, from } = route;
    if (view === "run" && state.run?.id === name) return [{ ...state, route }];
    const run = view === "run" ? freshRun(name) : null;
    const shown = { pane: "main", part: "details", dialog: null, focus: null, words: "", forms: {}, origin: from ? { id: from } : null };
    const next = { ...state, ...shown, route, run };
    const [asked, ...effects] = view === "new" ? askDetails(next, name) : [next];
    return [asked, hush, getRuns(next), state.workflows.load === "loading" && getWorkflows, run && getRun(name), (run || from) && getInput(run ? name : from), ...effects];
  },

  /** The server has answered; `date` is how far the clock here is ahead of its clock. */
  answer(state, { request, status, text, date }) {
    const reached = { ...state, skew: Math.abs(date) > 2000 ? date : 0, reachable: true, attempt: 0 };
    const [first, ...effects] = ANSWERS[request.what](reached, request, status, parse(text), text);
    const [next, ...more] = state.reachable ? [first] : refresh(first);
    return [next, ...effects, ...more];
  },

  unreachable(state, { request }) {
    const { details } = state;
    const probing = request.what === "health";
    let next = { ...state, reachable: false, attempt: state.attempt + (probing ? 1 : 0) };
    if (request.form) next = form(next, request.form, { error: UNCERTAIN });
    if (details[request.workflow]?.load === "loading") next.details = { ...details, [request.workflow]: undefined };
    return [next, (state.reachable || probing) && state.visible && after("probe", backoff(next.attempt))];
  },

  /** The event stream of the run `id` was opened or has closed. */
  stream(state, { id, is }) {
    const { run } = state;
    if (run?.id !== id || ["done", "off"].includes(run.stream)) return [state];
    if (is === "open") return [{ ...state, run: { ...run, stream: "live" } }];
    return [{ ...state, run: { ...run, stream: "reconnecting" } }, hush, getRun(id)];
  },

  /** Events as they came: `[[sequence, json], …]`. */
  events(state, { id, batch }) {
    const { run } = state;
    if (run?.id !== id) return [state];
    const records = batch.map(([sequence, json]) => record(sequence, json));
    const next = withEvents(run, records, state.answered[run.handler?.run_id]);
    const store = state.part === "state" && next !== run && after("store", next.over ? 0 : 400);
    if (next.over) return [{ ...state, run: { ...next, stream: "done" } }, hush, getRun(id), store];
    const waits = records.some(({ step, item }) => step && [step.is, run.items.get(item)?.is].includes("waiting"));
    return [{ ...state, run: next }, store, waits && getWaits(id)];
  },

  timer(state, { name }) {
    const { run, visible, reachable } = state;
    if (!visible) return [state];
    if (name === "probe") return [state, !reachable && get("health", "health")];
    if (!reachable || (!run && name !== "runs")) return [state];
    if (name === "runs") return [state, getRuns(state)];
    if (name === "store") return [state, getStore(run.id)];
    return [state, run.stream === "done" || run.load === "error" ? getRun(run.id) : openStream(run)];
  },

  visible(state, { yes }) {
    const run = state.run && state.run.stream !== "done" ? { ...state.run, stream: "off" } : state.run;
    return yes ? INPUTS.retry({ ...state, visible: true }) : [{ ...state, visible: false, run }, hush];
  },

  retry: (state) => (state.reachable ? refresh(state) : [state, after("probe", 0)]),

  // What is shown

  look(state, { tab = state.route.tab, seq = state.route.seq, pane = state.pane }) {
    const { route } = state;
    const part = seq !== null && seq !== route.seq ? "details" : state.part;
    return [{ ...state, route: { ...route, tab, seq }, part, pane }, { kind: "address", hash: hashOf("run", route.name, { view: tab === TABS[0] ? null : tab, seq }) }];
  },

  /** Anything that is but shown: `pane`, `focus`, `words`. */
  show: (state, { type, ...change }) => [{ ...state, ...change }],
  inspect: (state, { part }) => [{ ...state, part }, part === "state" && getStore(state.run.id)],
  dialog: (state, { name }) => [{ ...state, dialog: name, forms: { ...state.forms, send: undefined, sure: undefined } }],
  closed: (state, { name }) => (name === state.dialog ? INPUTS.dialog(state, { name: null }) : [state]), // Another may be open already.
  set: (state, { name, value }) => [{ ...state, settings: { ...state.settings, [name]: value } }],
  filter: (state, { name, value }) => [{ ...state, runs: newRuns({ ...state.runs.filter, [name]: value }, state.runs.items) }, after("runs", name === "q" ? 150 : 0)],
  more: (state) => [state, state.runs.next && getRuns(state, state.runs.next)],

  // What is done

  draft: (state, { workflow, text }) => [{ ...state, drafts: { ...state.drafts, [workflow]: text } }],

  start(state, { workflow, text, handler }) {
    const others = (state.inputs[workflow] ?? []).filter((one) => one !== text);
    const inputs = { ...state.inputs, [workflow]: [text, ...others].slice(0, 8) };
    return begin({ ...state, inputs }, "start", { workflow }, text, handler);
  },

  rerun: (state) => (state.run.input?.text ? begin(state, "rerun", { workflow: state.run.handler.workflow_name, from: state.run.id }, state.run.input.text) : [state]),

  send(state, { form: name, eventType, text, question, waiter }) {
    const { id } = state.run;
    const to = waiter === undefined ? "" : `,"waiter_id":${JSON.stringify(waiter)}`;
    const body = `{"event":{"type":${JSON.stringify(eventType)},"value":${text}}${to}}`;
    return post(state, name, { what: "sent", path: path("events", id), body, id, question, waiter });
  },

  cancel: (state) => post(state, "sure", { what: "cancelled", path: path("handlers", state.run.id, "cancel"), id: state.run.id }),
  remove: (state) => post(state, "sure", { what: "removed", method: "DELETE", path: path("handlers", state.run.id), id: state.run.id }),
};

function begin(state, name, request, input, handler) {
  const body = startBody(input, handler, state.details[request.workflow]?.start?.title);
  return post(state, name, { what: "start", path: path("workflows", request.workflow, "run-nowait"), body, ...request });
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Where the clock of the server is, as far as the page knows; never before what was seen to happen. */
export function serverTime(state, now) {
  const last = state.run?.events.at(-1)?.at ?? NaN;
  const here = now - state.skew;
  return Number.isFinite(last) && (here < last || ended(state.run)) ? last : here;
}

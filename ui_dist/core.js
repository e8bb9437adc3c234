/**
 * The page's logic, without a document, a network or a clock.
 *
 * `update(state, input)` returns the next state and a list of effects; the shell (`app.js`) performs
 * those and feeds what comes back in again as inputs. States are never changed in place, so drawing
 * may compare by identity.
 *
 * Inputs:  opened {hash} · answer {request, status, text, date} · unreachable {request} · timer {name} · visible {yes} · retry ·
 *          stream {id, is: "open" | "closed"} · events {id, batch: [[sequence, json], …]} ·
 *          look {tab?, seq?} · focus {on} · words {text} · filter {name, value} · more · pane {name} · inspect {part} · set {name, value} ·
 *          draft {workflow, text} · start {workflow, text, handler?} · send {form, eventType, text, question?, waiter?} ·
 *          rerun · cancel · remove · dismiss {form}
 * Effects: request {what, method, path, body?, …} · stream {id, after} · hush (close the stream) · timer {name, after} ·
 *          go {hash} · address {hash} (shown, but not gone to) · keep {name, value} (for later visits)
 */

import { ANSWERS } from "./answers.js";
import { after, askDetails, backoff, form, get, getInput, getRun, getRuns, getStore, getWaits, getWorkflows, hashOf, hush, newRuns, openStream, path, post, refresh, still } from "./requests.js";
import { ended, freshRun, record, withEvents } from "./run.js";
import { startBody } from "./share.js";

export const TABS = ["timeline", "graph", "events"];

/** The state before anything is known; `kept` is what the browser remembers of earlier visits. */
export function initial(kept = {}) {
  return {
    route: { view: "home" },
    pane: "main", // What a narrow screen shows: runs | main | details
    part: "details", // What the inspector shows: details | state | input
    reachable: true,
    attempt: 0, // Vain tries to reach the server.
    visible: true,
    skew: 0, // Milliseconds that the clock here is ahead of the server's, if it is far off.
    settings: { internal: false, fold: true, ...kept.settings },
    answered: kept.answered ?? {}, // Sequences of questions answered here, by run id.
    drafts: kept.drafts ?? {}, // What was typed as input, by workflow.
    inputs: kept.inputs ?? {}, // Inputs given before, newest first, by workflow.
    workflows: { load: "loading", names: [], error: "" },
    runs: newRuns({ q: "", status: "", workflow_name: "" }),
    details: {}, // By workflow: { load, start, events, answers, declared, graph, error }.
    forms: {}, // By form ("start", "answer", "send", "cancel", "rerun"): { error, busy, done }.
    run: null,
    origin: null, // The input to begin a new run with: { id, text, error }.
    focus: null, // Of a run, show one step or type only: { kind: "step" | "type", name }.
    words: "", // Show events with these words in them only.
  };
}

/** The opposite of `hashOf`: `#/run/{id}` and `#/new/{workflow}` with their parameters; everything else is the start page. */
export function parseRoute(hash) {
  const [, view, name, query] = /^#\/(run|new)\/([^?]+)\??(.*)$/.exec(hash) ?? [];
  const found = new URLSearchParams(query);
  try {
    if (view === "new") return { view, name: decodeURIComponent(name), from: found.get("from"), again: found.get("again") !== null };
    if (view !== "run") return { view: "home" };
    const seq = /^\d+$/.test(found.get("seq") ?? "") ? Number(found.get("seq")) : null;
    return { view, name: decodeURIComponent(name), tab: TABS.includes(found.get("view")) ? found.get("view") : TABS[0], seq };
  } catch {
    return { view: "home" };
  }
}

/** Fold one input into the state; see the head of this file. */
export function update(state, input) {
  return INPUTS[input.type](state, input);
}

const UNCERTAIN = "The server can't be reached. It may or may not have received this; look at the run before you try again.";

const INPUTS = {
  opened(state, { hash }) {
    const route = parseRoute(hash);
    if (route.view === "run" && state.run?.id === route.name) return still({ ...state, route });
    const run = route.view === "run" ? freshRun(route.name) : null;
    const next = { ...state, route, run, pane: "main", part: "details", focus: null, words: "", forms: {}, origin: null };
    const effects = [hush, getRuns(next)];
    if (state.workflows.load === "loading") effects.push(getWorkflows());
    if (run) effects.push(getRun(run.id), getInput(run.id));
    if (route.from) {
      next.origin = { id: route.from, text: null, error: "" };
      effects.push(getInput(route.from));
    }
    const asked = route.view === "new" ? askDetails(next, route.name) : still(next);
    return { state: asked.state, effects: [...effects, ...asked.effects] };
  },

  answer(state, { request, status, text, date }) {
    const skew = Number.isFinite(date) && Math.abs(date) > 2000 ? date : 0;
    const reached = state.reachable ? { ...state, skew } : { ...state, skew, reachable: true, attempt: 0 };
    const first = ANSWERS[request.what](reached, request, status, parse(text), text);
    if (state.reachable) return first;
    const more = refresh(first.state);
    return { state: more.state, effects: [...first.effects, ...more.effects] };
  },

  unreachable(state, { request }) {
    const probing = request.what === "health";
    let next = { ...state, reachable: false, attempt: probing ? state.attempt + 1 : state.attempt };
    if (request.form) next = form(next, request.form, { error: UNCERTAIN });
    if (next.details[request.workflow]?.load === "loading") next.details = { ...next.details, [request.workflow]: undefined };
    const first = state.reachable || probing;
    return { state: next, effects: first && state.visible ? [after("probe", backoff(next.attempt))] : [] };
  },

  stream(state, { id, is }) {
    const run = state.run;
    if (run?.id !== id || run.stream === "done" || run.stream === "off") return still(state);
    if (is === "open") return still({ ...state, run: { ...run, stream: "live" } });
    return { state: { ...state, run: { ...run, stream: "reconnecting" } }, effects: [hush, getRun(id)] };
  },

  events(state, { id, batch }) {
    if (state.run?.id !== id) return still(state);
    const records = batch.map(([sequence, json]) => record(sequence, json));
    const run = withEvents(state.run, records, state.answered[state.run.handler?.run_id]);
    const effects = [];
    if (state.part === "state" && run !== state.run) effects.push(after("store", run.over ? 0 : 400));
    if (run.over) return { state: { ...state, run: { ...run, stream: "done" } }, effects: [hush, getRun(id), ...effects] };
    if (run.suspensions !== state.run.suspensions) effects.push(getWaits(id));
    return { state: { ...state, run }, effects };
  },

  timer(state, { name }) {
    if (!state.visible) return still(state);
    if (name === "probe") return { state, effects: state.reachable ? [] : [get("health", "health")] };
    if (!state.reachable) return still(state);
    if (name === "runs") return { state, effects: [getRuns(state)] };
    if (!state.run) return still(state);
    const { id, stream, load } = state.run;
    if (name === "store") return { state, effects: [getStore(id)] };
    return { state, effects: [stream === "done" || load === "error" ? getRun(id) : openStream(state.run)] };
  },

  visible(state, { yes }) {
    const run = state.run && state.run.stream !== "done" ? { ...state.run, stream: "off" } : state.run;
    if (!yes) return { state: { ...state, visible: false, run }, effects: [hush] };
    const next = { ...state, visible: true };
    return state.reachable ? refresh(next) : { state: next, effects: [after("probe", 0)] };
  },

  retry: (state) => (state.reachable ? refresh(state) : { state, effects: [after("probe", 0)] }),

  // What is shown

  look(state, { tab = state.route.tab, seq = state.route.seq, pane = state.pane }) {
    const route = { ...state.route, tab, seq };
    const part = seq !== null && seq !== state.route.seq ? "details" : state.part;
    return { state: { ...state, route, part, pane }, effects: [{ kind: "address", hash: hashOf("run", route.name, { view: tab === TABS[0] ? null : tab, seq }) }] };
  },

  focus: (state, { on }) => still({ ...state, focus: on }),
  words: (state, { text }) => still({ ...state, words: text }),
  pane: (state, { name }) => still({ ...state, pane: name }),
  inspect: (state, { part }) => ({ state: { ...state, part }, effects: part === "state" && state.run ? [getStore(state.run.id)] : [] }),

  set(state, { name, value }) {
    const settings = { ...state.settings, [name]: value };
    return { state: { ...state, settings }, effects: [{ kind: "keep", name: "settings", value: settings }] };
  },

  filter(state, { name, value }) {
    const next = { ...state, runs: newRuns({ ...state.runs.filter, [name]: value }, state.runs.items) };
    return { state: next, effects: [after("runs", name === "q" ? 150 : 0)] };
  },

  more: (state) => ({ state, effects: state.runs.next ? [getRuns(state, state.runs.next)] : [] }),

  // What is done

  draft(state, { workflow, text }) {
    const drafts = { ...state.drafts, [workflow]: text };
    return { state: { ...state, drafts }, effects: [{ kind: "keep", name: "drafts", value: drafts }] };
  },

  start(state, { workflow, text, handler = null }) {
    const where = path("workflows", workflow, "run-nowait");
    const body = startBody(text, handler, state.details[workflow]?.start?.title);
    const others = (state.inputs[workflow] ?? []).filter((one) => one !== text);
    const inputs = { ...state.inputs, [workflow]: [text, ...others].slice(0, 8) };
    const { state: next, effects } = post({ ...state, inputs }, "start", { what: "start", path: where, body, workflow });
    return { state: next, effects: [...effects, { kind: "keep", name: "inputs", value: inputs }] };
  },

  rerun(state) {
    const { handler, input } = state.run;
    if (!input?.text) return still(state);
    const body = startBody(input.text, null, state.details[handler.workflow_name]?.start?.title);
    const where = path("workflows", handler.workflow_name, "run-nowait");
    return post(state, "rerun", { what: "start", path: where, body, workflow: handler.workflow_name, from: state.run.id });
  },

  send(state, { form: name, eventType, text, question, waiter }) {
    const to = waiter === undefined ? "" : `,"waiter_id":${JSON.stringify(waiter)}`;
    const body = `{"event":{"type":${JSON.stringify(eventType)},"value":${text}}${to}}`;
    return post(state, name, { what: "sent", path: path("events", state.run.id), body, id: state.run.id, question, waiter });
  },

  cancel(state) {
    const { id } = state.run;
    return post(state, "cancel", { what: "cancelled", path: path("handlers", id, "cancel"), id });
  },

  remove(state) {
    const { id } = state.run;
    return post(state, "cancel", { what: "removed", method: "DELETE", path: path("handlers", id), id });
  },

  dismiss: (state, { form: name }) => still(form(state, name, {})),
};

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

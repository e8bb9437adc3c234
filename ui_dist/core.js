/**
 * The page's logic, without a document, a network or a clock.
 *
 * `update(state, input)` returns the next state and a list of effects; the shell (`app.js`) performs
 * those and feeds what comes back in again as inputs. States are never changed in place, so drawing
 * may compare by identity.
 *
 * Inputs:  opened {hash} · answer {request, status, text} · unreachable {request} · stream {id, is: "open" | "closed"} ·
 *          events {id, batch: [[sequence, json], …]} · timer {name} · visible {yes} · retry · more · internal {show} ·
 *          draft {workflow, text} · start {workflow, text} · send {form, eventType, text, question?} · cancel · dismiss {form}
 * Effects: request {what, method, path, body?, …} · stream {id, after} · hush (close the stream) · timer {name, after} ·
 *          go {hash} · keep {name, value} (for later visits)
 */

import { ANSWERS } from "./answers.js";
import { complaint } from "./json.js";
import { after, askDetails, backoff, form, get, getRun, getRuns, getWorkflows, hush, openStream, path, post, refresh, still } from "./requests.js";
import { freshRun, record, withEvents } from "./run.js";

/** The state before anything is known; `kept` is what the browser remembers of earlier visits. */
export function initial(kept = {}) {
  return {
    route: { view: "home" },
    reachable: true,
    attempt: 0, // Vain tries to reach the server.
    visible: true,
    showInternal: kept.showInternal === true,
    allRuns: false, // Whether the list of runs is drawn to its end.
    answered: kept.answered ?? {}, // Sequences of questions answered here, by run id.
    drafts: kept.drafts ?? {}, // What was typed as input, by workflow.
    workflows: { load: "loading", names: [], error: "" },
    runs: { load: "loading", items: [], error: "" },
    details: {}, // By workflow: { load, start, events, answers, declared, error }.
    forms: {}, // By form ("start", "answer", "send", "cancel"): { error, busy, done }.
    run: null,
  };
}

/** The opposite of `hashOf`: `#/run/{id}` and `#/new/{workflow}`; everything else is the start page. */
export function parseRoute(hash) {
  const [, view, name] = /^#\/(run|new)\/([^?]+)/.exec(hash) ?? [];
  try {
    return view ? { view, name: decodeURIComponent(name) } : { view: "home" };
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
    const next = { ...state, route, forms: {}, run: route.view === "run" ? freshRun(route.name) : null };
    const effects = [hush, getRuns()];
    if (state.workflows.load === "loading") effects.push(getWorkflows());
    if (route.view === "run") effects.push(getRun(route.name));
    const asked = route.view === "new" ? askDetails(next, route.name) : still(next);
    return { state: asked.state, effects: [...effects, ...asked.effects] };
  },

  answer(state, { request, status, text }) {
    const reached = state.reachable ? state : { ...state, reachable: true, attempt: 0 };
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
    if (!run.over) return still({ ...state, run });
    return { state: { ...state, run: { ...run, stream: "done" } }, effects: [hush, getRun(id)] };
  },

  timer(state, { name }) {
    if (!state.visible) return still(state);
    if (name === "probe") return { state, effects: state.reachable ? [] : [get("health", "health")] };
    if (!state.reachable) return still(state);
    if (name === "runs") return { state, effects: [getRuns()] };
    if (!state.run) return still(state);
    const { id, stream, load } = state.run;
    return { state, effects: [stream === "done" || load === "error" ? getRun(id) : openStream(state.run)] };
  },

  visible(state, { yes }) {
    const run = state.run && state.run.stream !== "done" ? { ...state.run, stream: "off" } : state.run;
    if (!yes) return { state: { ...state, visible: false, run }, effects: [hush] };
    const next = { ...state, visible: true };
    return state.reachable ? refresh(next) : { state: next, effects: [after("probe", 0)] };
  },

  more: (state) => still({ ...state, allRuns: true }),

  retry: (state) => (state.reachable ? refresh(state) : { state, effects: [after("probe", 0)] }),

  internal(state, { show }) {
    return { state: { ...state, showInternal: show }, effects: [{ kind: "keep", name: "showInternal", value: show }] };
  },

  draft(state, { workflow, text }) {
    const drafts = { ...state.drafts, [workflow]: text };
    return { state: { ...state, drafts }, effects: [{ kind: "keep", name: "drafts", value: drafts }] };
  },

  start(state, { workflow, text }) {
    const wrong = complaint(text);
    if (wrong) return still(form(state, "start", { error: wrong }));
    const input = startEvent(text, state.details[workflow]?.start?.title);
    const where = path("workflows", workflow, "run-nowait");
    return post(state, "start", { what: "start", path: where, body: `{"start_event":${input}}`, workflow });
  },

  send(state, { form: name, eventType, text, question }) {
    const wrong = complaint(text);
    if (wrong) return still(form(state, name, { error: wrong }));
    const body = `{"event":{"type":${JSON.stringify(eventType)},"value":${text}}}`;
    return post(state, name, { what: "sent", path: path("events", state.run.id), body, id: state.run.id, question });
  },

  cancel(state) {
    const { id } = state.run;
    return post(state, "cancel", { what: "cancelled", path: path("handlers", id, "cancel"), id });
  },

  dismiss: (state, { form: name }) => still(form(state, name, {})),
};

/** The start event's fields as they are; in an envelope only if their names would be mistaken for one. */
function startEvent(text, type) {
  const names = Object.keys(JSON.parse(text));
  const mistakable = ["value", "data", "type", "qualified_name"].some((name) => names.includes(name));
  return mistakable && type ? `{"type":${JSON.stringify(type)},"value":${text}}` : text;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** What the page asks of the server, as plain effects, and the small changes of state that go with asking. */

import { ended } from "./run.js";

export const PAGE = 50; // Runs asked for at a time.

/** Milliseconds to wait before try number `attempt` (from 0): half a second, doubling up to ten. */
export const backoff = (attempt) => Math.min(10_000, 500 * 2 ** attempt);

export const still = (state) => ({ state, effects: [] });

/** Parts of a relative URL, so that the page works under any prefix. */
export const path = (...parts) => parts.map(encodeURIComponent).join("/");

const query = (parameters) => {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length > 0 ? `?${new URLSearchParams(given)}` : "";
};

export const hashOf = (view, name, parameters = {}) => `#/${view}/${encodeURIComponent(name)}${query(parameters)}`;

export const get = (what, where, more) => ({ kind: "request", what, method: "GET", path: where, ...more });
export const getRun = (id) => get("handler", path("handlers", id), { id });
export const getInput = (id) => get("input", path("handlers", id, "input"), { id });
export const getStore = (id) => get("store", path("handlers", id, "state"), { id });
export const getWaits = (id) => get("waiting", path("handlers", id, "waiting"), { id });
export const getRuns = ({ runs: { filter } }, cursor = null) => get("runs", `handlers${query({ limit: PAGE, cursor, ...filter })}`, { filter, cursor });
export const getWorkflows = () => get("workflows", "workflows");
export const openStream = (run) => ({ kind: "stream", id: run.id, after: run.last });
export const hush = { kind: "hush" };

/** A list of runs that is yet to be asked for. */
export const newRuns = (filter, items = []) => ({ load: "loading", items, error: "", next: null, pages: 1, filter });

/** A named timer; one of the same name is replaced. */
export const after = (name, ms) => ({ kind: "timer", name, after: ms });

/** Change what is known of the form `name`; error and business are forgotten unless named. */
export function form(state, name, change) {
  const done = state.forms[name]?.done ?? 0;
  return { ...state, forms: { ...state.forms, [name]: { error: "", busy: false, done, ...change } } };
}

/** Send a form's content, once at a time. */
export function post(state, name, request) {
  if (state.forms[name]?.busy) return still(state);
  return { state: form(state, name, { busy: true }), effects: [{ kind: "request", method: "POST", form: name, ...request }] };
}

/** Ask for a workflow's schemas and its graph unless they are here or on their way. */
export function askDetails(state, workflow) {
  const known = state.details[workflow];
  if (known && known.load !== "error") return still(state);
  const unknown = { load: "loading", start: null, events: null, answers: null, declared: null, graph: null, error: "" };
  const effects = ["schema", "events", "representation"].map((part) => get(part, path("workflows", workflow, part), { workflow }));
  return { state: { ...state, details: { ...state.details, [workflow]: unknown } }, effects };
}

/** Ask for everything again: the page becomes visible, the server is back, or the person wants it. */
export function refresh(state) {
  const effects = [getWorkflows(), getRuns(state)];
  if (state.run && state.run.stream !== "done") effects.push(getRun(state.run.id));
  if (state.run && !ended(state.run)) effects.push(getWaits(state.run.id));
  if (state.run && !state.run.input) effects.push(getInput(state.run.id));
  if (state.route.view !== "new") return { state, effects };
  const asked = askDetails(state, state.route.name);
  return { state: asked.state, effects: [...effects, ...asked.effects] };
}

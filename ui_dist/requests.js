/**
 * What the page asks of the server, as plain effects, and what the answers do to the state: one function for each thing
 * asked, `(state, request, status, body, text)`. Like the inputs in `core.js` they return `[state, ...effects]`; effects
 * that are `false` or `null` are none.
 */

import { fieldsOf, object, pick } from "./json.js";
import { ended, withAnswer, withHandler } from "./run.js";

const PAGE = 50; // Runs asked for at a time.
const POLL = 4000; // Milliseconds after which the list of runs is asked for again.

/** Milliseconds to wait before try number `attempt` (from 0): half a second, doubling up to ten. */
export const backoff = (attempt) => Math.min(10_000, 500 * 2 ** attempt);

/** Parts of a relative URL, so that the page works under any prefix. */
export const path = (...parts) => parts.map(encodeURIComponent).join("/");

const query = (parameters) => {
  const given = Object.entries(parameters).filter(([, value]) => (value ?? "") !== "");
  return given.length > 0 ? `?${new URLSearchParams(given)}` : "";
};

export const hashOf = (view, name, parameters = {}) => `#/${view}/${encodeURIComponent(name)}${query(parameters)}`;

export const get = (what, where, more) => ({ kind: "request", what, method: "GET", path: where, ...more });
export const getRun = (id) => get("handler", path("handlers", id), { id });
export const getInput = (id) => get("input", path("handlers", id, "input"), { id });
export const getStore = (id) => get("store", path("handlers", id, "state"), { id });
export const getWaits = (id) => get("waiting", path("handlers", id, "waiting"), { id });
export const getRuns = ({ runs: { filter } }, cursor) => get("runs", `handlers${query({ limit: PAGE, cursor, ...filter })}`, { filter, cursor });
export const getWorkflows = get("workflows", "workflows");
export const openStream = ({ id, events }) => ({ kind: "stream", id, after: events.at(-1)?.sequence ?? -1 });
export const hush = { kind: "hush" };

/** A named timer; one of the same name is replaced. */
export const after = (name, ms) => ({ kind: "timer", name, after: ms });

/** A list of runs that is yet to be asked for. */
export const newRuns = (filter, items = []) => ({ load: "loading", items, error: "", next: null, pages: 1, filter });

/** Change what is known of the form `name`; error and business are forgotten unless named. */
export function form(state, name, change) {
  const done = state.forms[name]?.done ?? 0;
  return { ...state, forms: { ...state.forms, [name]: { error: "", busy: false, done, ...change } } };
}

/** Send a form's content, once at a time. */
export const post = (state, name, request) => (state.forms[name]?.busy ? [state] : [form(state, name, { busy: true }), { kind: "request", method: "POST", form: name, ...request }]);

/** Ask for a workflow's schemas and its graph unless they are here or on their way. */
export function askDetails(state, workflow) {
  if (["loading", "ready"].includes(state.details[workflow]?.load)) return [state];
  const unknown = { load: "loading", start: null, events: null, graph: null, error: "" };
  return [
    { ...state, details: { ...state.details, [workflow]: unknown } },
    ...["schema", "events", "representation"].map((part) => get(part, path("workflows", workflow, part), { workflow })),
  ];
}

/** Ask for everything again: the page becomes visible, the server is back, or the person wants it. */
export function refresh(state) {
  const { run, route } = state;
  const [next, ...asked] = route.view === "new" ? askDetails(state, route.name) : [state];
  return [next, getWorkflows, getRuns(state), run && run.stream !== "done" && getRun(run.id), run && !ended(run) && getWaits(run.id), run && !run.input && getInput(run.id), ...asked];
}

export const ANSWERS = {
  health: (state) => [state],

  workflows(state, _request, status, body) {
    if (!good(status, body)) return [{ ...state, workflows: { ...state.workflows, load: "error", error: detail(status, body) } }];
    const names = body.workflows.toSorted();
    const next = { ...state, workflows: { load: "ready", names, error: "" } };
    if (state.route.view !== "home") return [next];
    return names.slice(0, 30).reduce(
      ([found, ...effects], name) => {
        const [more, ...asked] = askDetails(found, name); // The start page tells what each workflow does.
        return [more, ...effects, ...asked];
      },
      [next],
    );
  },

  runs(state, { filter, cursor }, status, body) {
    const { runs } = state;
    if (filter !== runs.filter) return [state];
    const again = !cursor && after("runs", POLL);
    if (!good(status, body)) return [{ ...state, runs: { ...runs, load: "error", error: detail(status, body) } }, again];
    const page = body.handlers.toSorted(newestFirst);
    const others = runs.items.filter((one) => !page.some(({ handler_id: id }) => id === one.handler_id));
    // Asked for again, the first page replaces what is as new as its rows; pages after it stay.
    const older = cursor ? others : runs.pages > 1 ? others.filter((one) => one.started_at < (page.at(-1)?.started_at ?? "")) : [];
    const next = cursor || runs.pages === 1 ? (body.next_cursor ?? null) : runs.next;
    const items = [...older, ...page].sort(newestFirst);
    return [{ ...state, runs: { ...runs, load: "ready", error: "", items, next, pages: runs.pages + (cursor ? 1 : 0) } }, again];
  },

  // 202 while the run goes on, 200 when it has completed, 500 when it failed or was cancelled: the handler is in each.
  handler(state, { id }, status, body, text) {
    const { run, part, visible } = state;
    if (run?.id !== id) return [state];
    if (status === 404) return [{ ...state, run: { ...run, load: "missing", stream: "done" } }];
    if (!body?.handler_id) return [{ ...state, run: { ...run, load: "error", error: detail(status, body), attempt: run.attempt + 1 } }, after("run", backoff(run.attempt))];
    const [next, ...asked] = askDetails(listed(state, body), body.workflow_name);
    const [told, more] = goOn(withHandler(run, body, text), visible);
    return [{ ...next, run: told }, ...asked, more, run.load !== "ready" && !ended(told) && getWaits(id), part === "state" && getStore(id)];
  },

  waiting(state, { id }, status, body) {
    const { run } = state;
    return [run?.id !== id || !good(status, body) || ended(run) || run.over ? state : { ...state, run: { ...run, waits: body.waiting } }];
  },

  input(state, { id }, status, body, text) {
    const yes = good(status, body);
    const value = yes && (pick(text, "start_event", "value") ?? "{}");
    // Free-form extras stand beside the fields, as people give them.
    const found = yes ? { text: object(fieldsOf(value)), error: "" } : { text: null, error: status === 404 ? "The server has no input of this run." : detail(status, body) };
    const run = state.run?.id === id ? { ...state.run, input: found } : state.run;
    return [{ ...state, run, origin: state.origin?.id === id ? { id, ...found } : state.origin }];
  },

  store(state, { id }, status, body, text) {
    const { run } = state;
    if (run?.id !== id) return [state];
    const now = good(status, body) ? { text: pick(text, "state") ?? "{}", before: run.store?.text ?? null, kind: body.type } : { text: null, error: detail(status, body) };
    return [now.text !== null && now.text === now.before ? state : { ...state, run: { ...run, store: now } }];
  },

  schema: (state, { workflow }, status, body) => detailed(state, workflow, good(status, body) ? { load: "ready", start: body.start } : { load: "error", error: detail(status, body) }),
  events: (state, { workflow }, status, body) => detailed(state, workflow, { events: good(status, body) ? body.events : [] }),
  representation: (state, { workflow }, status, body) => detailed(state, workflow, { graph: good(status, body) ? body.graph : { nodes: [], edges: [] } }),

  start(state, { workflow, form: name, from }, status, body) {
    if (!body?.handler_id) return [form(state, name, { error: detail(status, body) })];
    const run = state.run?.id === body.handler_id ? null : state.run; // A continued handler is read anew.
    const here = state.route.name === (from ?? workflow);
    return [{ ...listed(form(state, name, {}), body), run }, here && { kind: "go", hash: hashOf("run", body.handler_id) }];
  },

  sent(state, { form: name, id, question, waiter }, status, body) {
    const { run, forms } = state;
    if (run?.id !== id) return [state];
    if (status !== 200) return [form(state, name, { error: detail(status, body) })];
    const next = form(state, name, { done: (forms[name]?.done ?? 0) + 1 });
    if (waiter !== undefined) return [{ ...next, run: { ...run, waits: run.waits.filter((one) => one.waiter_id !== waiter) } }, getWaits(id)];
    if (question === undefined) return [next];
    const { run_id: runId } = run.handler;
    const answered = { ...state.answered, [runId]: [...(state.answered[runId] ?? []), question] };
    return [{ ...next, answered: Object.fromEntries(Object.entries(answered).slice(-50)), run: withAnswer(run, question) }];
  },

  cancelled(state, { id }, status, body) {
    const bad = status !== 200 && status !== 404; // 404: it has ended meanwhile.
    return [form(bad ? state : { ...state, dialog: null }, "sure", { error: bad ? detail(status, body) : "" }), state.run?.id === id && getRun(id)];
  },

  removed(state, { id }, status, body) {
    if (status !== 200 && status !== 404) return [form(state, "sure", { error: detail(status, body) })];
    const items = state.runs.items.filter((one) => one.handler_id !== id);
    const here = state.run?.id === id;
    return [{ ...form(state, "sure", {}), dialog: null, runs: { ...state.runs, items } }, here && hush, here && { kind: "go", hash: "#/" }];
  },
};

/** How a run whose handler was just told goes on: by its events, by asking again, or not at all. */
function goOn(run, visible) {
  const over = ended(run);
  const again = (ms) => [{ ...run, attempt: run.attempt + 1, progressed: false }, after("run", ms)];
  if (run.stream === "off" && visible) return [{ ...run, stream: "connecting", progressed: false }, openStream(run)];
  // An ended run whose stream brings nothing more has told everything.
  if (run.stream === "reconnecting") return over && !run.progressed ? [{ ...run, stream: "done" }] : again(over ? 0 : backoff(run.attempt));
  return run.stream === "done" && !over ? again(backoff(run.attempt)) : [run]; // The handler may be a moment behind the events.
}

function detailed(state, workflow, change) {
  const known = state.details[workflow];
  return [known ? { ...state, details: { ...state.details, [workflow]: { ...known, ...change } } } : state];
}

/** The list of runs with this handler as the server told last; a filtered list gets nothing new by itself. */
function listed(state, handler) {
  const { items, filter } = state.runs;
  const others = items.filter((one) => one.handler_id !== handler.handler_id);
  if (others.length === items.length && Object.values(filter).some(Boolean)) return state;
  return { ...state, runs: { ...state.runs, items: [...others, handler].sort(newestFirst) } };
}

const newestFirst = (a, b) => (a.started_at < b.started_at ? 1 : a.started_at > b.started_at ? -1 : 0);

/** Whether something was answered that can be used; a proxy may answer 200 with a page of its own. */
const good = (status, body) => status === 200 && body !== null;

/** The server's own sentence, or at least the status. */
const detail = (status, body) => (typeof body?.detail === "string" ? body.detail : `The server answered with status ${status}.`);

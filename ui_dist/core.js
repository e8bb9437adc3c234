/** The page's logic, without a document, a network or a clock. States are never changed in place. */

import { fieldsOf, object, pick, startBody } from "./json.js";
import { ended, record, freshRun, withAnswer, withEvents, withHandler } from "./run.js";

export const TABS = ["timeline", "graph", "events"];

const newRuns = (filter, items = []) => ({ loading: true, items, error: "", next: null, pages: 1, filter });

const path = (...parts) => parts.map(encodeURIComponent).join("/");

const query = (parameters) => {
  const given = Object.entries(parameters).filter(([, value]) => (value ?? "") !== "");
  return given.length > 0 ? `?${new URLSearchParams(given)}` : "";
};

export const hashOf = (view, name, parameters = {}) => `#/${view}/${encodeURIComponent(name)}${query(parameters)}`;

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

const get = (what, where, more) => ({ kind: "request", what, method: "GET", path: where, ...more });
const ofHandler = (what, ...where) => (id) => get(what, path("handlers", id, ...where), { id });
const [getRun, getInput, getStore, getWaits] = [ofHandler("handler"), ofHandler("input", "input"), ofHandler("store", "state"), ofHandler("waiting", "waiting")];
const getRuns = ({ runs: { filter } }, cursor) => get("runs", `handlers${query({ limit: 50, cursor, ...filter })}`, { filter, cursor });
const getWorkflows = get("workflows", "workflows");
const openStream = ({ id, events }) => ({ kind: "stream", id, after: events.at(-1)?.sequence ?? -1 });
const hush = { kind: "hush" };
const go = (hash) => ({ kind: "go", hash });
const after = (name, ms) => ({ kind: "timer", name, after: ms });
const backoff = (attempt) => Math.min(10_000, 500 * 2 ** attempt);
const post = (state, name, where, request) => (state.forms[name]?.busy ? [state] : [form(state, name, { busy: true }), { kind: "request", method: "POST", form: name, path: path(...where), ...request }]);

const form = (state, name, change) => ({ ...state, forms: { ...state.forms, [name]: { error: "", busy: false, done: state.forms[name]?.done ?? 0, ...change } } });

function askDetails(state, workflow) {
  if (state.details[workflow]?.error === "") return [state];
  const details = { ...state.details, [workflow]: { start: null, events: null, graph: null, error: "" } };
  const parts = { schema: "start", events: "events", representation: "graph" };
  return [{ ...state, details }, ...Object.keys(parts).map((where) => get("details", path("workflows", workflow, where), { workflow, part: parts[where] }))];
}

function refresh(state) {
  const { run, route } = state;
  const [next, ...asked] = route.view === "new" ? askDetails(state, route.name) : [state];
  return [next, getWorkflows, getRuns(state), run && run.stream !== "done" && getRun(run.id), run && !ended(run) && getWaits(run.id), run && !run.input && getInput(run.id), ...asked];
}

export const KEPT = ["settings", "answered", "drafts", "inputs"];

export const initial = (kept = {}) => ({
  route: { view: "home" },
  pane: "main", // What a narrow screen shows: runs | main | details
  part: "details", // What the inspector shows: details | state | input
  dialog: null, // What is open above the page: send | cancel | remove | keys
  reachable: true,
  attempt: 0,
  visible: true,
  answered: {},
  drafts: {},
  inputs: {},
  ...kept,
  settings: { internal: false, fold: true, ...kept.settings },
  workflows: { names: null, error: "" },
  runs: newRuns({ q: "", status: "", workflow_name: "" }),
  details: {},
  forms: {}, // By form ("start", "answer …", "send", "sure", "rerun"): { error, busy, done }.
  run: null,
  origin: null,
  focus: null,
  words: "",
});

export function update(state, input) {
  const [next, ...effects] = INPUTS[input.type](state, input);
  return { state: next, effects: effects.filter(Boolean) };
}

/** What comes in, as functions from the state to `[state, ...effects]`; effects that are `false` or `null` are none. */
const INPUTS = {
  opened(state, { hash }) {
    const route = parseRoute(hash);
    const { view, name, from } = route;
    if (view === "run" && state.run?.id === name) return [{ ...state, route }];
    const run = view === "run" ? freshRun(name) : null;
    const next = { ...state, route, run, pane: "main", part: "details", dialog: null, focus: null, words: "", forms: {}, origin: from ? { id: from } : null };
    const [asked, ...effects] = view === "new" ? askDetails(next, name) : [next];
    return [asked, hush, getRuns(next), !state.workflows.names && getWorkflows, run && getRun(name), (run || from) && getInput(run ? name : from), ...effects];
  },

  answer(state, { request, status, text }) {
    const body = parse(text);
    // A proxy may answer 200 with a page of its own.
    const wrong = status === 200 && body ? "" : typeof body?.detail === "string" ? body.detail : `The server answered with status ${status}.`;
    const [next, ...effects] = ANSWERS[request.what]({ ...state, reachable: true, attempt: 0 }, request, { status, text, body, wrong });
    return [...(state.reachable ? [next] : refresh(next)), ...effects];
  },

  unreachable(state, { request }) {
    const probing = request.what === "health";
    const uncertain = { error: "No answer came: the server may or may not have received this." };
    const told = request.form ? form(state, request.form, uncertain) : state;
    const details = request.what === "details" ? { ...state.details, [request.workflow]: undefined } : state.details;
    const attempt = state.attempt + (probing ? 1 : 0);
    return [{ ...told, details, attempt, reachable: false }, (state.reachable || probing) && state.visible && after("probe", backoff(attempt))];
  },

  stream(state, { id, is }) {
    const { run } = state;
    if (run?.id !== id || ["done", "off"].includes(run.stream)) return [state];
    if (is === "open") return [{ ...state, run: { ...run, stream: "live" } }];
    return [{ ...state, run: { ...run, stream: "reconnecting" } }, hush, getRun(id)];
  },

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

  look(state, { tab = state.route.tab, seq = state.route.seq, pane = state.pane }) {
    const { route } = state;
    const part = seq !== null && seq !== route.seq ? "details" : state.part;
    return [{ ...state, route: { ...route, tab, seq }, part, pane }, { kind: "address", hash: hashOf("run", route.name, { view: tab === TABS[0] ? null : tab, seq }) }];
  },

  show: (state, { type, ...change }) => [{ ...state, ...change }],
  inspect: (state, { part }) => [{ ...state, part }, part === "state" && getStore(state.run.id)],
  dialog: (state, { name }) => [{ ...state, dialog: name, forms: { ...state.forms, send: undefined, sure: undefined } }],
  closed: (state, { name }) => (name === state.dialog ? INPUTS.dialog(state, { name: null }) : [state]), // Another may be open already.
  set: (state, { name, value }) => [{ ...state, settings: { ...state.settings, [name]: value } }],
  filter: (state, { name, value }) => [{ ...state, runs: newRuns({ ...state.runs.filter, [name]: value }, state.runs.items) }, after("runs", name === "q" ? 150 : 0)],
  more: (state) => [state, getRuns(state, state.runs.next)],

  draft: (state, { workflow, text }) => [{ ...state, drafts: { ...state.drafts, [workflow]: text } }],

  start(state, { workflow, text, handler }) {
    const others = (state.inputs[workflow] ?? []).filter((one) => one !== text);
    const inputs = { ...state.inputs, [workflow]: [text, ...others].slice(0, 8) };
    return begin({ ...state, inputs }, "start", { workflow }, text, handler);
  },

  rerun: (state) => begin(state, "rerun", { workflow: state.run.handler.workflow_name, from: state.run.id }, state.run.input.text),

  send(state, { form: name, eventType, text, question, waiter }) {
    const { id } = state.run;
    const event = object([["type", JSON.stringify(eventType)], ["value", text]]);
    return post(state, name, ["events", id], { what: "sent", body: object([["event", event], ["waiter_id", JSON.stringify(waiter)]]), id, question, waiter });
  },

  cancel: (state) => post(state, "sure", ["handlers", state.run.id, "cancel"], { what: "stopped", id: state.run.id }),
  remove: (state) => post(state, "sure", ["handlers", state.run.id], { what: "stopped", id: state.run.id, method: "DELETE" }),
};

function begin(state, name, request, input, handler) {
  const body = startBody(input, handler, state.details[request.workflow]?.start?.title);
  return post(state, name, ["workflows", request.workflow, "run-nowait"], { what: "start", body, ...request });
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** What the answers do, by what was asked; `wrong` says in a sentence why there is none that can be used. */
const ANSWERS = {
  health: (state) => [state],

  workflows(state, _request, { body, wrong }) {
    if (wrong) return [{ ...state, workflows: { ...state.workflows, error: wrong } }];
    const names = body.workflows.toSorted();
    const about = (workflow) => get("details", path("workflows", workflow, "representation"), { workflow, part: "graph" });
    return [{ ...state, workflows: { names, error: "" } }, ...(state.route.view === "home" ? names.slice(0, 30).map(about) : [])];
  },

  runs(state, { filter, cursor }, { body, wrong }) {
    const { runs } = state;
    if (filter !== runs.filter) return [state];
    const again = !cursor && after("runs", 4000);
    if (wrong) return [{ ...state, runs: { ...runs, loading: false, error: wrong } }, again];
    const page = body.handlers.toSorted(newestFirst);
    const others = runs.items.filter((one) => !page.some(({ handler_id: id }) => id === one.handler_id));
    // Asked for again, the first page replaces what is as new as its rows; pages after it stay.
    const older = cursor ? others : runs.pages > 1 ? others.filter((one) => one.started_at < (page.at(-1)?.started_at ?? "")) : [];
    const next = cursor || runs.pages === 1 ? (body.next_cursor ?? null) : runs.next;
    return [{ ...state, runs: { ...runs, loading: false, error: "", items: [...older, ...page].sort(newestFirst), next, pages: runs.pages + (cursor ? 1 : 0) } }, again];
  },

  // 202 while the run goes on, 200 when it has completed, 500 when it failed or was cancelled: the handler is in each.
  handler(state, { id }, { status, body, wrong, text }) {
    const { run, part, visible } = state;
    if (run?.id !== id) return [state];
    if (status === 404) return [{ ...state, run: { ...run, load: "missing", stream: "done" } }];
    if (!body?.handler_id) return [{ ...state, run: { ...run, load: "error", error: wrong, attempt: run.attempt + 1 } }, after("run", backoff(run.attempt))];
    const [next, ...asked] = askDetails(state, body.workflow_name);
    const news = run.handler && run.handler.status !== body.status;
    const [told, more] = goOn(withHandler(run, body, text), visible);
    return [{ ...next, run: told }, ...asked, more, news && getRuns(state), run.load !== "ready" && !ended(told) && getWaits(id), part === "state" && getStore(id)];
  },

  waiting(state, { id }, { body, wrong }) {
    const { run } = state;
    return [run?.id !== id || wrong || ended(run) || run.over ? state : { ...state, run: { ...run, waits: body.waiting } }];
  },

  input(state, { id }, { status, wrong, text }) {
    const error = status === 404 ? "The server has no input of this run." : wrong;
    const found = { error, text: error ? null : object(fieldsOf(pick(text, "start_event", "value"))) };
    const run = state.run?.id === id ? { ...state.run, input: found } : state.run;
    return [{ ...state, run, origin: state.origin?.id === id ? { id, ...found } : state.origin }];
  },

  store(state, { id }, { body, wrong, text }) {
    const { run } = state;
    if (run?.id !== id) return [state];
    const now = wrong ? { error: wrong } : { text: pick(text, "state") ?? "{}", before: run.store?.text, kind: body.type };
    return [now.text && now.text === now.before ? state : { ...state, run: { ...run, store: now } }];
  },

  details(state, { workflow, part }, { body, wrong }) {
    const known = { ...state.details[workflow], ...(wrong ? { error: wrong } : { [part]: body[part] }) };
    return [{ ...state, details: { ...state.details, [workflow]: known } }];
  },

  start(state, { workflow, form: name, from }, { body, wrong }) {
    if (wrong) return [form(state, name, { error: wrong })];
    const run = state.run?.id === body.handler_id ? null : state.run; // A continued handler is read anew.
    return [{ ...form(state, name, {}), run }, state.route.name === (from ?? workflow) && go(hashOf("run", body.handler_id))];
  },

  sent(state, { form: name, id, question, waiter }, { wrong }) {
    const { run, forms } = state;
    if (run?.id !== id) return [state];
    if (wrong) return [form(state, name, { error: wrong })];
    const next = form(state, name, { done: forms[name].done + 1 });
    if (waiter !== undefined) return [{ ...next, run: { ...run, waits: run.waits.filter((one) => one.waiter_id !== waiter) } }, getWaits(id)];
    if (question === undefined) return [next];
    const { run_id: runId } = run.handler;
    const answered = { ...state.answered, [runId]: [...(state.answered[runId] ?? []), question] };
    return [{ ...next, answered: Object.fromEntries(Object.entries(answered).slice(-50)), run: withAnswer(run, question) }];
  },

  stopped(state, { id, method }, { status, wrong }) {
    if (wrong && status !== 404) return [form(state, "sure", { error: wrong })]; // 404: it has ended meanwhile.
    const next = { ...form(state, "sure", {}), dialog: null };
    return state.run?.id === id ? [next, method === "DELETE" ? go("#/") : getRun(id)] : [next];
  },
};

function goOn(run, visible) {
  const over = ended(run);
  const again = (ms) => [{ ...run, attempt: run.attempt + 1 }, after("run", ms)];
  if (run.stream === "off" && visible) return [{ ...run, stream: "connecting" }, openStream(run)];
  // An ended run whose stream brings nothing more has told everything.
  if (run.stream === "reconnecting") return over && run.attempt > 0 ? [{ ...run, stream: "done" }] : again(over ? 0 : backoff(run.attempt));
  return run.stream === "done" && !over ? again(backoff(run.attempt)) : [run]; // The handler may be a moment behind the events.
}

const newestFirst = (a, b) => (a.started_at < b.started_at ? 1 : a.started_at > b.started_at ? -1 : 0);

export function runTime({ run }, now) {
  const last = run?.events.at(-1)?.at ?? NaN;
  return Number.isFinite(last) && (now < last || ended(run)) ? last : now;
}

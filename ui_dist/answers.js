/** What the server's answers do to the state: one function for each thing asked, `(state, request, status, body, text)`. */

import { members, pick } from "./json.js";
import { after, askDetails, backoff, form, getRun, getStore, getWaits, hashOf, openStream, still } from "./requests.js";
import { ended, withAnswer, withHandler } from "./run.js";
import { fieldsOf } from "./tell.js";

const POLL = 4000; // Milliseconds after which the list of runs is asked for again.

export const ANSWERS = {
  health: (state) => still(state),

  workflows(state, _request, status, body) {
    if (!good(status, body)) return still({ ...state, workflows: { ...state.workflows, load: "error", error: detail(status, body) } });
    const next = { ...state, workflows: { load: "ready", names: [...body.workflows].sort(), error: "" } };
    if (state.route.view !== "home") return still(next);
    // The start page tells what each workflow does.
    return body.workflows.slice(0, 30).reduce(
      (found, name) => {
        const asked = askDetails(found.state, name);
        return { state: asked.state, effects: [...found.effects, ...asked.effects] };
      },
      still(next),
    );
  },

  runs(state, { filter, cursor }, status, body) {
    if (filter !== state.runs.filter) return still(state);
    const again = cursor ? [] : [after("runs", POLL)];
    if (!good(status, body)) return { state: { ...state, runs: { ...state.runs, load: "error", error: detail(status, body) } }, effects: again };
    const page = [...body.handlers].sort(newestFirst);
    const known = new Set(page.map((one) => one.handler_id));
    const others = state.runs.items.filter((one) => !known.has(one.handler_id));
    const older = cursor ? others : state.runs.pages > 1 ? others.filter((one) => one.started_at < (page.at(-1)?.started_at ?? "")) : [];
    const pages = cursor ? state.runs.pages + 1 : state.runs.pages;
    const next = cursor || state.runs.pages === 1 ? (body.next_cursor ?? null) : state.runs.next;
    return { state: { ...state, runs: { ...state.runs, load: "ready", error: "", items: [...older, ...page].sort(newestFirst), next, pages } }, effects: again };
  },

  // 202 while the run goes on, 200 when it has completed, 500 when it failed or was cancelled: the handler is in each.
  handler(state, { id }, status, body, text) {
    if (state.run?.id !== id) return still(state);
    if (status === 404) return still({ ...state, run: { ...state.run, load: "missing", stream: "done" } });
    if (!body?.handler_id) {
      const run = { ...state.run, load: "error", error: detail(status, body), attempt: state.run.attempt + 1 };
      return { state: { ...state, run }, effects: [after("run", backoff(state.run.attempt))] };
    }
    const asked = askDetails(listed(state, body), body.workflow_name);
    const told = withHandler(state.run, body, text);
    const { run, effects } = goOn(told, state.visible);
    const more = [];
    if (state.run.load !== "ready" && !ended(run)) more.push(getWaits(id));
    if (state.part === "state") more.push(getStore(id));
    return { state: { ...asked.state, run }, effects: [...asked.effects, ...effects, ...more] };
  },

  waiting(state, { id }, status, body) {
    if (state.run?.id !== id || !good(status, body) || ended(state.run) || state.run.over) return still(state);
    return still({ ...state, run: { ...state.run, waits: body.waiting } });
  },

  input(state, { id }, status, body, text) {
    const found = good(status, body)
      ? { load: "ready", text: flat(pick(text, "start_event", "value") ?? "{}"), error: "" }
      : { load: "missing", text: null, error: status === 404 ? "The server has no input of this run." : detail(status, body) };
    const origin = state.origin?.id === id ? { ...found, id } : state.origin;
    const run = state.run?.id === id ? { ...state.run, input: found } : state.run;
    return still({ ...state, origin, run });
  },

  store(state, { id }, status, body, text) {
    if (state.run?.id !== id) return still(state);
    const old = state.run.store;
    if (!good(status, body)) return still({ ...state, run: { ...state.run, store: { load: "error", text: null, before: null, error: detail(status, body) } } });
    const now = pick(text, "state") ?? "{}";
    if (old?.text === now) return still(state);
    return still({ ...state, run: { ...state.run, store: { load: "ready", text: now, before: old?.text ?? null, kind: body.type } } });
  },

  schema(state, { workflow }, status, body) {
    const change = good(status, body) ? { load: "ready", start: body.start } : { load: "error", error: detail(status, body) };
    return still(detailed(state, workflow, change));
  },

  events: (state, { workflow }, status, body) => still(detailed(state, workflow, { events: good(status, body) ? body.events : [] })),

  representation(state, { workflow }, status, body) {
    const nodes = (good(status, body) ? body.graph.nodes : []).filter((node) => node.event_type);
    const answers = nodes.filter((node) => node.event_types?.includes("HumanResponseEvent"));
    const names = (found) => found.map((node) => node.event_type);
    const graph = good(status, body) ? body.graph : null;
    return still(detailed(state, workflow, { answers: names(answers), declared: names(nodes), description: graph?.description ?? "", graph }));
  },

  start(state, { workflow, form: name, from }, status, body) {
    if (!body?.handler_id) return still(form(state, name, { error: detail(status, body) }));
    const here = state.route.name === (from ?? workflow);
    const effects = here ? [{ kind: "go", hash: hashOf("run", body.handler_id) }] : [];
    const run = state.run?.id === body.handler_id ? null : state.run; // A continued handler is read anew.
    return { state: { ...listed(form(state, name, {}), body), run }, effects };
  },

  sent(state, { form: name, id, question, waiter }, status, body) {
    if (state.run?.id !== id) return still(state);
    if (status !== 200) return still(form(state, name, { error: detail(status, body) }));
    const next = form(state, name, { done: (state.forms[name]?.done ?? 0) + 1 });
    if (waiter !== undefined) {
      const waits = state.run.waits.filter((one) => one.waiter_id !== waiter);
      return { state: { ...next, run: { ...state.run, waits } }, effects: [getWaits(id)] };
    }
    if (question === undefined) return still(next);
    const runId = state.run.handler.run_id;
    const all = { ...state.answered, [runId]: [...(state.answered[runId] ?? []), question] };
    const answered = Object.fromEntries(Object.entries(all).slice(-50));
    const run = withAnswer(state.run, question);
    return { state: { ...next, answered, run }, effects: [{ kind: "keep", name: "answered", value: answered }] };
  },

  cancelled(state, { id }, status, body) {
    const error = status === 200 || status === 404 ? "" : detail(status, body); // 404: it has ended meanwhile.
    const done = state.forms.cancel?.done ?? 0;
    const next = form(state, "cancel", error ? { error } : { done: done + 1 });
    return { state: next, effects: state.run?.id === id ? [getRun(id)] : [] };
  },

  removed(state, { id }, status, body) {
    if (status !== 200 && status !== 404) return still(form(state, "cancel", { error: detail(status, body) }));
    const items = state.runs.items.filter((one) => one.handler_id !== id);
    const effects = state.run?.id === id ? [{ kind: "hush" }, { kind: "go", hash: "#/" }] : [];
    return { state: { ...form(state, "cancel", {}), runs: { ...state.runs, items } }, effects };
  },
};

/** How a run whose handler was just told goes on: by its events, by asking again, or not at all. */
function goOn(run, visible) {
  const over = ended(run);
  const again = (ms) => ({ run: { ...run, attempt: run.attempt + 1, progressed: false }, effects: [after("run", ms)] });
  switch (run.stream) {
    case "off":
      if (!visible) break;
      return { run: { ...run, stream: "connecting", progressed: false }, effects: [openStream(run)] };
    case "reconnecting":
      // An ended run whose stream brings nothing more has told everything.
      if (over && !run.progressed) return { run: { ...run, stream: "done" }, effects: [] };
      return again(over ? 0 : backoff(run.attempt));
    case "done":
      // The handler may be a moment behind the events.
      if (!over) return again(backoff(run.attempt));
  }
  return { run, effects: [] };
}

function detailed(state, workflow, change) {
  const known = state.details[workflow];
  return known ? { ...state, details: { ...state.details, [workflow]: { ...known, ...change } } } : state;
}

/** The list of runs with this handler as the server told last; a filtered list gets nothing new by itself. */
function listed(state, handler) {
  const { items, filter } = state.runs;
  const others = items.filter((one) => one.handler_id !== handler.handler_id);
  if (others.length === items.length && Object.values(filter).some(Boolean)) return state;
  return { ...state, runs: { ...state.runs, items: [...others, handler].sort(newestFirst) } };
}

const newestFirst = (a, b) => (a.started_at < b.started_at ? 1 : a.started_at > b.started_at ? -1 : 0);

/** An event's value with its free-form extras beside its fields, as people give them. */
function flat(value) {
  if (!members(value).some(([name]) => name === "_data")) return value;
  return `{${fieldsOf(value).map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(",")}}`;
}

/** Whether something was answered that can be used; a proxy may answer 200 with a page of its own. */
const good = (status, body) => status === 200 && body !== null;

/** The server's own sentence, or at least the status. */
function detail(status, body) {
  return typeof body?.detail === "string" ? body.detail : `The server answered with status ${status}.`;
}

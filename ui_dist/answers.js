/** What the server's answers do to the state: one function for each thing asked, `(state, request, status, body, text)`. */

import { after, askDetails, backoff, form, getRun, hashOf, openStream, still } from "./requests.js";
import { ended, withAnswer, withHandler } from "./run.js";

export const ANSWERS = {
  health: (state) => still(state),

  workflows(state, _request, status, body) {
    if (!good(status, body)) return still({ ...state, workflows: { ...state.workflows, load: "error", error: detail(status, body) } });
    return still({ ...state, workflows: { load: "ready", names: [...body.workflows].sort(), error: "" } });
  },

  runs(state, _request, status, body) {
    const again = [after("runs", state.runs.items.length > 200 ? 20_000 : 5_000)];
    const runs =
      good(status, body)
        ? { load: "ready", items: [...body.handlers].sort(newestFirst), error: "" }
        : { ...state.runs, load: "error", error: detail(status, body) };
    return { state: { ...state, runs }, effects: again };
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
    const { run, effects } = goOn(withHandler(state.run, body, text), state.visible);
    return { state: { ...asked.state, run }, effects: [...asked.effects, ...effects] };
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
    const description = body?.graph?.description ?? "";
    return still(detailed(state, workflow, { answers: names(answers), declared: names(nodes), description }));
  },

  start(state, { workflow }, status, body) {
    if (!body?.handler_id) return still(form(state, "start", { error: detail(status, body) }));
    const here = state.route.view === "new" && state.route.name === workflow;
    const effects = here ? [{ kind: "go", hash: hashOf("run", body.handler_id) }] : [];
    return { state: listed(form(state, "start", {}), body), effects };
  },

  sent(state, { form: name, id, question }, status, body) {
    if (state.run?.id !== id) return still(state);
    if (status !== 200) return still(form(state, name, { error: detail(status, body) }));
    const next = form(state, name, { done: (state.forms[name]?.done ?? 0) + 1 });
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

/** The list of runs with this handler as the server told last. */
function listed(state, handler) {
  const others = state.runs.items.filter((one) => one.handler_id !== handler.handler_id);
  return { ...state, runs: { ...state.runs, items: [...others, handler].sort(newestFirst) } };
}

const newestFirst = (a, b) => (a.started_at < b.started_at ? 1 : a.started_at > b.started_at ? -1 : 0);

/** Whether something was answered that can be used; a proxy may answer 200 with a page of its own. */
const good = (status, body) => status === 200 && body !== null;

/** The server's own sentence, or at least the status. */
function detail(status, body) {
  return typeof body?.detail === "string" ? body.detail : `The server answered with status ${status}.`;
}

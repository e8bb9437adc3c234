import assert from "node:assert/strict";
import test from "node:test";

import { KEPT, initial, parseRoute, runTime, update } from "../../ui_dist/core.js";

/** Feed inputs in and keep state and the effects of the last one. */
function drive(state = initial()) {
  const self = {
    state,
    effects: [],
    put(input) {
      const step = update(self.state, input);
      self.state = step.state;
      self.effects = step.effects;
      return self;
    },
    /** Answer the request for `what` among the last effects (or a made-up one) with this status and body. */
    answer(what, status, body, more = {}) {
      const request = self.effects.find((one) => one.what === what) ?? { kind: "request", what, ...more };
      return self.put({ type: "answer", request, status, text: typeof body === "string" ? body : JSON.stringify(body) });
    },
    kinds: () => self.effects.map((one) => one.what ?? one.name ?? one.kind),
    find: (kind) => self.effects.find((one) => one.kind === kind),
  };
  return self;
}

const handler = (more = {}) => ({ handler_id: "h1", workflow_name: "pay", run_id: "r1", status: "running", error: null, result: null, result_unreadable: false, started_at: "2026-01-01T00:00:00Z", updated_at: null, completed_at: null, ...more });
const STOP = '{"value":{"result":1},"qualified_name":"workflows.events.StopEvent","type":"StopEvent","types":null}';
const TICK = '{"value":{},"qualified_name":"x.Tick","type":"Tick","types":null}';
const ASK = '{"value":{"prompt":"Pay?"},"qualified_name":"x.Ask","type":"Ask","types":["InputRequiredEvent"]}';
const RETURNED = '{"value":{"name":"ask","step_state":"not_running","worker_id":"0","input_event_name":"Begin","output_event_name":"Ask"},"qualified_name":"x","type":"StepStateChanged","types":["InternalDispatchEvent"],"item":0}';
const running = () => drive().put({ type: "opened", hash: "#/run/h1" }).answer("handler", 202, handler()).put({ type: "stream", id: "h1", is: "open" });

test("routes", () => {
  assert.deepEqual(parseRoute(""), { view: "home" });
  assert.deepEqual(parseRoute("#/run/a%2Fb?view=graph&seq=4"), { view: "run", name: "a/b", tab: "graph", seq: 4 });
  assert.deepEqual(parseRoute("#/run/h?view=nonsense&seq=x"), { view: "run", name: "h", tab: "timeline", seq: null });
  assert.deepEqual(parseRoute("#/new/gr%C3%BC%C3%9Fe"), { view: "new", name: "grüße", from: null, again: false });
  assert.deepEqual(parseRoute("#/new/pay?from=h1&again=1"), { view: "new", name: "pay", from: "h1", again: true });
  assert.deepEqual(parseRoute("#/run/%E0%A4%A"), { view: "home" });
  assert.deepEqual(parseRoute("#/elsewhere"), { view: "home" });
});

test("the start page asks for workflows and runs, and shows the newest run first", () => {
  const page = drive().put({ type: "opened", hash: "" });
  assert.deepEqual(page.kinds(), ["hush", "runs", "workflows"]);
  page.answer("workflows", 200, { workflows: ["b", "a"] });
  assert.deepEqual(page.state.workflows, { names: ["a", "b"], error: "" });
  page.put({ type: "opened", hash: "" }).answer("runs", 200, { handlers: [handler(), handler({ handler_id: "h2", started_at: "2026-01-02T00:00:00Z" })] });
  assert.deepEqual(page.state.runs.items.map((one) => one.handler_id), ["h2", "h1"]);
  assert.deepEqual(page.effects, [{ kind: "timer", name: "runs", after: 4000 }]);
});

test("lists that the server refuses show its sentence", () => {
  const page = drive().put({ type: "opened", hash: "" });
  page.answer("workflows", 503, { detail: "The server is stopping." });
  assert.deepEqual([page.state.workflows.names, page.state.workflows.error], [null, "The server is stopping."]);
  page.answer("runs", 502, "<html>Bad gateway</html>", { filter: page.state.runs.filter });
  assert.equal(page.state.runs.error, "The server answered with status 502.");
  page.answer("workflows", 200, "<html>Please log in</html>");
  assert.equal(page.state.workflows.error, "The server answered with status 200.");
});

test("opening a run reads its handler, then its events from the very first", () => {
  const page = drive().put({ type: "opened", hash: "#/run/h%201" });
  assert.equal(page.effects.find((one) => one.what === "handler").path, "handlers/h%201");
  page.answer("handler", 202, handler({ handler_id: "h 1" }));
  assert.deepEqual(page.find("stream"), { kind: "stream", id: "h 1", after: -1 });
  assert.deepEqual([page.state.run.load, page.state.run.stream], ["ready", "connecting"]);
  assert.deepEqual(page.kinds(), ["details", "details", "details", "stream", "waiting"]);
});

test("all three statuses carry the handler; a missing one is said to be missing", () => {
  for (const [status, end] of [[200, "completed"], [500, "failed"], [500, "cancelled"]]) {
    const page = drive().put({ type: "opened", hash: "#/run/h1" }).answer("handler", status, handler({ status: end }));
    assert.deepEqual([page.state.run.load, page.state.run.handler.status], ["ready", end]);
  }
  const page = drive().put({ type: "opened", hash: "#/run/h1" }).answer("handler", 404, { detail: "Handler not found" });
  assert.deepEqual([page.state.run.load, page.effects], ["missing", []]);
});

test("an answer without a handler is told and asked again, ever more slowly", () => {
  const page = drive().put({ type: "opened", hash: "#/run/h1" }).answer("handler", 500, { detail: "Internal server error" });
  assert.deepEqual([page.state.run.load, page.state.run.error], ["error", "Internal server error"]);
  assert.deepEqual(page.effects, [{ kind: "timer", name: "run", after: 500 }]);
  page.put({ type: "timer", name: "run" }).answer("handler", 500, {});
  assert.equal(page.effects[0].after, 1000);
  page.put({ type: "timer", name: "run" }).answer("handler", 202, handler());
  assert.equal(page.state.run.load, "ready");
});

test("a run that ends closes its stream and fetches its result", () => {
  const page = running().put({ type: "events", id: "h1", batch: [[0, TICK], [1, STOP]] });
  assert.deepEqual(page.kinds(), ["hush", "handler"]);
  assert.equal(page.state.run.stream, "done");
  page.answer("handler", 200, handler({ status: "completed", result: JSON.parse(STOP) }));
  assert.equal(page.state.run.result, STOP);
  assert.deepEqual(page.kinds(), ["runs"], "the list tells it, too");
});

test("a handler that lags behind the last event is asked again", () => {
  const page = running().put({ type: "events", id: "h1", batch: [[0, STOP]] }).answer("handler", 202, handler());
  assert.deepEqual(page.effects, [{ kind: "timer", name: "run", after: 500 }]);
  page.put({ type: "timer", name: "run" });
  assert.deepEqual(page.kinds(), ["handler"]);
});

test("a lost stream is taken up after the last event, with growing pauses that progress resets", () => {
  const page = running().put({ type: "events", id: "h1", batch: [[0, TICK], [1, TICK]] });
  const lose = () => page.put({ type: "stream", id: "h1", is: "closed" }).answer("handler", 202, handler());
  assert.deepEqual(lose().effects, [{ kind: "timer", name: "run", after: 500 }]);
  assert.equal(page.state.run.stream, "reconnecting");
  page.put({ type: "timer", name: "run" });
  assert.deepEqual(page.effects, [{ kind: "stream", id: "h1", after: 1 }]);
  assert.equal(lose().effects[0].after, 1000);
  page.put({ type: "timer", name: "run" }).put({ type: "stream", id: "h1", is: "open" });
  page.put({ type: "events", id: "h1", batch: [[1, TICK], [2, TICK]] });
  assert.equal(page.state.run.events.length, 3);
  assert.equal(lose().effects[0].after, 500);
  for (let count = 0; count < 12; count += 1) lose();
  assert.equal(page.effects[0].after, 10_000);
});

test("a stream that closes after the run's end is read once more, then all is told", () => {
  const page = running().put({ type: "events", id: "h1", batch: [[0, TICK]] });
  const over = handler({ status: "completed" });
  page.put({ type: "stream", id: "h1", is: "closed" }).answer("handler", 200, over);
  assert.deepEqual(page.find("timer"), { kind: "timer", name: "run", after: 0 });
  page.put({ type: "timer", name: "run" }).put({ type: "stream", id: "h1", is: "closed" }).answer("handler", 200, over);
  assert.deepEqual([page.effects, page.state.run.stream], [[], "done"]);
});

test("events of a run that is no longer shown change nothing", () => {
  const page = running().put({ type: "opened", hash: "#/run/h2" });
  const before = page.state;
  page.put({ type: "events", id: "h1", batch: [[0, TICK]] }).put({ type: "stream", id: "h1", is: "closed" });
  assert.equal(page.state, before);
});

test("a handler that was continued elsewhere is read from its new beginning", () => {
  const page = running().put({ type: "events", id: "h1", batch: [[0, TICK], [1, STOP]] });
  page.answer("handler", 202, handler({ run_id: "r2" }));
  assert.deepEqual(page.find("stream"), { kind: "stream", id: "h1", after: -1 });
});

test("an unreachable server is probed with growing pauses, and everything is asked again when it is back", () => {
  const page = running().put({ type: "stream", id: "h1", is: "closed" });
  page.put({ type: "unreachable", request: page.effects.find((one) => one.what === "handler") });
  assert.equal(page.state.reachable, false);
  assert.deepEqual(page.effects, [{ kind: "timer", name: "probe", after: 500 }]);
  page.put({ type: "unreachable", request: { what: "runs" } });
  assert.deepEqual(page.effects, []);
  page.put({ type: "timer", name: "probe" });
  page.put({ type: "unreachable", request: page.effects[0] });
  assert.equal(page.effects[0].after, 1000);
  page.put({ type: "timer", name: "probe" }).answer("health", 200, { status: "healthy" });
  assert.deepEqual([page.state.reachable, page.kinds()], [true, ["workflows", "runs", "handler", "waiting", "input"]]);
  page.answer("handler", 202, handler()).put({ type: "timer", name: "run" });
  assert.equal(page.find("stream").after, -1);
});

test("a hidden page holds no stream and asks for nothing; shown again it goes on where it was", () => {
  const page = running().put({ type: "events", id: "h1", batch: [[0, TICK]] }).put({ type: "visible", yes: false });
  assert.deepEqual(page.effects, [{ kind: "hush" }]);
  assert.deepEqual(page.put({ type: "timer", name: "runs" }).effects, []);
  page.put({ type: "visible", yes: true });
  assert.deepEqual(page.kinds(), ["workflows", "runs", "handler", "waiting", "input"]);
  page.answer("handler", 202, handler());
  assert.deepEqual(page.effects, [{ kind: "stream", id: "h1", after: 0 }]);
});

test("starting: the server's refusal stands at the input, success opens the run", () => {
  const page = drive().put({ type: "opened", hash: "#/new/pay" });
  assert.deepEqual(page.kinds(), ["hush", "runs", "workflows", "details", "details", "details"]);
  page.put({ type: "start", workflow: "pay", text: '{"amount":1250.0}' });
  assert.equal(page.effects[0].path, "workflows/pay/run-nowait");
  assert.equal(page.effects[0].body, '{"start_event":{"amount":1250.0}}');
  assert.ok(page.state.forms.start.busy);
  const sent = page.effects;
  assert.deepEqual(page.put({ type: "start", workflow: "pay", text: "{}" }).effects.filter((one) => one.kind === "request"), [], "not twice");
  page.effects = sent;
  page.answer("start", 400, { detail: "Validation error for 'start_event': amount" });
  assert.equal(page.state.forms.start.error, "Validation error for 'start_event': amount");
  page.put({ type: "start", workflow: "pay", text: "{}" }).answer("start", 200, handler());
  assert.deepEqual(page.effects, [{ kind: "go", hash: "#/run/h1" }]);
});

test("input whose field names look like an envelope goes in an envelope", () => {
  const page = drive().put({ type: "opened", hash: "#/new/pay" }).answer("details", 200, { start: { title: "Begin" }, stop: {} });
  page.put({ type: "start", workflow: "pay", text: '{"value":3}' });
  assert.equal(page.effects[0].body, '{"start_event":{"type":"Begin","value":{"value":3}}}');
});

test("a start whose answer comes after the person has gone elsewhere does not pull them back", () => {
  const page = drive().put({ type: "opened", hash: "#/new/pay" }).put({ type: "start", workflow: "pay", text: "{}" });
  const sent = page.effects;
  page.put({ type: "opened", hash: "#/run/other" });
  page.effects = sent;
  assert.equal(page.answer("start", 200, handler()).find("go"), undefined);
});

test("a request that got no answer says that its outcome is unknown", () => {
  const page = drive().put({ type: "opened", hash: "#/new/pay" }).put({ type: "start", workflow: "pay", text: "{}" });
  page.put({ type: "unreachable", request: page.effects[0] });
  assert.match(page.state.forms.start.error, /may or may not/);
  assert.equal(page.state.forms.start.busy, false);
});

test("answering a question closes it and is remembered; a refusal leaves it open", () => {
  const page = running().put({ type: "events", id: "h1", batch: [[0, RETURNED], [1, ASK]] });
  const answer = { type: "send", form: "answer", eventType: "Given", text: '{"ok":true}', question: 1 };
  page.put(answer);
  assert.deepEqual([page.effects[0].path, page.effects[0].body], ["events/h1", '{"event":{"type":"Given","value":{"ok":true}}}']);
  page.answer("sent", 400, { detail: "Failed to deserialize event" });
  assert.equal(page.state.forms.answer.error, "Failed to deserialize event");
  assert.equal(page.state.run.questions.length, 1);
  page.put(answer).answer("sent", 200, { status: "sent" });
  assert.equal(page.state.run.questions.length, 0);
  assert.deepEqual([page.effects, page.state.answered], [[], { r1: [1] }]);
  const again = drive(initial({ answered: { r1: [1] } })).put({ type: "opened", hash: "#/run/h1" }).answer("handler", 202, handler());
  assert.equal(again.put({ type: "events", id: "h1", batch: [[0, RETURNED], [1, ASK]] }).state.run.questions.length, 0);
});

test("sending any event counts what was sent", () => {
  const page = running();
  page.put({ type: "send", form: "send", eventType: "Tick", text: "{}" }).answer("sent", 200, { status: "sent" });
  page.put({ type: "send", form: "send", eventType: "Tick", text: "{}" }).answer("sent", 200, { status: "sent" });
  assert.equal(page.state.forms.send.done, 2);
});

test("cancelling asks the server and then looks what became of the run", () => {
  const page = running().put({ type: "cancel" });
  assert.deepEqual([page.effects[0].method, page.effects[0].path], ["POST", "handlers/h1/cancel"]);
  page.answer("stopped", 200, { status: "cancelled" });
  assert.deepEqual(page.kinds(), ["handler"]);
  page.answer("handler", 500, handler({ status: "cancelled" }));
  assert.equal(page.state.run.handler.status, "cancelled");
  const late = running().put({ type: "cancel" }).answer("stopped", 404, { detail: "Handler not found" });
  assert.equal(late.state.forms.sure.error, "");
});

test("schemas: what may be sent, and a workflow that is gone", () => {
  const page = drive().put({ type: "opened", hash: "#/new/pay" });
  const asked = page.effects.filter((one) => one.what === "details");
  const graph = { description: "Pays.", nodes: [{ id: "s" }] };
  asked.forEach((request) => page.put({ type: "answer", request, status: 200, text: JSON.stringify({ start: { title: "Begin" }, events: [{ title: "Given" }], graph }) }));
  assert.deepEqual(page.state.details.pay, { start: { title: "Begin" }, events: [{ title: "Given" }], graph: page.state.details.pay.graph, error: "" });
  const gone = drive().put({ type: "opened", hash: "#/new/pay" }).answer("details", 404, { detail: "Workflow not found" });
  assert.equal(gone.state.details.pay.error, "Workflow not found");
  assert.ok(gone.put({ type: "retry" }).kinds().includes("details"));
});

test("what the browser keeps: settings, the input typed last and those sent", () => {
  const page = drive(initial({ settings: { internal: true }, drafts: { pay: "{1" } }));
  assert.deepEqual([page.state.settings, page.state.drafts.pay], [{ internal: true, fold: true }, "{1"]);
  page.put({ type: "set", name: "internal", value: false });
  assert.deepEqual(page.state.settings, { internal: false, fold: true });
  page.put({ type: "draft", workflow: "pay", text: "{2" });
  assert.deepEqual(page.state.drafts, { pay: "{2" });
  assert.ok(["settings", "answered", "drafts", "inputs"].every((name) => KEPT.includes(name) && name in page.state));
  for (const text of ["{}", '{"a":1}', "{}"]) page.put({ type: "start", workflow: "pay", text }).answer("start", 400, {});
  assert.deepEqual(page.state.inputs.pay, ["{}", '{"a":1}']);
});

test("looking around in a run changes the address and reads nothing again", () => {
  const page = running().put({ type: "look", tab: "graph" });
  assert.deepEqual(page.effects, [{ kind: "address", hash: "#/run/h1?view=graph" }]);
  page.put({ type: "look", tab: "timeline", seq: 7 });
  assert.equal(page.effects[0].hash, "#/run/h1?seq=7");
  const { run } = page.state;
  page.put({ type: "opened", hash: "#/run/h1?view=events&seq=3" });
  assert.deepEqual([page.state.run, page.state.route.seq, page.effects], [run, 3, []]);
});

test("the list of runs: filters are asked of the server, pages are added, an older answer does not count", () => {
  const page = drive().put({ type: "opened", hash: "" });
  const old = page.effects;
  page.put({ type: "filter", name: "status", value: "failed" });
  assert.deepEqual(page.kinds(), ["runs"]);
  page.effects = old;
  assert.equal(page.answer("runs", 200, { handlers: [handler()] }).state.runs.loading, true);
  page.put({ type: "timer", name: "runs" });
  assert.equal(page.effects[0].path, "handlers?limit=50&status=failed");
  page.answer("runs", 200, { handlers: [handler({ handler_id: "b", started_at: "2026-01-02T00:00:00Z" })], next_cursor: "c1" });
  page.put({ type: "more" });
  assert.equal(page.effects[0].path, "handlers?limit=50&cursor=c1&status=failed");
  page.answer("runs", 200, { handlers: [handler({ handler_id: "a" })], next_cursor: null });
  assert.deepEqual([page.state.runs.items.map((one) => one.handler_id), page.state.runs.next], [["b", "a"], null]);
  page.put({ type: "timer", name: "runs" }).answer("runs", 200, { handlers: [handler({ handler_id: "c", started_at: "2026-01-02T00:00:00Z" })], next_cursor: "c1" });
  assert.deepEqual(page.state.runs.items.map((one) => one.handler_id), ["c", "a"]);
});

test("rerun and continue send the input of the run, extras beside fields", () => {
  const page = running();
  page.answer("input", 200, '{"start_event":{"value":{"total":1250.0,"_data":{"who":"Ada"}},"type":"Begin"}}', { id: "h1" });
  assert.equal(page.state.run.input.text, '{"total":1250.0,"who":"Ada"}');
  page.put({ type: "rerun" });
  assert.deepEqual([page.effects[0].path, page.effects[0].body], ["workflows/pay/run-nowait", '{"start_event":{"total":1250.0,"who":"Ada"}}']);
  page.answer("start", 200, handler({ handler_id: "h2" }));
  assert.deepEqual(page.effects, [{ kind: "go", hash: "#/run/h2" }]);
  const next = drive().put({ type: "opened", hash: "#/new/pay?from=h1&again=1" });
  assert.ok(next.kinds().includes("input"));
  next.put({ type: "start", workflow: "pay", text: "{}", handler: "h1" });
  assert.equal(next.effects[0].body, '{"start_event":{},"handler_id":"h1"}');
});

test("waits are answered by their id and asked for again", () => {
  const page = running().answer("waiting", 200, { waiting: [{ waiter_id: "w1", type: "Given" }] }, { id: "h1" });
  assert.equal(page.state.run.waits.length, 1);
  page.put({ type: "send", form: "answer", eventType: "Given", text: "{}", waiter: "w1" });
  assert.equal(page.effects[0].body, '{"event":{"type":"Given","value":{}},"waiter_id":"w1"}');
  page.answer("sent", 200, { status: "sent" });
  assert.deepEqual([page.state.run.waits, page.kinds()], [[], ["waiting"]]);
});

test("the state is read when it is looked at, and what changed since is known", () => {
  const page = running().put({ type: "inspect", part: "state" });
  assert.deepEqual(page.kinds(), ["store"]);
  page.answer("store", 200, '{"state":{"n":1},"type":null}');
  page.put({ type: "events", id: "h1", batch: [[0, TICK]] });
  assert.deepEqual(page.effects, [{ kind: "timer", name: "store", after: 400 }]);
  page.put({ type: "timer", name: "store" }).answer("store", 200, '{"state":{"n":2},"type":null}');
  assert.deepEqual([page.state.run.store.before, page.state.run.store.text], ['{"n":1}', '{"n":2}']);
});

test("deleting leaves the run and takes it off the list", () => {
  const page = running().put({ type: "remove" });
  assert.deepEqual([page.effects[0].method, page.effects[0].path], ["DELETE", "handlers/h1"]);
  page.answer("stopped", 200, { status: "deleted" });
  assert.deepEqual([page.find("go").hash, page.state.dialog], ["#/", null]);
});

test("time never stands before what was seen to happen, nor after the end of the run", () => {
  const page = running();
  const seen = Date.parse("2026-01-01T00:00:09Z");
  page.put({ type: "events", id: "h1", batch: [[0, TICK.replace("{", '{"timestamp":"2026-01-01T00:00:09Z",')]] });
  assert.deepEqual([runTime(page.state, 5), runTime(page.state, seen + 7)], [seen, seen + 7]);
  page.answer("handler", 200, handler({ status: "completed" }), { id: "h1" });
  assert.equal(runTime(page.state, seen + 7), seen);
});

import assert from "node:assert/strict";
import test from "node:test";

import { asked, asking, condition, hue, matching, outcome, record, summary, tally, time, freshRun, withAnswer, withEvents, withHandler } from "../../ui_dist/run.js";
import { fieldsOf } from "../../ui_dist/json.js";

const event = (sequence, type, value = "{}", types = null, more = {}) =>
  record(sequence, JSON.stringify({ value: 0, qualified_name: `shop.${type}`, type, types, timestamp: `2026-01-01T00:00:00.${String(sequence * 1000).padStart(6, "0")}+00:00`, sequence, item: null, ...more }).replace('"value":0', `"value":${value}`));
/** A step-state event of item 1. */
const step = (sequence, state = "running", { output = null, item = 1, attempt = 1, failure = null, name = "pay" } = {}) =>
  event(sequence, "StepStateChanged", JSON.stringify({ name, step_state: state, worker_id: "0", input_event_name: "Begin", output_event_name: output }), ["InternalDispatchEvent"], { item, attempt, failure });
/** A step returns a question: two events. */
const asks = (sequence) => [step(sequence, "running", { item: sequence + 50 }), step(sequence + 1, "not_running", { output: "Ask", item: sequence + 50 }), ask(sequence + 2)];
const idle = (sequence) => event(sequence, "WorkflowIdleEvent", "{}", ["InternalDispatchEvent"]);
const ask = (sequence, value = '{"prompt":"Pay?"}') => event(sequence, "Ask", value, ["InputRequiredEvent"]);
const handler = (more = {}) => ({ handler_id: "h", workflow_name: "pay", run_id: "r", status: "running", error: null, result: null, result_unreadable: false, started_at: "2026-01-01T00:00:00Z", updated_at: null, completed_at: null, ...more });
const told = (run, more) => {
  const text = JSON.stringify(handler(more));
  return withHandler(run, JSON.parse(text), text);
};
const open = (run) => run.questions.map((one) => one.sequence);

test("events count once, in order, whatever a reconnect repeats", () => {
  const first = withEvents(freshRun("h"), [step(0), event(1, "Tick"), event(2, "Tick")]);
  const again = withEvents(first, [event(1, "Tick"), event(2, "Tick"), event(3, "StopEvent")]);
  assert.deepEqual(again.events.map((one) => one.sequence), [0, 1, 2, 3]);
  assert.deepEqual(again.shown.map((one) => one.sequence), [1, 2, 3]);
  assert.ok(again.over && !first.over);
  assert.equal(withEvents(again, [event(2, "Tick")]), again);
});

test("batches make no difference", () => {
  const failure = { exception_type: "builtins.ValueError", exception_message: "no" };
  const all = [...asks(0), idle(3), step(4), event(5, "Tick", "{}", null, { item: 1 }), step(6, "not_running", { failure }), step(7, "running", { attempt: 2 }), step(8, "not_running", { attempt: 2 }), idle(9), event(10, "StopEvent")];
  const whole = withEvents(freshRun("h"), all);
  const single = all.reduce((run, one) => withEvents(run, [one]), freshRun("h"));
  assert.deepEqual(single, whole);
});

test("a question is open until something reaches the idle run from outside", () => {
  const waiting = withEvents(freshRun("h"), [...asks(0), idle(3)]);
  assert.deepEqual(open(waiting), [2]);
  assert.deepEqual(open(withEvents(waiting, [step(4)])), []);
  assert.deepEqual(open(withEvents(waiting, [event(4, "WorkflowCancelledEvent", "{}", ["StopEvent"])])), []);
});

test("a prompt that a step published before it waits is no question of its own: the server lists the wait", () => {
  assert.deepEqual(open(withEvents(freshRun("h"), [step(0), step(1, "not_running"), ask(2), idle(3)])), []);
});

test("the answer to a wait closes no question that a step returned", () => {
  const both = withEvents(freshRun("h"), [step(0), step(1, "not_running"), ask(2), ...asks(3), idle(6)]);
  assert.deepEqual(open(withEvents(both, [step(7)])), [5]);
});

test("an answer given here closes its question at once, and the run's waking closes no other", () => {
  const two = withEvents(freshRun("h"), [...asks(0), ...asks(3), idle(6)]);
  const answered = withAnswer(two, 5);
  assert.deepEqual(open(answered), [2]);
  assert.deepEqual(open(withEvents(answered, [step(7)])), [2]);
  assert.deepEqual(open(withEvents(answered, [step(7), idle(8), step(9)])), []);
});

test("an answer that nobody took brings the question back", () => {
  const answered = withAnswer(withEvents(freshRun("h"), [...asks(0), idle(3)]), 2);
  assert.deepEqual(open(withEvents(answered, [event(4, "UnhandledEvent", "{}", ["InternalDispatchEvent"])])), [2]);
});

test("what is asked: waits as the server lists them and returned questions, the newest first", () => {
  const run = { ...told(withEvents(freshRun("h"), asks(0))), waits: [{ waiter_id: "w", step: "pay", type: "Given", schema: { title: "Given" }, deadline: null, prompt: { value: { prompt: "Now?" } } }] };
  assert.deepEqual(asking(run).map((one) => [one.key, one.prompt]), [["wait w", '{"prompt":"Now?"}'], ["event 2", '{"prompt":"Pay?"}']]);
  assert.deepEqual(asking(told(run, { status: "cancelled" })), []);
});

test("executions: queued, at work, failed, waiting for the next attempt, at work again, done", () => {
  const failure = { exception_type: "builtins.ValueError", exception_message: "no" };
  const run = withEvents(freshRun("h"), [step(0, "preparing"), step(1), event(2, "Tick", "{}", null, { item: 1 }), step(3, "not_running", { failure }), step(5, "running", { attempt: 2 }), step(6, "not_running", { attempt: 2, output: "Done" })]);
  const item = run.items.get(1);
  assert.deepEqual(item.spans.map(({ kind, from, to }) => [kind, Math.round(from % 1000), Math.round(to % 1000)]), [["queued", 0, 1], ["running", 1, 3], ["delayed", 3, 5], ["running", 5, 6]]);
  assert.deepEqual([item.is, item.attempt, item.output, item.failure, item.sequence], ["done", 2, "Done", null, 0]);
  assert.equal(item.spans[1].failure.exception_message, "no");
  assert.ok(item.spans.every((one) => one.to !== null));
});

test("executions: a wait has its own stretch, and the end of the run ends what is open", () => {
  const run = withEvents(freshRun("h"), [step(0), step(1, "not_running"), step(2, "running", { item: 2 }), step(3, "preparing", { item: 3 }), event(9, "WorkflowCancelledEvent", "{}", ["StopEvent"])]);
  const kinds = (id) => run.items.get(id).spans.map(({ kind, to, cut }) => [kind, Math.round(to % 1000), cut ?? false]);
  assert.deepEqual(kinds(1), [["running", 1, false], ["waiting", 9, true]]);
  assert.deepEqual(kinds(2), [["running", 9, true]]);
  assert.deepEqual(kinds(3), [["queued", 9, true]]);
  assert.deepEqual([...run.items.values()].map((one) => one.is), ["stopped", "stopped", "stopped"]);
});

test("a step that runs again after a crash was cut", () => {
  const run = withEvents(freshRun("h"), [step(0), step(4), step(5, "not_running", { output: "Done" })]);
  assert.deepEqual(run.items.get(1).spans.map((one) => one.cut ?? false), [true, false]);
});

test("how often each step and each type was seen", () => {
  const run = withEvents(freshRun("h"), [step(0), step(1, "not_running", { output: "Done" }), step(2, "running", { item: 2 }), step(3, "running", { item: 3, name: "ship" }), event(4, "Tick"), event(5, "Tick")]);
  const { steps, types } = tally(run);
  assert.deepEqual([steps.pay.count, steps.pay.running, steps.ship.running], [2, 1, 1]);
  assert.deepEqual(types, { Done: 1, Begin: 2, Tick: 2 });
});

test("events of a step, of a type, with words", () => {
  const run = withEvents(freshRun("h"), [step(0), event(1, "Tick", '{"n":1}', null, { item: 1 }), event(2, "Tock", '{"n":2}'), step(3, "not_running", { output: "Done" })]);
  const found = (...parts) => matching(run, ...parts).map((one) => one.sequence);
  assert.deepEqual(found(false, null, ""), [1, 2]);
  assert.deepEqual(found(true, null, ""), [0, 1, 2, 3]);
  assert.deepEqual(found(false, { kind: "step", name: "pay" }, ""), [1]);
  assert.deepEqual(found(true, { kind: "step", name: "pay" }, ""), [0, 1, 3]);
  assert.deepEqual(found(false, { kind: "type", name: "Tock" }, ""), [2]);
  assert.deepEqual(found(false, null, ' "N":1 '), [1]);
});

test("times keep their microseconds", () => {
  assert.ok(Math.abs(time("2026-01-01T00:00:00.001234+00:00") - Date.parse("2026-01-01T00:00:00Z") - 1.234) < 0.001);
  assert.ok(Number.isNaN(time(null)));
});

test("a question answered in this browser before stays closed when the events are read again", () => {
  assert.deepEqual(open(withEvents(freshRun("h"), [...asks(0), step(3)], [2])), []);
});

test("the condition of a run", () => {
  assert.equal(condition(freshRun("h")), "");
  const run = told(freshRun("h"));
  assert.equal(condition(run), "running");
  assert.equal(condition(withEvents(run, asks(0))), "waiting");
  assert.equal(condition(told(withEvents(run, asks(0)), { status: "cancelled" })), "cancelled");
  assert.equal(condition(told(run, { phase: "blocked", error: "The class is gone" })), "blocked");
  const queued = told(run, { phase: "queued" });
  assert.deepEqual([condition(queued), condition(withEvents(queued, [step(0)]))], ["queued", "running"]);
});

test("results are shown as they were sent, falsy ones too", () => {
  const result = (json, type = "StopEvent") => {
    const text = JSON.stringify(handler({ status: "completed", result: "@" })).replace('"@"', `{"value":${json},"qualified_name":"x","type":"${type}","types":null}`);
    return outcome(withHandler(freshRun("h"), JSON.parse(text), text));
  };
  assert.deepEqual(result('{"result":"Hello"}'), { kind: "completed", heading: "Result", note: "string", text: "Hello" });
  assert.equal(result('{"result":0}').json, "0");
  assert.equal(result('{"result":1250.0}').json, "1250.0");
  assert.equal(result('{"result":12345678901234567890}').json, "12345678901234567890");
  assert.equal(result('{"result":false}').json, "false");
  assert.deepEqual(result('{"result":""}'), { kind: "completed", heading: "Result", note: "string", json: '""' });
  assert.deepEqual(result("{}"), { kind: "completed", heading: "Result", note: "None", json: "null" });
  assert.deepEqual(result('{"parcels":2}', "OrderShipped"), { kind: "completed", heading: "Result", note: "OrderShipped", json: '{"parcels":2}' });
  assert.match(outcome(told(freshRun("h"), { status: "completed", result_unreadable: true })).text, /can't be read/);
});

test("a failure names the step, the exception and the attempts", () => {
  const value = '{"step_name":"pay","exception":{"exception_type":"builtins.ValueError","exception_message":"no"},"attempts":3,"elapsed_seconds":1.5}';
  const run = withEvents(freshRun("h"), [event(0, "WorkflowFailedEvent", value, ["StopEvent"])]);
  const found = outcome(told(run, { status: "failed", error: "no" }));
  assert.deepEqual(found, { kind: "failed", heading: "Failed", note: "Step pay raised ValueError after 3 attempts", text: "no" });
  assert.equal(outcome(told(freshRun("h"), { status: "failed" })).text, "The exception had no message.");
});

test("a time-out names the steps that were active, a cancelled run says so, a running one nothing", () => {
  const late = withEvents(freshRun("h"), [event(0, "WorkflowTimedOutEvent", '{"timeout":1.0,"active_steps":["pay","ship"]}', ["StopEvent"])]);
  assert.match(outcome(told(late, { status: "failed", error: "late" })).note, /pay, ship/);
  const cancelled = withEvents(freshRun("h"), [event(0, "WorkflowCancelledEvent", "{}", ["StopEvent"])]);
  assert.deepEqual([outcome(told(cancelled, { status: "cancelled" })).kind, outcome(told(cancelled, { status: "cancelled" })).note], ["cancelled", ""]);
  assert.equal(outcome(told(freshRun("h"))), null);
  assert.equal(outcome(told(freshRun("h"), { phase: "blocked", error: "The class is gone" })).text, "The class is gone");
});

test("a handler that was continued begins its events anew", () => {
  const run = told(withEvents(freshRun("h"), [event(0, "Tick")]));
  assert.equal(told(run).events.length, 1);
  assert.deepEqual([told(run, { run_id: "r2" }).events.length, told(run, { run_id: "r2" }).shown.length], [0, 0]);
});

test("an event in one line", () => {
  assert.equal(summary(event(0, "Price", '{"total":58.50,"_data":{"by":"Ada\\nL"}}')), "total: 58.50, by: Ada L");
  assert.equal(summary(step(0)), "pay running: Begin");
  assert.equal(summary(event(0, "Tick")), "");
  assert.ok(summary(event(0, "Text", JSON.stringify({ a: "x".repeat(5000) }))).length < 200);
  assert.match(summary(event(0, "Text", JSON.stringify({ a: "x".repeat(50_000) }))), /characters of JSON/);
  assert.deepEqual(fieldsOf('{"a":1,"_data":{"b":2}}'), [["a", "1"], ["b", "2"]]);
});

test("what a question asks", () => {
  assert.deepEqual(asked('{"amount":1250.0,"prompt":"Pay?","who":"Ada"}'), { prompt: "Pay?", rest: [["amount", "1250.0"], ["who", "Ada"]] });
  assert.deepEqual(asked('{"_data":{"prefix":"Your name? "}}'), { prompt: "Your name?", rest: [] });
  assert.deepEqual(asked('{"topic":"Colour?"}'), { prompt: "Colour?", rest: [] });
  assert.deepEqual(asked("{}"), { prompt: "", rest: [] });
});

test("colours tell families apart and are the same for one type", () => {
  assert.equal(hue(ask(0)), "asks");
  assert.equal(hue(step(0)), "internal");
  assert.equal(hue(event(0, "StopEvent")), "stops");
  assert.equal(hue(event(0, "WorkflowFailedEvent", "{}", ["StopEvent"])), "fails");
  assert.equal(hue(event(0, "Tick")), hue(event(9, "Tick")));
  assert.match(hue(event(0, "Tick")), /^hue-[0-5]$/);
});

import assert from "node:assert/strict";
import test from "node:test";

import { asked, condition, fieldsOf, freshRun, hue, outcome, record, summary, withAnswer, withEvents, withHandler } from "../../ui_dist/run.js";

const event = (sequence, type, value = "{}", types = null) =>
  record(sequence, `{"value":${value},"qualified_name":"shop.${type}","type":"${type}","types":${JSON.stringify(types)}}`);
const step = (sequence, state = "running") =>
  event(sequence, "StepStateChanged", `{"name":"pay","step_state":"${state}","worker_id":"0","input_event_name":"Ask","output_event_name":null}`, ["InternalDispatchEvent"]);
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
  assert.equal(again.last, 3);
  assert.ok(again.over && !first.over);
  assert.equal(withEvents(again, [event(2, "Tick")]), again);
});

test("batches make no difference", () => {
  const all = [step(0), ask(1), idle(2), step(3), event(4, "Tick"), ask(5), event(6, "Tick")];
  const whole = withEvents(freshRun("h"), all);
  const single = all.reduce((run, one) => withEvents(run, [one]), freshRun("h"));
  assert.deepEqual(single, whole);
});

test("a question is open until something reaches the idle run from outside", () => {
  const waiting = withEvents(freshRun("h"), [step(0), ask(1), step(2, "not_running"), idle(3)]);
  assert.deepEqual(open(waiting), [1]);
  assert.deepEqual(open(withEvents(waiting, [step(4)])), []);
  assert.deepEqual(open(withEvents(waiting, [event(4, "WorkflowCancelledEvent", "{}", ["StopEvent"])])), []);
});

test("the next question takes the place of the one before", () => {
  const second = withEvents(freshRun("h"), [ask(1), idle(2), ask(3), idle(4)]);
  assert.deepEqual(open(second), [3]);
});

test("an answer given here closes its question at once, and the run's waking closes no other", () => {
  const two = withEvents(freshRun("h"), [ask(0), ask(1), idle(2)]);
  const answered = withAnswer(two, 1);
  assert.deepEqual(open(answered), [0]);
  assert.deepEqual(open(withEvents(answered, [step(3)])), [0]);
  assert.deepEqual(open(withEvents(answered, [step(3), idle(4), step(5)])), []);
  assert.deepEqual(open(withAnswer(withEvents(two, [step(3)]), 1)), [0]);
});

test("an answer that nobody took brings the question back", () => {
  const answered = withAnswer(withEvents(freshRun("h"), [ask(0), idle(1)]), 0);
  const refused = withEvents(answered, [event(2, "UnhandledEvent", "{}", ["InternalDispatchEvent"])]);
  assert.deepEqual(open(refused), [0]);
});

test("a question answered in this browser before stays closed when the events are read again", () => {
  assert.deepEqual(open(withEvents(freshRun("h"), [ask(0), step(1)], [0])), []);
});

test("the condition of a run", () => {
  assert.equal(condition(freshRun("h")), "");
  const run = told(freshRun("h"));
  assert.equal(condition(run), "running");
  assert.equal(condition(withEvents(run, [ask(0)])), "waiting");
  assert.equal(condition(told(withEvents(run, [ask(0)]), { status: "cancelled" })), "cancelled");
  assert.equal(condition(told(run, { phase: "blocked", error: "The class is gone" })), "blocked");
});

test("results are shown as they were sent, falsy ones too", () => {
  const result = (json, type = "StopEvent") => {
    const text = JSON.stringify(handler({ status: "completed", result: "@" })).replace('"@"', `{"value":${json},"qualified_name":"x","type":"${type}","types":null}`);
    return outcome(withHandler(freshRun("h"), JSON.parse(text), text));
  };
  assert.deepEqual(result('{"result":"Hello"}'), { kind: "completed", title: "Result", note: "string", text: "Hello" });
  assert.equal(result('{"result":0}').json, "0");
  assert.equal(result('{"result":1250.0}').json, "1250.0");
  assert.equal(result('{"result":12345678901234567890}').json, "12345678901234567890");
  assert.equal(result('{"result":false}').json, "false");
  assert.deepEqual(result('{"result":""}'), { kind: "completed", title: "Result", note: "string", json: '""' });
  assert.deepEqual(result("{}"), { kind: "completed", title: "Result", note: "None", json: "null" });
  assert.deepEqual(result('{"parcels":2}', "OrderShipped"), { kind: "completed", title: "Result", note: "OrderShipped", json: '{"parcels":2}' });
  assert.match(outcome(told(freshRun("h"), { status: "completed", result_unreadable: true })).text, /can't be read/);
});

test("a failure names the step, the exception and the attempts", () => {
  const value = '{"step_name":"pay","exception":{"exception_type":"builtins.ValueError","exception_message":"no"},"attempts":3,"elapsed_seconds":1.5}';
  const run = withEvents(freshRun("h"), [event(0, "WorkflowFailedEvent", value, ["StopEvent"])]);
  const found = outcome(told(run, { status: "failed", error: "no" }));
  assert.deepEqual(found, { kind: "failed", title: "Failed", note: "Step pay raised ValueError after 3 attempts", text: "no" });
  assert.equal(outcome(told(freshRun("h"), { status: "failed" })).text, "The server gave no reason.");
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
  assert.deepEqual([told(run, { run_id: "r2" }).events.length, told(run, { run_id: "r2" }).last], [0, -1]);
});

test("an event in one line", () => {
  assert.equal(summary(event(0, "Price", '{"total":58.50,"_data":{"by":"Ada\\nL"}}')), "total: 58.50, by: Ada L");
  assert.equal(summary(step(0)), "pay began: Ask");
  assert.equal(summary(event(0, "Tick")), "");
  assert.ok(summary(event(0, "Text", JSON.stringify({ a: "x".repeat(5000) }))).length < 200);
  assert.match(summary(event(0, "Text", JSON.stringify({ a: "x".repeat(50_000) }))), /characters of JSON/);
  assert.deepEqual(fieldsOf(event(0, "Odd", "3")), [["value", "3"]]);
});

test("what a question asks", () => {
  assert.deepEqual(asked(ask(0, '{"amount":1250.0,"prompt":"Pay?","who":"Ada"}')), { prompt: "Pay?", rest: [["amount", "1250.0"], ["who", "Ada"]] });
  assert.deepEqual(asked(ask(0, '{"_data":{"prefix":"Your name? "}}')), { prompt: "Your name?", rest: [] });
  assert.deepEqual(asked(ask(0, '{"topic":"Colour?"}')), { prompt: "Colour?", rest: [] });
  assert.deepEqual(asked(ask(0, "{}")), { prompt: "The run waits for an answer.", rest: [] });
});

test("colours tell families apart and are the same for one type", () => {
  assert.equal(hue(ask(0)), "asks");
  assert.equal(hue(step(0)), "internal");
  assert.equal(hue(event(0, "StopEvent")), "stops");
  assert.equal(hue(event(0, "WorkflowFailedEvent", "{}", ["StopEvent"])), "fails");
  assert.equal(hue(event(0, "Tick")), hue(event(9, "Tick")));
  assert.match(hue(event(0, "Tick")), /^hue-[0-5]$/);
});

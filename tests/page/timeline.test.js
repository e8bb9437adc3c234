import assert from "node:assert/strict";
import test from "node:test";

import { durations, scale } from "../../ui_dist/layout.js";
import { rowsOf } from "../../ui_dist/run.js";

const span = (kind, from, to) => ({ kind, from, to });
const items = (...spans) => [{ spans }];
const near = (a, b) => assert.ok(Math.abs(a - b) < 1e-6, `${a} is not ${b}`);

test("without idle time the scale is even", () => {
  const line = scale(items(span("running", 1000, 2000)), 1000, 2000, true);
  near(line.at(1000), 0);
  near(line.at(1500), 0.5);
  near(line.at(2000), 1);
  assert.equal(line.ms, 1000);
  assert.deepEqual(line.ticks.map((tick) => tick.ms), [0, 200, 400, 600, 800, 1000]);
});

test("hours of waiting are folded up; work keeps its proportions", () => {
  const hours = 3 * 3600_000;
  const all = items(span("running", 0, 1000), span("waiting", 1000, hours), span("running", hours, hours + 3000));
  const line = scale(all, 0, hours, true);
  assert.equal(line.folds.length, 1);
  assert.equal(line.folds[0].ms, hours - 1000);
  const work = line.at(1000) - line.at(0);
  near((line.at(hours + 3000) - line.at(hours)) / work, 3);
  assert.ok(work > 0.2);
  assert.equal(scale(all, 0, hours, false).folds.length, 0);
});

test("moments never lie outside, and later ones never further left", () => {
  const line = scale(items(span("running", 0, 5), span("queued", 5000, 5010), span("running", 9000, null)), 0, 9100, true);
  let last = -1;
  for (let at = -100; at < 9300; at += 7) {
    const x = line.at(at);
    assert.ok(x >= 0 && x <= 1 && x >= last);
    last = x;
  }
});

test("open stretches grow with the time, a retry that may never come does not", () => {
  assert.equal(scale(items(span("running", 0, null)), 0, 700, true).ms, 700);
  near(scale(items(span("running", 0, 10), span("delayed", 10, null)), 0, 700, true).ms, 10);
  assert.deepEqual(durations({ spans: [span("queued", 0, 5), span("running", 5, 9), span("waiting", 9, null)] }, 20), { queued: 5, running: 4, waiting: 11, delayed: 0 });
});

test("nothing has happened yet", () => {
  const line = scale([], 50, 50, true);
  near(line.at(50), 0);
  assert.deepEqual(line.folds, []);
});

test("rows of a step, of a type", () => {
  const run = { items: new Map([{ step: "a", input: "X", output: "Y" }, { step: "b", input: "Y", output: null }].map((one, id) => [id, one])) };
  assert.equal(rowsOf(run, null).length, 2);
  assert.deepEqual(rowsOf(run, { kind: "step", name: "b" }).map((one) => one.step), ["b"]);
  assert.deepEqual(rowsOf(run, { kind: "type", name: "Y" }).length, 2);
});

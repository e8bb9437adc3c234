import assert from "node:assert/strict";
import test from "node:test";

import { visible } from "../../ui_dist/window.js";

test("ten thousand rows cost as many as fit, and a few around them", () => {
  const seen = visible(10_000, 38, [], 38 * 5000, 380);
  assert.ok(seen.first <= 5000 && seen.first > 4980);
  assert.ok(seen.end >= 5010 && seen.end < 5030);
  assert.equal(seen.total, 380_000);
  assert.equal(seen.top(7), 266);
});

test("open rows push those below them down", () => {
  const seen = visible(100, 10, [{ index: 3, extra: 500 }, { index: 50, extra: 7 }], 0, 100);
  assert.equal(seen.top(3), 30);
  assert.equal(seen.top(4), 540);
  assert.equal(seen.top(51), 1017);
  assert.equal(seen.total, 1507);
  assert.equal(seen.first, 0);
  assert.equal(visible(100, 10, [{ index: 3, extra: 500 }], 535, 100).first, 0);
});

test("the end of the list and an empty list are no special cases", () => {
  const end = visible(100, 10, [], 900, 100);
  assert.equal(end.end, 100);
  const none = visible(0, 10, [], 0, 100);
  assert.deepEqual([none.first, none.end, none.total], [0, 0, 0]);
});

test("every row is drawn at some place of the scroll bar", () => {
  const open = [{ index: 2, extra: 300 }, { index: 60, extra: 90 }];
  const drawn = new Set();
  for (let scrolled = 0; scrolled < 100 * 10 + 390; scrolled += 100) {
    const seen = visible(100, 10, open, scrolled, 100);
    for (let index = seen.first; index < seen.end; index += 1) drawn.add(index);
  }
  assert.equal(drawn.size, 100);
});

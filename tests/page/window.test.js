import assert from "node:assert/strict";
import test from "node:test";

import { visible } from "../../ui_dist/layout.js";

test("ten thousand rows cost as many as fit, and a few around them", () => {
  const [first, end] = visible(10_000, 38, 38 * 5000, 380);
  assert.ok(first <= 5000 && first > 4980);
  assert.ok(end >= 5010 && end < 5030);
});

test("the end of the list and an empty list are no special cases", () => {
  assert.equal(visible(100, 10, 900, 100)[1], 100);
  assert.deepEqual(visible(0, 10, 0, 100), [0, 0]);
  assert.deepEqual(visible(3, 10, 900, 100), [3, 3]);
});

test("every row is drawn at some place of the scroll bar", () => {
  const drawn = new Set();
  for (let scrolled = 0; scrolled <= 900; scrolled += 100) {
    const [first, end] = visible(100, 10, scrolled, 100);
    for (let index = first; index < end; index += 1) drawn.add(index);
  }
  assert.equal(drawn.size, 100);
});

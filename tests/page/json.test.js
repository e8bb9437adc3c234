import assert from "node:assert/strict";
import test from "node:test";

import { changes, complaint, members, pick, pretty } from "../../ui_dist/json.js";

const SAMPLES = [
  "{}",
  "[]",
  '{"a":1250.0,"b":[1,2,{"c":null}],"d":{},"e":[[]],"f":"x, {\\"y\\": [1]} \\\\"}',
  '[12345678901234567890,-1.50e+10,true,false,null,"",{"":""}]',
  '"text: {with} [signs], and \\u00e9"',
  "0",
];

test("laid-out JSON is the same JSON, digit by digit", () => {
  for (const sample of SAMPLES) {
    assert.deepEqual(JSON.parse(pretty(sample)), JSON.parse(sample));
    assert.equal(pretty(pretty(sample)), pretty(sample));
  }
  assert.match(pretty(SAMPLES[2]), /"a": 1250\.0,/);
  assert.match(pretty(SAMPLES[3]), /12345678901234567890/);
});

test("laid-out JSON looks as JSON.stringify would have it", () => {
  const value = { a: [1, { b: [] }, "c"], d: {}, e: { f: null } };
  assert.equal(pretty(JSON.stringify(value)), JSON.stringify(value, null, 2));
});

test("members are cut out as text, in order, whatever stands inside them", () => {
  assert.deepEqual(members(SAMPLES[2]), [
    ["a", "1250.0"],
    ["b", '[1,2,{"c":null}]'],
    ["d", "{}"],
    ["e", "[[]]"],
    ["f", '"x, {\\"y\\": [1]} \\\\"'],
  ]);
  assert.deepEqual(members(' { "k\\u0065y" : [ 1 , 2 ] , "o" : { "p" : ":" } } '), [
    ["key", "[ 1 , 2 ]"],
    ["o", '{ "p" : ":" }'],
  ]);
  assert.deepEqual(members("{}"), []);
});

test("a value is found along a path of keys, or is null", () => {
  assert.equal(pick('{"a":{"b":{"c":1.0}}}', "a", "b", "c"), "1.0");
  assert.equal(pick('{"a":{"b":1}}', "a", "x"), null);
  assert.equal(pick('{"a":[1]}', "a", "0"), null);
  assert.equal(pick('{"a":{"result":false}}', "a", "result"), "false");
});

test("a long string does not exhaust the matcher", () => {
  const long = JSON.stringify({ a: 'x\\"'.repeat(300_000) });
  assert.equal(pretty(long).length, long.length + "\n  ".length + " ".length + "\n".length);
});

test("what is no JSON object is complained about, with the place", () => {
  assert.equal(complaint('{"a": [1, 2]}'), "");
  for (const text of ["[1]", "null", '"x"']) assert.match(complaint(text), /Enter a JSON object/);
  assert.match(complaint("  "), /not valid JSON/);
  assert.match(complaint('{\n  "a": 1,\n}'), /not valid JSON.*position 12/);
});

test("the elements of a list, as they were written", () => {
  const elements = (text) => members(text).map(([, json]) => json);
  assert.deepEqual(elements('[1.0, "a,]", {"x": [1, 2]}, [], null ]'), ["1.0", '"a,]"', '{"x": [1, 2]}', "[]", "null"]);
  assert.deepEqual(elements("[]"), []);
});

test("what changed between two objects", () => {
  assert.deepEqual(changes('{"a":1,"b":[2],"c":3}', '{"a":1,"b":[2,3],"d":4}'), [["a", "1", "1"], ["b", "[2,3]", "[2]"], ["d", "4", undefined], ["c", undefined, "3"]]);
});

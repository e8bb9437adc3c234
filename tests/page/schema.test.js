import assert from "node:assert/strict";
import test from "node:test";

import { fields, prefilled, sendable, skeleton } from "../../ui_dist/schema.js";

const ORDER = {
  $defs: {
    Customer: {
      type: "object",
      title: "Customer",
      properties: { name: { type: "string" }, country: { enum: ["DE", "NL"], default: "NL", type: "string" } },
      required: ["name"],
    },
  },
  type: "object",
  properties: {
    customer: { $ref: "#/$defs/Customer" },
    items: { type: "array", items: { type: "string" }, minItems: 1 },
    express: { type: "boolean", default: false },
    note: { anyOf: [{ type: "string" }, { type: "null" }], description: "For the driver.\nOptional." },
    weight: { type: "number", exclusiveMinimum: 0 },
  },
  required: ["customer", "items"],
};

test("a skeleton has every field, with defaults, first choices and least values", () => {
  assert.deepEqual(skeleton(ORDER), {
    customer: { name: "", country: "NL" },
    items: [""],
    express: false,
    note: null,
    weight: 1,
  });
});

test("a skeleton of single kinds", () => {
  assert.equal(skeleton({ const: 7 }), 7);
  assert.equal(skeleton({ enum: ["a", "b"] }), "a");
  assert.equal(skeleton({ examples: ["Ada"], type: "string" }), "Ada");
  assert.equal(skeleton({ type: "integer", minimum: 3 }), 3);
  assert.equal(skeleton({ type: ["string", "null"] }), "");
  assert.equal(skeleton({ anyOf: [{ type: "integer" }, { type: "string" }] }), 0);
  assert.deepEqual(skeleton({ type: "array", prefixItems: [{ type: "string" }, { type: "boolean" }] }), ["", false]);
  assert.equal(skeleton({}), null);
  assert.equal(skeleton({ type: "string", default: null }), null);
});

test("a schema that refers to itself ends", () => {
  const tree = { $defs: { Tree: { type: "object", properties: { child: { $ref: "#/$defs/Tree" } } } }, $ref: "#/$defs/Tree" };
  assert.ok(JSON.stringify(skeleton(tree)).length < 200);
  const circle = { $defs: { A: { $ref: "#/$defs/B" }, B: { $ref: "#/$defs/A" } }, $ref: "#/$defs/A" };
  assert.equal(skeleton(circle), null);
});

test("fields are told with type, need and the first line of what they mean", () => {
  const found = Object.fromEntries(fields(ORDER).map(({ name, ...rest }) => [name, rest]));
  assert.deepEqual(found.customer, { type: "Customer", required: true, description: "" });
  assert.equal(found.items.type, "list of string");
  assert.deepEqual(found.note, { type: "string | null", required: false, description: "For the driver." });
  assert.equal(fields({ properties: { x: ORDER.$defs.Customer.properties.country } })[0].type, '"DE" | "NL"');
  assert.deepEqual(fields({ title: "StartEvent", type: "object" }), []);
});

test("the text to begin with is an object, whatever the schema", () => {
  assert.equal(prefilled({ type: "object", properties: {} }), "{}");
  assert.equal(prefilled(undefined), "{}");
});

test("events to send: answers first, then those the program added, start and stop last", () => {
  const details = {
    start: { title: "Begin" },
    events: ["StopEvent", "Begin", "Progress", "Extra", "Answer"].map((title) => ({ title })),
    answers: ["Answer"],
    declared: ["StopEvent", "Begin", "Progress", "Answer"],
  };
  assert.deepEqual(sendable(details).map(({ title }) => title), ["Answer", "Extra", "Progress", "StopEvent", "Begin"]);
  assert.deepEqual(sendable(undefined), []);
  assert.deepEqual(sendable({ ...details, answers: null }), []);
});

import assert from "node:assert/strict";
import test from "node:test";

import { complaints, fits, sendable, shapeOf, titleOf } from "../../ui_dist/json.js";

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

const fieldOf = (name) => shapeOf(ORDER).fields.find((one) => one.name === name);

test("an object's fields: nested ones, choices, lists, defaults, and those that may be left out", () => {
  assert.deepEqual(shapeOf(ORDER).fields.map(({ name, required, type }) => [name, required, type]), [
    ["customer", true, "Customer"],
    ["items", true, "list of text"],
    ["express", false, "yes or no"],
    ["note", false, "text or none"],
    ["weight", false, "number"],
  ]);
  const [name, country] = fieldOf("customer").shape.fields;
  assert.deepEqual([name.shape.kind, country.shape.kind, country.shape.options, country.shape.json], ["string", "enum", ['"DE"', '"NL"'], '"NL"']);
  assert.deepEqual([fieldOf("items").shape.kind, fieldOf("items").shape.min], ["list", 1]);
  assert.deepEqual(fieldOf("express").shape, { kind: "boolean", json: "false" });
  assert.deepEqual(fieldOf("note").shape.choices.map((one) => one.label), ["not given", "text", "none"]);
  assert.equal(fieldOf("note").description, "For the driver.\nOptional.");
  assert.deepEqual(fieldOf("weight").shape.choices[1].shape.min, 0);
});

test("single kinds", () => {
  assert.deepEqual(shapeOf({ const: 7 }), { kind: "const", json: "7" });
  assert.equal(shapeOf({ examples: ["Ada"], type: "string" }).json, '"Ada"');
  assert.equal(shapeOf({ type: "string" }, undefined, "prompt").long, true);
  assert.equal(shapeOf({ type: "object", additionalProperties: { type: "integer" } }).value.integer, true);
  assert.equal(shapeOf({ type: "object", title: "StartEvent", properties: {} }).fields.length, 0);
  assert.equal(shapeOf({}).kind, "any");
  assert.equal(shapeOf({ type: "string", default: null }).json, "null");
  assert.equal(titleOf({ anyOf: [{ type: "integer" }, { type: "null" }] }, {}), "whole number or none");
});

test("a schema that refers to itself ends", () => {
  const tree = { $defs: { Tree: { type: "object", properties: { child: { $ref: "#/$defs/Tree" } } } }, $ref: "#/$defs/Tree" };
  assert.ok(JSON.stringify(shapeOf(tree)).length < 3000);
  const circle = { $defs: { A: { $ref: "#/$defs/B" }, B: { $ref: "#/$defs/A" } }, $ref: "#/$defs/A" };
  assert.equal(shapeOf(circle).kind, "any");
});

test("a value finds its choice", () => {
  const { choices } = fieldOf("note").shape;
  const chosen = (json) => choices.findIndex((one) => fits(one.shape, json));
  assert.deepEqual([chosen(undefined), chosen('"x"'), chosen("null")], [0, 1, 2]);
  assert.ok(fits(fieldOf("customer").shape, '{"name":"Ada"}') && !fits(fieldOf("customer").shape, "{}"));
  assert.ok(fits({ kind: "number" }, "-1.5") && !fits({ kind: "boolean" }, "1"));
});

test("the server's complaint is taken apart, field by field", () => {
  const told = "Validation error for 'start_event': Failed to deserialize event: Order.customer.name: Field required; Order.items: List should have at least 1 item; it says: more";
  assert.deepEqual(complaints(told), [[["customer", "name"], "Field required"], [["items"], "List should have at least 1 item; it says: more"]]);
  assert.deepEqual(complaints("Workflow not found"), [[[], "Workflow not found"]]);
  assert.deepEqual(complaints("Failed to deserialize event: Order: Value error, odd"), [[[], "Value error, odd"]]);
});

test("events to send: answers first, then those the program added, start and stop last", () => {
  const details = {
    start: { title: "Begin" },
    events: ["StopEvent", "Begin", "Progress", "Extra", "Answer"].map((title) => ({ title })),
    graph: { nodes: ["StopEvent", "Begin", "Progress", "Answer"].map((title) => ({ event_type: title, event_types: [title === "Answer" && "HumanResponseEvent"] })) },
  };
  assert.deepEqual(sendable(details).map(({ title }) => title), ["Answer", "Extra", "Progress", "StopEvent", "Begin"]);
  assert.deepEqual(sendable({}), []);
  assert.deepEqual(sendable({ ...details, graph: null }), []);
});

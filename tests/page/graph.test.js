import assert from "node:assert/strict";
import test from "node:test";

import { place } from "../../ui_dist/layout.js";

const graph = (...edges) => {
  const ids = [...new Set(edges.flatMap((edge) => edge.split(">")))];
  return {
    nodes: ids.map((id) => ({ id, label: id, node_type: /^[A-Z]/.test(id) ? "event" : "step" })),
    edges: edges.map((edge) => ({ source: edge.split(">")[0], target: edge.split(">")[1] })),
  };
};
const overlap = (a, b) => Math.abs(a.x - b.x) < (a.w + b.w) / 2 && Math.abs(a.y - b.y) < (a.h + b.h) / 2;
const DIAMOND = graph("Start>split", "split>A", "split>B", "A>left", "B>right", "left>Half", "right>Half", "Half>join", "join>Stop");
const LOOP = graph("Start>work", "work>Again", "Again>work", "work>Stop");
const LONG = graph("Start>a", "a>X", "X>b", "b>Y", "Y>c", "X>c", "c>Stop", "a>Stop");

test("what leads to what goes one way, and no two nodes overlap", () => {
  for (const one of [DIAMOND, LOOP, LONG]) {
    const plan = place(one);
    const at = new Map(plan.nodes.map((node) => [node.node.id, node]));
    assert.equal(plan.nodes.length, one.nodes.length);
    for (const { source, target, back } of plan.edges) {
      const [from, to] = [at.get(source), at.get(target)].map((node) => node.y);
      assert.ok(back ? from > to : from < to, `${source}>${target}`);
    }
    plan.nodes.forEach((a, index) => plan.nodes.slice(index + 1).forEach((b) => assert.ok(!overlap(a, b), `${a.node.id} over ${b.node.id}`)));
    for (const { x, y, w, h } of plan.nodes) assert.ok(x - w / 2 >= -0.1 && y - h / 2 >= -0.1 && x + w / 2 <= plan.width + 0.1 && y + h / 2 <= plan.height + 0.1);
  }
});

test("a loop has one edge that leads back", () => {
  assert.deepEqual(place(LOOP).edges.filter((edge) => edge.back).map(({ source, target }) => `${source}>${target}`), ["Again>work"]);
});

test("two equal branches lie side by side around what they come from", () => {
  const at = new Map(place(DIAMOND).nodes.map((node) => [node.node.id, node]));
  assert.equal(at.get("A").y, at.get("B").y);
  assert.ok(Math.abs((at.get("A").x + at.get("B").x) / 2 - at.get("split").x) < 1);
});

test("no edges, nothing, and what is no step or event", () => {
  assert.deepEqual(place({ nodes: [], edges: [] }).nodes, []);
  const odd = { nodes: [{ id: "db", label: "db", node_type: "resource" }, { id: "a", label: "a", node_type: "step" }], edges: [{ source: "db", target: "a" }] };
  assert.deepEqual(place(odd).nodes.map((one) => one.node.id), ["a"]);
});

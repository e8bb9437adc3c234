import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";

import { asCurl, asPython, startBody } from "../../ui_dist/json.js";

const INPUT = '{"name":"O\'Neill \\"ü\\" $HOME","total":1250.0}';

test("what a shell makes of the command is the input again", () => {
  const command = asCurl("http://localhost:8080/", "gr üße", INPUT).replace(/^curl/, "printf '%s\\n'");
  const words = spawnSync("sh", ["-c", command]).stdout.toString().split("\n");
  assert.ok(words.includes(`{"start_event":${INPUT}}`));
  assert.ok(words.includes("http://localhost:8080/workflows/gr%20%C3%BC%C3%9Fe/run-nowait"));
});

test("what Python makes of the program is the input again", { skip: spawnSync("python3", ["--version"]).error && "python3 is not here" }, () => {
  const program = asPython("http://localhost:8080/", "pay", INPUT);
  const line = program.split("\n").find((one) => one.startsWith("INPUT"));
  const found = spawnSync("python3", ["-c", `import ast, json; ast.parse(${JSON.stringify(program).replace(/[\u007f-\uffff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`)})\n${line}\nprint(json.dumps(INPUT))`]);
  assert.deepEqual(JSON.parse(found.stdout.toString()), JSON.parse(INPUT), found.stderr.toString());
});

test("field names that would be mistaken for an envelope go into one", () => {
  assert.equal(startBody('{"value":3}', null, "Begin"), '{"start_event":{"type":"Begin","value":{"value":3}}}');
  assert.equal(startBody("{}", "h1"), '{"start_event":{},"handler_id":"h1"}');
});

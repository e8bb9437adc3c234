/** A run's start as a command or a program that other people can use. */

/** What to send to start a run with `input` (JSON text), continuing `handler` if given. */
export function startBody(input, handler, type) {
  const id = handler ? `,"handler_id":${JSON.stringify(handler)}` : "";
  return `{"start_event":${startEvent(input, type)}${id}}`;
}

/** The start event's fields as they are; in an envelope only if their names would be mistaken for one. */
function startEvent(text, type) {
  const names = Object.keys(JSON.parse(text));
  const mistakable = ["value", "data", "type", "qualified_name"].some((name) => names.includes(name));
  return mistakable && type ? `{"type":${JSON.stringify(type)},"value":${text}}` : text;
}

/** `curl` for starting `workflow` at the server `base` (which ends in a slash) and following its events. */
export function asCurl(base, workflow, input, type) {
  const quoted = `'${startBody(input, null, type).replaceAll("'", "'\\''")}'`;
  return `curl -X POST ${shell(`${base}workflows/${encodeURIComponent(workflow)}/run-nowait`)} \\\n  -H 'Content-Type: application/json' \\\n  -d ${quoted}`;
}

/** The same in Python, with the client that people have. */
export function asPython(base, workflow, input) {
  return `import asyncio
import json

from llama_agents.client import WorkflowClient

INPUT = json.loads(${python(input)})


async def main() -> None:
    client = WorkflowClient(base_url=${python(base.replace(/\/$/, ""))})
    handler = await client.run_workflow_nowait(${python(workflow)}, start_event=INPUT)
    async for event in client.get_workflow_events(handler.handler_id):
        print(event.type, event.value)


asyncio.run(main())
`;
}

const shell = (text) => (/^[\w:/.%-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** A text as a Python literal; JSON's escapes are Python's, too. */
const python = (text) => JSON.stringify(text).replace(/[\u007f-\uffff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);

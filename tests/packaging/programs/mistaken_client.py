"""Mistakes in asking a server that a type checker sees only if it knows the real types; each line is marked so."""

import httpx
from llama_agents.client import WorkflowClient
from llama_agents.client.client import WorkflowClient as Leaf
from llama_agents.client.protocol import HandlerData, Status, is_status_completed
from llama_agents.client.protocol.serializable_events import EventEnvelope
from workflows.client import WorkflowClient as SameClient

client: WorkflowClient = SameClient(base_url="http://127.0.0.1:8080")
leaf: WorkflowClient = Leaf(httpx_client=httpx.AsyncClient())
Leaf(httpx_client=httpx.Client())  # mistake
lost: Status = "lost"  # mistake
EventEnvelope(valeu={})  # mistake


async def main() -> None:
    handler: HandlerData = await client.get_handler("h")
    print(handler.satus, is_status_completed(handler.status))  # mistake
    number = (await client.run_workflow("count", result_type=int)).output
    print(number + "1")  # mistake
    await client.wait_for_handler("h", patience=3)  # mistake
    await client.get_handlers(fase="idle")  # mistake
    async for found in client.iter_handlers(q="h", started_after=3):  # mistake
        print(found.error)
    async for event in client.get_workflow_events("h"):
        print(event.valeu)  # mistake


plain = WorkflowClient.sync(base_url="http://127.0.0.1:8080")
plain.get_handlers(phase="idle", fase="idle")  # mistake
text: str = plain.get_handler("h", result_type=int).output  # mistake

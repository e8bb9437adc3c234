import asyncio
from llama_agents.client import WorkflowClient


async def main() -> None:
    client = WorkflowClient(base_url="http://localhost:8000")

    # Resume an existing run, or start a new one
    handlers = await client.get_handlers(
        workflow_name=["processing"], status=["running"]
    )
    if handlers.handlers:
        handler_id = handlers.handlers[0].handler_id
        print(f"Resuming {handler_id}")
    else:
        h = await client.run_workflow_nowait("processing")
        handler_id = h.handler_id
        print(f"Started {handler_id}")

    async for event in client.get_workflow_events(handler_id):
        print(f"  [{event.type}] {event.value}")

    result = await client.get_handler(handler_id)
    print(f"Done: {result.result}")


if __name__ == "__main__":
    asyncio.run(main())

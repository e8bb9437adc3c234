"""A workflow server as one more task of a program on asyncio.

Run it:      python examples/embed_in_asyncio.py
Ask it:      curl -X POST localhost:8080/workflows/greet/run -d '{"start_event": {"name": "Ada"}}'

Ctrl+C ends the server, `serve()` returns, and the program's own tasks are ended after it.
"""

import asyncio

from llama_agents.server import WorkflowServer
from workflows import Workflow, step
from workflows.events import StartEvent, StopEvent


class GreetingWorkflow(Workflow):
    @step
    async def greet(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result=f"Hello, {ev.get('name', 'World')}!")


async def own_work() -> None:
    """Stands for what the program does besides serving. Workflows run here without HTTP, too."""
    while True:
        print(await GreetingWorkflow().run(name="task"), flush=True)
        await asyncio.sleep(60)


async def main() -> None:
    server = WorkflowServer()
    server.add_workflow("greet", GreetingWorkflow())
    working = asyncio.create_task(own_work())
    await server.serve()
    working.cancel()


if __name__ == "__main__":
    asyncio.run(main())

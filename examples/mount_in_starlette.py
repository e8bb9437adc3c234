"""The server as a part of a Starlette (or FastAPI) application.

Run it:      python examples/mount_in_starlette.py
Ask it:      curl localhost:8000/
             curl -X POST localhost:8000/flows/workflows/greet/run -d '{"start_event": {"name": "Ada"}}'
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from llama_agents.server import WorkflowServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from workflows import Workflow, step
from workflows.events import StartEvent, StopEvent


class GreetingWorkflow(Workflow):
    @step
    async def greet(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result=f"Hello, {ev.get('name', 'World')}!")


server = WorkflowServer()
server.add_workflow("greet", GreetingWorkflow())


async def home(_: Request) -> PlainTextResponse:
    return PlainTextResponse("The workflows are under /flows.")


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncGenerator[None]:
    # Mounted applications get no lifespan of their own, so their host starts and stops the server.
    async with server.running():
        yield


app = Starlette(routes=[Route("/", home), Mount("/flows", app=server.app)], lifespan=lifespan)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=8000)

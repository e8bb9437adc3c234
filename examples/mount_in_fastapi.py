"""The server as a part of a FastAPI application, with a route of the application's own that uses it.

Run it:      python examples/mount_in_fastapi.py
Ask it:      curl localhost:8000/hello/Ada
             curl -X POST localhost:8000/flows/workflows/greet/run -d '{"start_event": {"name": "Ada"}}'
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from llama_agents.server import WorkflowServer
from workflows import Workflow, step
from workflows.events import StartEvent, StopEvent


class GreetingWorkflow(Workflow):
    @step
    async def greet(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result=f"Hello, {ev.get('name', 'World')}!")


greet = GreetingWorkflow()
server = WorkflowServer()
server.add_workflow("greet", greet)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    # Mounted applications get no lifespan of their own, so their host starts and stops the server.
    async with server.running():
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/flows", server.app)


@app.get("/hello/{name}")
async def hello(name: str) -> dict[str, str]:
    return {"greeting": await greet.run(name=name)}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=8000)

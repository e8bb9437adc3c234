"""Branches and a loop: a draft is reviewed until it is good enough, or given up.

In process:  python examples/branches_and_loops.py
Served:      workflow-server examples/branches_and_loops.py
             curl -X POST localhost:8080/workflows/write/run -d '{"start_event": {"topic": "tea"}}'
"""

import anyio
from llama_agents.server import WorkflowServer
from workflows import Workflow, step
from workflows.events import Event, StartEvent, StopEvent


class Assignment(StartEvent):
    topic: str
    drafts: int = 3


class Draft(Event):
    text: str
    left: int


class Approved(Event):
    text: str


class Rejected(Event):
    text: str


class WritingWorkflow(Workflow):
    @step
    async def write(self, ev: Assignment) -> Draft:
        return Draft(text=ev.topic, left=ev.drafts)

    @step
    async def review(self, ev: Draft) -> Draft | Approved | Rejected:
        # Three ways on: round the loop once more, or out of it by one of two branches.
        if len(ev.text) >= 10:
            return Approved(text=ev.text)
        if ev.left == 0:
            return Rejected(text=ev.text)
        return Draft(text=f"more {ev.text}", left=ev.left - 1)

    @step
    async def publish(self, ev: Approved) -> StopEvent:
        return StopEvent(result=f"published: {ev.text}")

    @step
    async def shelve(self, ev: Rejected) -> StopEvent:
        return StopEvent(result=f"shelved: {ev.text}")


server = WorkflowServer()
server.add_workflow("write", WritingWorkflow())


async def main() -> None:
    print(await WritingWorkflow().run(topic="tea"))
    print(await WritingWorkflow().run(topic="tea", drafts=1))


if __name__ == "__main__":
    anyio.run(main)

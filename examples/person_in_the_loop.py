"""A run that asks a person, and waits as long as the person needs.

In process:  python examples/person_in_the_loop.py
Served:      workflow-server examples/person_in_the_loop.py
             curl -X POST localhost:8080/workflows/order/run-nowait -d '{"start_event": {"item": "bicycle"}}'
             curl -X POST localhost:8080/events/<handler_id> \\
                  -d '{"event": {"type": "Approval", "value": {"approved": true}}}'
             curl localhost:8080/handlers/<handler_id>
"""

import anyio
import anyio.to_thread
from llama_agents.server import WorkflowServer
from workflows import Workflow, step
from workflows.events import HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent


class Order(StartEvent):
    item: str


class ApprovalNeeded(InputRequiredEvent):
    question: str


class Approval(HumanResponseEvent):
    approved: bool


class OrderWorkflow(Workflow):
    @step
    async def ask(self, ev: Order) -> ApprovalNeeded:
        # An `InputRequiredEvent` goes to the stream, for whoever can answer it.
        return ApprovalNeeded(question=f"Shall we order a {ev.item}?")

    @step
    async def decide(self, ev: Approval) -> StopEvent:
        return StopEvent(result="ordered" if ev.approved else "left alone")


server = WorkflowServer()
# The time limit counts the time a run is alive, also while it waits: none suits people best.
server.add_workflow("order", OrderWorkflow(timeout=None))


async def main() -> None:
    handler = OrderWorkflow(timeout=None).run(item="bicycle")
    async for event in handler.stream_events():
        if isinstance(event, ApprovalNeeded):
            answer = await anyio.to_thread.run_sync(input, f"{event.question} [y/n] ")
            await handler.send_event(Approval(approved=answer.strip().lower() == "y"))
    print(await handler)


if __name__ == "__main__":
    anyio.run(main)

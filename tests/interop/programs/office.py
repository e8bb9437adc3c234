"""A server with one workflow for each thing a client can meet: success, progress, a question, failure, no end."""

import anyio
from llama_agents.server import WorkflowServer
from office_events import Approval, ApprovalNeeded, Order, Packed, Round, Shipped
from workflows import Context, Workflow, step
from workflows.events import StartEvent, StopEvent


class Greet(Workflow):
    @step
    async def greet(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result=f"Hello, {ev.get('name', 'World')}!")


class Ship(Workflow):
    @step
    async def pack(self, ev: Order, ctx: Context) -> Shipped:
        for piece in range(ev.pieces):
            ctx.write_event_to_stream(Packed(piece=piece))
        return Shipped(item=ev.item, pieces=ev.pieces)


class Deliver(Workflow):
    """Its start event is a class of its own that needs no input, like the guide's."""

    @step
    async def drive(self, ev: Round) -> StopEvent:
        return StopEvent(result=ev.stops)


class Ask(Workflow):
    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> ApprovalNeeded:
        asked = await ctx.store.get("asked", default=0) + 1
        await ctx.store.set("asked", asked)
        return ApprovalNeeded(question=f"Question {asked}?")

    @step
    async def decide(self, ev: Approval) -> StopEvent:
        return StopEvent(result="approved" if ev.approved else "refused")


class Wait(Workflow):
    @step
    async def wait(self, ev: StartEvent, ctx: Context) -> StopEvent:
        answer = await ctx.wait_for_event(Approval, waiter_event=ApprovalNeeded(question="Go on?"))
        return StopEvent(result=answer.approved)


class Fail(Workflow):
    @step
    async def fail(self, ev: StartEvent) -> StopEvent:
        raise ValueError("the printer is on fire")


class Endless(Workflow):
    @step
    async def sleep(self, ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.write_event_to_stream(Packed(piece=0))
        await anyio.sleep_forever()
        return StopEvent()


server = WorkflowServer()
server.add_workflow("greet", Greet())
server.add_workflow("ship", Ship())
server.add_workflow("deliver", Deliver())
server.add_workflow("ask", Ask(timeout=None))
server.add_workflow("wait", Wait(timeout=None), additional_events=[Approval])
server.add_workflow("fail", Fail())
server.add_workflow("late", Endless(timeout=0.1))
server.add_workflow("endless", Endless(timeout=None))
app = server.app

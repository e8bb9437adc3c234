"""The server whose answers are compared."""

from __future__ import annotations

import anyio
from llama_agents.server import WorkflowServer
from workflows import Context, Workflow, step
from workflows.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent


class Note(Event):
    n: int = 0


class Ask(InputRequiredEvent):
    prompt: str = "?"


class Answer(HumanResponseEvent):
    text: str


class Input(StartEvent):
    a: int


class Output(StopEvent):
    x: int


class Greet(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result=f"Hello, {ev.get('name', 'World')}!")


class Typed(Workflow):
    @step
    async def go(self, ev: Input) -> Output:
        return Output(x=ev.a)


class Nothing(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        return StopEvent()


class Fails(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        raise ValueError("boom")


class FailsSilently(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        raise ValueError


class Sleeps(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.write_event_to_stream(Note(n=1))
        await anyio.sleep(30)
        return StopEvent()


class Asks(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> Ask:
        await ctx.store.set("runs", await ctx.store.get("runs", default=0) + 1)
        return Ask()

    @step
    async def end(self, ev: Answer, ctx: Context) -> StopEvent:
        return StopEvent(result=[ev.text, await ctx.store.get("runs")])


server = WorkflowServer()
server.add_workflow("greet", Greet())
server.add_workflow("typed", Typed())
server.add_workflow("nothing", Nothing())
server.add_workflow("fails", Fails())
server.add_workflow("silent", FailsSilently())
server.add_workflow("late", Sleeps(timeout=0.1))
server.add_workflow("sleeps", Sleeps(timeout=None))
# Not without a time limit: the peer loses a waiting run that has none when memory is collected.
server.add_workflow("asks", Asks(timeout=60))
app = server.app

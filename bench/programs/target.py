"""The server program under measurement. Both sides serve this very file; nothing in it knows which one does."""

# ruff: noqa: ARG002 (a step takes its event, whether it reads it or not)

from __future__ import annotations

import gc
import os
import time

import anyio.lowlevel
from llama_agents.server import WorkflowServer
from workflows import Context, Workflow, step
from workflows.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent


class OneStep(Workflow):
    """The smallest run there is."""

    @step
    async def answer(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result="done")


class E1(Event):
    n: int


class E2(E1): ...


class E3(E1): ...


class E4(E1): ...


class E5(E1): ...


class E6(E1): ...


class E7(E1): ...


class E8(E1): ...


class E9(E1): ...


class TenSteps(Workflow):
    """A chain in which ten steps hand one event on."""

    @step
    async def s1(self, ev: StartEvent) -> E1:
        return E1(n=1)

    @step
    async def s2(self, ev: E1) -> E2:
        return E2(n=ev.n + 1)

    @step
    async def s3(self, ev: E2) -> E3:
        return E3(n=ev.n + 1)

    @step
    async def s4(self, ev: E3) -> E4:
        return E4(n=ev.n + 1)

    @step
    async def s5(self, ev: E4) -> E5:
        return E5(n=ev.n + 1)

    @step
    async def s6(self, ev: E5) -> E6:
        return E6(n=ev.n + 1)

    @step
    async def s7(self, ev: E6) -> E7:
        return E7(n=ev.n + 1)

    @step
    async def s8(self, ev: E7) -> E8:
        return E8(n=ev.n + 1)

    @step
    async def s9(self, ev: E8) -> E9:
        return E9(n=ev.n + 1)

    @step
    async def s10(self, ev: E9) -> StopEvent:
        return StopEvent(result=ev.n + 1)


class Progress(Event):
    index: int
    text: str


class Publish(StartEvent):
    count: int


class Publisher(Workflow):
    """Publishes `count` events, giving the loop a turn after every tenth."""

    @step
    async def publish(self, ev: Publish, ctx: Context) -> StopEvent:
        for index in range(ev.count):
            ctx.write_event_to_stream(Progress(index=index, text="something has happened"))
            if index % 10 == 9:
                await anyio.lowlevel.checkpoint()
        return StopEvent(result=ev.count)


class Question(InputRequiredEvent): ...


class Answer(HumanResponseEvent):
    text: str


class Laps(StartEvent):
    laps: int


class Lap(Event):
    left: int


class Asking(Workflow):
    """Goes round in a loop, a step a lap, then waits for an answer."""

    @step
    async def go(self, ev: Laps | Lap) -> Lap | Question:
        left = ev.left if isinstance(ev, Lap) else ev.laps
        return Lap(left=left - 1) if left else Question()

    @step
    async def take(self, ev: Answer) -> StopEvent:
        return StopEvent(result=ev.text)


class Busy(Workflow):
    """Leaves the loop no idle moment, for ever; others get their turn every millisecond."""

    @step
    async def compute(self, ev: StartEvent) -> StopEvent:
        while True:
            end = time.perf_counter() + 0.001
            while time.perf_counter() < end:
                pass
            await anyio.lowlevel.checkpoint()


if os.environ.get("BENCH_COLLECTOR") == "off":
    gc.disable()


def _server() -> WorkflowServer:
    idle_timeout = float(os.environ["BENCH_IDLE_TIMEOUT"])
    if os.environ["BENCH_STORE"] == "memory":
        return WorkflowServer(idle_timeout=idle_timeout)
    from llama_agents.server import MemoryWorkflowStore, SqliteWorkflowStore

    if os.environ["BENCH_STORE"] == "everything":
        return WorkflowServer(workflow_store=MemoryWorkflowStore(max_completed=None), idle_timeout=idle_timeout)
    return WorkflowServer(workflow_store=SqliteWorkflowStore("bench.db"), idle_timeout=idle_timeout)


server = _server()
server.add_workflow("one", OneStep())
server.add_workflow("ten", TenSteps())
server.add_workflow("publish", Publisher(timeout=300))
server.add_workflow("asking", Asking(timeout=None))
server.add_workflow("busy", Busy(timeout=None))
app = server.app

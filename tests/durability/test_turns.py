"""Turns of stored runs: who waits leaves its place to others, and gets one again by when it started."""

from __future__ import annotations

import anyio
import pytest

from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.api.commands import CancelHandler, SendEvent, StartRun
from workflow_server.api.outcomes import EventAccepted, RunAccepted
from workflow_server.events import Event, HumanResponseEvent, StartEvent, StopEvent
from workflow_server.testing.durable_store import DurableStore

pytestmark = [pytest.mark.virtual_time, pytest.mark.usefixtures("virtual_clock")]


class Reply(HumanResponseEvent):
    pass


class Extra(HumanResponseEvent):
    pass


class Note(Event):
    what: str


class Turns(Workflow):
    """Waits if it is told to, then works for ten seconds."""

    def __init__(self) -> None:
        super().__init__(timeout=None, num_concurrent_runs=1)
        self.seen: list[str] = []

    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        if ev.get("waits", False):
            await ctx.wait_for_event(Reply)
        self.seen.append(f"{ev.name} works")
        await anyio.sleep(10)
        self.seen.append(f"{ev.name} is done")
        return StopEvent()

    @step
    async def extra(self, ev: Extra) -> None:
        self.seen.append("extra")


class Scene:
    """A server, and what its handlers look like."""

    def __init__(self, store: DurableStore) -> None:
        self.store, self.workflow = store, Turns()
        self.server = WorkflowServer(workflow_store=store, idle_timeout=5, shutdown_grace=0)
        self.server.add_workflow("turns", self.workflow, additional_events=[Reply])

    async def start(self, name: str, waits: bool = False) -> None:
        started = await self.server.execute(StartRun("turns", {"name": name, "waits": waits}, name))
        assert isinstance(started, RunAccepted)

    async def send(self, name: str, event: str) -> None:
        assert isinstance(await self.server.execute(SendEvent(name, {"type": event, "value": {}})), EventAccepted)

    async def phases(self, *names: str) -> list[str]:
        records = [await self.store.handler(name) for name in names]
        return ["" if record is None else record.phase for record in records]


async def test_a_run_that_leaves_memory_leaves_its_place_and_queues_for_it_by_its_start() -> None:
    scene = Scene(DurableStore())
    async with scene.server.running():
        for name, waits in (("a", True), ("b", False), ("c", False)):
            await scene.start(name, waits)
        await anyio.sleep(1)
        assert await scene.phases("a", "b", "c") == ["waiting", "queued", "queued"]
        await anyio.sleep(5)
        assert await scene.phases("a", "b", "c") == ["idle", "running", "queued"]
        await scene.send("a", "Reply")
        await scene.send("a", "Extra")
        await anyio.sleep(1)
        assert await scene.phases("a", "b", "c") == ["queued", "running", "queued"]
        assert scene.workflow.seen == ["b works"], "nothing runs before its turn"
        await anyio.sleep(10)
        assert await scene.phases("a", "b", "c") == ["running", "done", "queued"]
        await anyio.sleep(20)
        assert await scene.phases("a", "b", "c") == ["done", "done", "done"]
    seen = scene.workflow.seen
    assert seen.count("extra") == 1
    seen.remove("extra")
    assert seen == ["b works", "b is done", "a works", "a is done", "c works", "c is done"]


async def test_a_run_that_queues_to_come_back_can_be_cancelled_and_survives_a_stop() -> None:
    store = DurableStore()
    scene = Scene(store)
    async with scene.server.running():
        await scene.start("a", waits=True)
        await scene.start("x", waits=True)
        await anyio.sleep(15)
        await scene.start("b")
        for name in ("a", "x"):
            await scene.send(name, "Reply")
        assert await scene.phases("a", "x", "b") == ["queued", "queued", "running"]
        await scene.server.execute(CancelHandler("x"))
        assert await scene.phases("x") == ["done"]
    again = Scene(store.copy())
    async with again.server.running():
        await anyio.sleep(30)
        assert await again.phases("a", "b") == ["done", "done"]
    assert again.workflow.seen == ["a works", "a is done", "b works", "b is done"]


async def test_a_run_that_comes_back_for_nothing_new_is_waiting_again() -> None:
    scene = Scene(DurableStore())
    async with scene.server.running():
        await scene.start("a", waits=True)
        await anyio.sleep(6)
        await scene.start("b")
        await scene.send("a", "Extra")
        assert await scene.phases("a", "b") == ["queued", "running"]
        await anyio.sleep(11)
        assert await scene.phases("a", "b") == ["waiting", "done"]
        await anyio.sleep(6)
        assert await scene.phases("a") == ["idle"]

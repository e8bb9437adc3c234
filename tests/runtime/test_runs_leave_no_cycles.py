"""A finished run is freed at once, without the garbage collector, to which each would leave half a hundred objects."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from workflow_server import Context, MemoryWorkflowStore, SqliteWorkflowStore, Workflow, WorkflowServer, step
from workflow_server.api.commands import StartRun
from workflow_server.api.outcomes import RunFinished
from workflow_server.events import Event, StartEvent, StopEvent
from workflow_server.runtime.runner import Runner
from workflow_server.stores.base import AbstractWorkflowStore


class Next(Event):
    pass


class Busy(Workflow):
    """Uses what may hold a run: its context, its state, a collection, a stream, its own step context."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Next:
        await ctx.store.set("seen", 1)
        ctx.write_event_to_stream(Next())
        await anyio.lowlevel.checkpoint()
        return Next()

    @step
    async def end(self, ev: Next) -> StopEvent | None:
        ctx = Context.get_step_context()
        return None if ctx.collect_events(ev, [Next]) is None else StopEvent(result=await ctx.store.get("seen"))


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[weakref.ref[Runner]]]:
    """Know every run that begins, with the garbage collector switched off."""
    known: list[weakref.ref[Runner]] = []
    begin = Runner.begin

    def note(runner: Runner) -> None:
        known.append(weakref.ref(runner))
        begin(runner)

    monkeypatch.setattr(Runner, "begin", note)
    gc.disable()
    yield known
    gc.enable()


async def test_a_run_in_process(alive: list[weakref.ref[Runner]]) -> None:
    handler = Busy().run()
    assert await handler == 1
    async for _ in handler.stream_events():
        pass
    assert alive[0]() is not None
    del handler
    await anyio.wait_all_tasks_blocked()
    assert [runner() for runner in alive] == [None]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_served_run(kind: str, alive: list[weakref.ref[Runner]], tmp_path: Path) -> None:
    stores: dict[str, AbstractWorkflowStore] = {
        "memory": MemoryWorkflowStore(),
        "sqlite": SqliteWorkflowStore(str(tmp_path / "runs.db")),
    }
    server = WorkflowServer(workflow_store=stores[kind])
    server.add_workflow("busy", Busy())
    async with server.running():
        outcome = await server._manager.execute(StartRun("busy", {}, wait=True))  # pyright: ignore[reportPrivateUsage]
        assert isinstance(outcome, RunFinished)
        await anyio.wait_all_tasks_blocked()
        assert [runner() for runner in alive] == [None]

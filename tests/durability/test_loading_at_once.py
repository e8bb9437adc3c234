"""Several who want a run in memory at the same time get one run, not one each."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest

from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.api.commands import GetHandler, SendEvent, StartRun
from workflow_server.api.outcomes import EventAccepted, HandlerFound, RunAccepted
from workflow_server.events import HumanResponseEvent, StartEvent, StopEvent
from workflow_server.stores.base import StoredRun
from workflow_server.testing.durable_store import DurableStore
from workflow_server.wire.records import HandlerRecord

pytestmark = [pytest.mark.virtual_time, pytest.mark.usefixtures("virtual_clock")]


class Reply(HumanResponseEvent):
    n: int


class Asks(Workflow):
    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=[(await ctx.wait_for_event(Reply, requirements={"n": n})).n for n in range(3)])


class Sluggish(DurableStore):
    """Answers who looks up a handler, and who loads, after so many seconds as the next entries say, else at once."""

    def __init__(self) -> None:
        super().__init__()
        self.lookups: list[float] = []
        self.loads: list[float] = []
        self.loaded = 0

    async def handler(self, handler_id: str) -> HandlerRecord | None:
        record = await super().handler(handler_id)
        await anyio.sleep(self.lookups.pop(0) if self.lookups else 0)
        return record

    async def load(self, run_id: str) -> StoredRun | None:
        self.loaded += 1
        await anyio.sleep(self.loads.pop(0) if self.loads else 0)
        return await super().load(run_id)


@pytest.mark.parametrize(
    ("lookups", "loads"),
    [([0, 5, 5], [1]), ([0, 0, 0], [1]), ([0, 1, 2], [3, 3, 3])],
    ids=["looked up before, back after the loading", "looked up during the loading", "one by one"],
)
async def test_senders_at_once_reach_one_run(lookups: list[float], loads: list[float]) -> None:
    """A sender whose look at the store took longer than somebody else's whole loading does not load the run again."""
    store = Sluggish()
    server = WorkflowServer(workflow_store=store, idle_timeout=10)
    server.add_workflow("asks", Asks(timeout=None), additional_events=[Reply])
    outcomes: list[Any] = []

    async def send(n: int) -> None:
        outcomes.append(await server.execute(SendEvent("h", {"type": "Reply", "value": {"n": n}})))

    with anyio.fail_after(100):
        async with server.running():
            assert isinstance(await server.execute(StartRun("asks", handler_id="h")), RunAccepted)
            await anyio.sleep(15)
            found = await server.execute(GetHandler("h"))
            assert isinstance(found, HandlerFound)
            assert found.handler.phase == "idle"
            store.lookups, store.loads = list(lookups), list(loads)
            async with anyio.create_task_group() as tasks:
                for n in range(3):
                    tasks.start_soon(send, n)
            assert store.loaded == 1
            assert all(isinstance(outcome, EventAccepted) for outcome in outcomes), outcomes
            for n in range(3):
                # Those that came before their question was asked.
                await anyio.sleep(0.5)
                await send(n)
            await anyio.sleep(0.5)
            ended = await server.execute(GetHandler("h"))
    assert isinstance(ended, HandlerFound)
    assert ended.handler.result is not None
    assert ended.handler.result.value == '{"result":[0,1,2]}'

"""Runs resume though the store fails while they are looked up and loaded."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.api.commands import StartRun
from workflow_server.api.outcomes import RunAccepted
from workflow_server.errors import StoreUnavailable
from workflow_server.events import HumanResponseEvent, StartEvent, StopEvent
from workflow_server.testing.durable_store import DurableStore

pytestmark = [pytest.mark.virtual_time, pytest.mark.usefixtures("virtual_clock")]


class Reply(HumanResponseEvent):
    pass


class Slow(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.write_event_to_stream(Reply())
        await anyio.sleep(10)
        return StopEvent(result="slept")


class Patient(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        try:
            await ctx.wait_for_event(Reply, timeout=30)
        except TimeoutError:
            return StopEvent(result="nobody")
        return StopEvent(result="somebody")


class Ailing(DurableStore):
    """Fails at one method, the first so many times."""

    failing: str | None = None
    failures = 0

    def _ail(self, method: str) -> None:
        if method == self.failing and self.failures:
            self.failures -= 1
            raise StoreUnavailable("the disk is asleep")

    async def handler(self, handler_id: str) -> Any:
        self._ail("handler")
        return await super().handler(handler_id)

    async def load(self, run_id: str) -> Any:
        self._ail("load")
        return await super().load(run_id)

    async def unfinished(self, *args: Any, **options: Any) -> Any:
        self._ail("unfinished")
        return await super().unfinished(*args, **options)

    async def next_due(self, after: float) -> float | None:
        self._ail("next_due")
        return await super().next_due(after)

    async def events_of_item(self, run_id: str, item: int, since: int) -> Any:
        self._ail("events_of_item")
        return await super().events_of_item(run_id, item, since)


def make_server(store: DurableStore) -> WorkflowServer:
    server = WorkflowServer(workflow_store=store, shutdown_grace=0, idle_timeout=5)
    server.add_workflow("slow", Slow(timeout=None))
    server.add_workflow("patient", Patient(timeout=None))
    return server


@pytest.mark.parametrize("method", ["handler", "load", "unfinished", "next_due", "events_of_item"])
@pytest.mark.parametrize("failures", [1, 3])
async def test_a_store_that_is_out_for_a_while_only_delays(method: str, failures: int) -> None:
    """Neither a run that was executing nor one that sleeps until its timer stays behind."""
    store = Ailing()
    server = make_server(store)
    async with server.running():
        for name in ("slow", "patient"):
            assert isinstance(await server.execute(StartRun(name, handler_id=name)), RunAccepted)
        await anyio.sleep(7)
    store.failing, store.failures = method, failures
    async with make_server(store).running():
        await anyio.sleep(60)
        assert store.failures == 0
        for name, result in (("slow", "slept"), ("patient", "nobody")):
            record = await store.handler(name)
            assert record is not None
            assert record.result is not None, record
            assert record.result.value == f'{{"result":"{result}"}}'

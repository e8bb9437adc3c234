"""What a retry policy says of a failure is recorded with it, and never asked again."""

from __future__ import annotations

import anyio
import pytest

from workflow_server import Workflow, WorkflowServer, step
from workflow_server.api.commands import StartRun
from workflow_server.api.outcomes import RunAccepted
from workflow_server.events import StartEvent, StopEvent
from workflow_server.testing.durable_store import DurableStore

pytestmark = [pytest.mark.virtual_time, pytest.mark.usefixtures("virtual_clock")]


async def test_the_time_of_the_next_attempt_is_the_same_in_every_process() -> None:
    """The policy would answer otherwise the second time; after a crash it is not asked a second time."""
    asked: list[int] = []
    ran: list[float] = []

    class Fickle:
        def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
            asked.append(attempts)
            return 100.0 if len(asked) == 1 else 1.0

    class Fails(Workflow):
        @step(retry_policy=Fickle())
        async def go(self, ev: StartEvent) -> StopEvent:
            ran.append(anyio.current_time())
            if len(ran) == 1:
                raise ValueError("once")
            return StopEvent(result=len(ran))

    def server(store: DurableStore) -> WorkflowServer:
        one = WorkflowServer(workflow_store=store, idle_timeout=5, shutdown_grace=0)
        one.add_workflow("fails", Fails(timeout=None))
        return one

    store = DurableStore()
    async with server(store).running() as first:
        assert isinstance(await first.execute(StartRun("fails", handler_id="h")), RunAccepted)
        await anyio.sleep(2)
        crashed = store.copy()
    await anyio.sleep(30)
    async with server(crashed).running():
        await anyio.sleep(60)
        assert len(ran) == 1
        await anyio.sleep(10)
        record = await crashed.handler("h")
        assert record is not None
        assert record.status == "completed"
    assert asked == [1]
    assert ran[1] - ran[0] == pytest.approx(100, abs=0.5)

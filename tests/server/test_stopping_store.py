"""The store at the stop: open for as long as requests in flight read it; what comes too late is 503, never a lie."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from tests_support.in_process import serving
from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.api.commands import (
    CancelHandler,
    CheckReadiness,
    Command,
    GetHandler,
    SendEvent,
    StartRun,
    StreamEvents,
)
from workflow_server.api.outcomes import Readiness, Refusal, Refused, RunAccepted
from workflow_server.events import HumanResponseEvent, StartEvent, StopEvent
from workflow_server.stores.sqlite import SqliteWorkflowStore
from workflow_server.wire.records import HandlerRecord


class Reply(HumanResponseEvent):
    pass


class Waits(Workflow):
    @step
    async def wait(self, ev: StartEvent, ctx: Context) -> StopEvent:
        await ctx.wait_for_event(Reply, timeout=None)
        return StopEvent()


class GatedStore(SqliteWorkflowStore):
    """Holds up whoever asks for a handler while its gate is shut."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked = anyio.Event()
        self.gate = anyio.Event()
        self.gate.set()

    def shut(self) -> None:
        self.asked, self.gate = anyio.Event(), anyio.Event()

    async def handler(self, handler_id: str) -> HandlerRecord | None:
        self.asked.set()
        await self.gate.wait()
        return await super().handler(handler_id)


def make_server(folder: Path) -> tuple[WorkflowServer, GatedStore]:
    store = GatedStore(folder / "runs.db")
    server = WorkflowServer(workflow_store=store, shutdown_grace=0)
    server.add_workflow("waits", Waits(timeout=None), additional_events=[Reply])
    return server, store


async def test_a_request_in_flight_reads_the_store_to_its_end(tmp_path: Path) -> None:
    server, store = make_server(tmp_path)
    answers: list[httpx.Response] = []
    async with serving(server) as client:
        await client.post("/workflows/waits/run-nowait", json={"handler_id": "h"})
        store.shut()

        async def ask() -> None:
            answers.append(await client.get("/handlers/h"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await store.asked.wait()
            signal.raise_signal(signal.SIGINT)
            while await server.execute(CheckReadiness()) != Readiness(False, (NOT_READY,)):
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            store.gate.set()
    assert answers[0].status_code == 202
    assert answers[0].json()["status"] == "running"


NOT_READY = "The server has not started, or is stopping."


@pytest.mark.parametrize(
    "command",
    [
        CancelHandler("h"),
        CancelHandler("h", purge=True),
        GetHandler("h"),
        SendEvent("h", {"type": "Reply", "value": {}}),
        StartRun("waits", handler_id="new"),
        StreamEvents("h"),
    ],
    ids=lambda command: type(command).__name__,
)
async def test_what_comes_too_late_is_told_so(command: Command, tmp_path: Path) -> None:
    """A command that finds the store closed is 503; nothing says that the run is gone, cancelled or accepted."""
    server, store = make_server(tmp_path)
    outcomes: list[Any] = []
    async with server.running():
        assert isinstance(await server.execute(StartRun("waits", handler_id="h")), RunAccepted)
    async with server.running():
        store.shut()

        async def act() -> None:
            outcomes.append(await server.execute(command))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(act)
            await store.asked.wait()
            await server.stop()
            store.gate.set()
        assert isinstance(outcomes[0], Refused), outcomes
        assert outcomes[0].why is Refusal.UNAVAILABLE

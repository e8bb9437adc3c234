"""Programs that changed while runs were in flight: each run goes on, or is blocked with the part and the reason.

A run is begun under one version of its workflow, in a server of its own that is stopped; the next server has another
version, and the one after it the first again, as after a rollback. The store is SQLite.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests_support.facts import until
from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.api.commands import CancelHandler, GetHandler, SendEvent, StartRun
from workflow_server.api.outcomes import Cancelled, EventAccepted, HandlerFound, Refusal, Refused, RunAccepted
from workflow_server.events import Event, HumanResponseEvent, StartEvent, StopEvent
from workflow_server.stores.sqlite import SqliteWorkflowStore
from workflow_server.wire.records import HandlerRecord


class Order(StartEvent):
    amount: int = 1


class Work(Event):
    n: int


class Reply(HumanResponseEvent):
    text: str = ""


class Before(Workflow):
    """Version 1: three pieces of work side by side, that end when they are answered."""

    @step
    async def begin(self, ev: Order, ctx: Context) -> Work | None:
        for n in range(3):
            ctx.send_event(Work(n=n))
        return None

    @step(num_workers=3)
    async def work(self, ev: Work, ctx: Context) -> StopEvent | None:
        await ctx.store.set(f"begun_{ev.n}", True)
        if ev.n == 2:
            reply = await ctx.wait_for_event(Reply)
            return StopEvent(result=reply.text)
        await anyio.sleep_forever()
        return None


def renamed() -> type[Workflow]:
    class Renamed(Workflow):
        @step
        async def begin(self, ev: Order, ctx: Context) -> Work | None:
            return None

        @step
        async def labour(self, ev: Work, ctx: Context) -> StopEvent | None:
            return StopEvent(result="renamed")

    return Renamed


def removed() -> type[Workflow]:
    class Removed(Workflow):
        @step
        async def begin(self, ev: Order) -> StopEvent:
            return StopEvent(result="removed")

    return Removed


def other_events() -> type[Workflow]:
    class Other(Event):
        pass

    class OtherEvents(Workflow):
        @step
        async def begin(self, ev: Order, ctx: Context) -> Other | Work | None:
            return None

        @step
        async def work(self, ev: Other) -> StopEvent:
            return StopEvent(result="other")

        @step
        async def take(self, ev: Work) -> None:
            return None

    return OtherEvents


def event_gone() -> type[Workflow]:
    class Task(Event):
        n: int

    class EventGone(Workflow):
        @step
        async def begin(self, ev: Order, ctx: Context) -> Task | None:
            return None

        @step
        async def work(self, ev: Task) -> StopEvent:
            return StopEvent(result="gone")

    return EventGone


def field_required() -> type[Workflow]:
    class Work(Event):
        n: int
        priority: int

    class FieldRequired(Workflow):
        @step
        async def begin(self, ev: Order, ctx: Context) -> Work | None:
            return None

        @step
        async def work(self, ev: Work) -> StopEvent:
            return StopEvent(result="field")

    return FieldRequired


def field_of_another_type() -> type[Workflow]:
    class Work(Event):
        n: list[int]

    class FieldChanged(Workflow):
        @step
        async def begin(self, ev: Order, ctx: Context) -> Work | None:
            return None

        @step
        async def work(self, ev: Work) -> StopEvent:
            return StopEvent(result="field")

    return FieldChanged


def fewer_workers() -> type[Workflow]:
    class FewerWorkers(Workflow):
        """One worker instead of three, and nobody sleeps for ever."""

        @step
        async def begin(self, ev: Order, ctx: Context) -> Work | None:
            return None

        @step(num_workers=1)
        async def work(self, ev: Work, ctx: Context) -> StopEvent | None:
            async with ctx.store.edit_state() as state:
                state.now = state.get("now", 0) + 1
                state.most = max(state.get("most", 0), state.now)
            await anyio.sleep(0.01)
            if ev.n == 2:
                await ctx.wait_for_event(Reply)
            async with ctx.store.edit_state() as state:
                state.now -= 1
            return StopEvent(result=[await ctx.store.get("most")]) if ev.n == 2 else None

    return FewerWorkers


def one_more_step() -> type[Workflow]:
    class OneMoreStep(Workflow):
        """A step was added, and work ends elsewhere than before."""

        @step
        async def begin(self, ev: Order, ctx: Context) -> Work | None:
            return None

        @step(num_workers=3)
        async def work(self, ev: Work, ctx: Context) -> Reply | None:
            return await ctx.wait_for_event(Reply) if ev.n == 2 else None

        @step
        async def finish(self, ev: Reply) -> StopEvent:
            return StopEvent(result=["finished", ev.text])

    return OneMoreStep


@asynccontextmanager
async def serving(path: Path, workflow: type[Workflow], **options: Any) -> AsyncGenerator[WorkflowServer]:
    server = WorkflowServer(workflow_store=SqliteWorkflowStore(path, synchronous="NORMAL"), shutdown_grace=0)
    server.add_workflow("w", workflow(timeout=None, **options), additional_events=[Reply])
    async with server.running():
        yield server


async def look(server: WorkflowServer, handler_id: str = "h") -> HandlerRecord:
    found = await server.execute(GetHandler(handler_id))
    assert isinstance(found, HandlerFound)
    return found.handler


async def over(server: WorkflowServer) -> HandlerRecord:
    """Answer until the run is over, and return it."""

    async def answered() -> bool:
        if (await look(server)).status != "running":
            return True
        await server.execute(SendEvent("h", {"type": "Reply", "value": {"text": "yes"}}))
        return False

    await until(answered)
    return await look(server)


async def begun(path: Path) -> None:
    """Begin a run under version 1: two executions sleep, one waits."""
    async with serving(path, Before) as server:
        assert isinstance(await server.execute(StartRun("w", handler_id="h")), RunAccepted)
        await until(lambda: _begun(server))


BLOCKED = {
    "step renamed": (renamed, "the workflow has no step 'work' any more"),
    "step removed": (removed, "the workflow has no step 'work' any more"),
    "step takes other events": (other_events, "step 'work' does not take Work any more"),
    "event class gone": (event_gone, "step 'work' does not take Work any more"),
    "event field required": (field_required, "Work.priority: Field required"),
    "event field changed": (field_of_another_type, "Work.n: Input should be a valid"),
}


@pytest.mark.parametrize("change", list(BLOCKED))
async def test_a_run_that_does_not_fit_the_program_any_more_is_blocked_until_it_does(
    tmp_path: Path, change: str
) -> None:
    """The reason names the part and what is wrong with it; nobody is lost, and the old program goes on."""
    path = tmp_path / "runs.db"
    version, reason = BLOCKED[change]
    await begun(path)
    async with serving(path, version()) as server:
        await until(lambda: _is_blocked(server))
        record = await look(server)
        assert record.status == "running"
        assert (record.error or "").startswith("item/"), record.error
        assert reason in (record.error or "")
        assert "pydantic" not in (record.error or "")
        sent = await server.execute(SendEvent("h", {"type": "Reply", "value": {}}))
        assert isinstance(sent, Refused)
        assert sent.why is Refusal.CONFLICT
        assert reason in sent.detail
    async with serving(path, Before) as server:
        record = await over(server)
        assert (record.status, record.error) == ("completed", None)


async def _is_blocked(server: WorkflowServer, handler_id: str = "h") -> bool:
    return (await look(server, handler_id)).phase == "blocked"


@pytest.mark.parametrize(
    ("version", "result"),
    [(fewer_workers, "[1]"), (one_more_step, '["finished","yes"]')],
    ids=lambda one: str(one)[:20],
)
async def test_a_run_that_still_fits_goes_on_under_the_new_program(tmp_path: Path, version: Any, result: str) -> None:
    path = tmp_path / "runs.db"
    await begun(path)
    async with serving(path, version()) as server:
        record = await over(server)
    assert record.result is not None
    assert record.result.value == f'{{"result":{result}}}'


async def test_a_start_event_with_a_new_required_field(tmp_path: Path) -> None:
    """A run that waited for its turn is blocked by it, naming the field; one that has begun does not need it again."""
    path = tmp_path / "runs.db"

    class Order(StartEvent):
        amount: int = 1
        currency: str

    class After(Workflow):
        @step
        async def begin(self, ev: Order, ctx: Context) -> Work | None:
            return None

        @step(num_workers=3)
        async def work(self, ev: Work, ctx: Context) -> StopEvent | None:
            if ev.n < 2:
                return None
            return StopEvent(result=(await ctx.wait_for_event(Reply)).text)

    async with serving(path, Before, num_concurrent_runs=1) as server:
        for handler_id in ("h", "queued"):
            assert isinstance(await server.execute(StartRun("w", handler_id=handler_id)), RunAccepted)
        await until(lambda: _begun(server))
        assert (await look(server, "queued")).phase == "queued"
    async with serving(path, After) as server:
        assert (await over(server)).status == "completed"
        await until(lambda: _is_blocked(server, "queued"))
        assert (await look(server, "queued")).error == "start event: Order.currency: Field required"
        assert isinstance(await server.execute(CancelHandler("queued")), Cancelled)
        assert (await look(server, "queued")).status == "cancelled"


async def _begun(server: WorkflowServer) -> bool:
    assert server._manager._runs is not None
    live = server._manager._runs.get("h")
    return live is not None and len(live.runner.run.waiting) == 1 and not live.journal.pending


async def test_a_wait_for_a_class_that_is_gone_goes_on_waiting_until_the_class_is_back(tmp_path: Path) -> None:
    """Nobody can answer it meanwhile; the client is told that there is no such event."""
    path = tmp_path / "runs.db"
    await begun(path)
    server = WorkflowServer(workflow_store=SqliteWorkflowStore(path), shutdown_grace=0)
    server.add_workflow("w", Before(timeout=None))  # without `additional_events`
    async with server.running():
        await until(lambda: _begun(server))
        sent = await server.execute(SendEvent("h", {"type": "Reply", "value": {}}))
        assert isinstance(sent, Refused)
        assert sent.why is Refusal.INVALID
    async with serving(path, Before) as server:
        assert isinstance(await server.execute(SendEvent("h", {"type": "Reply", "value": {}})), EventAccepted)
        assert (await over(server)).status == "completed"

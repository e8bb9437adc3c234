"""Runs whose batches the store refuses, runs that it can't give back whole, and what their clients are told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests_support.faulty_store import FaultyStore
from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.api.commands import (
    CancelHandler,
    Command,
    GetHandler,
    GetWaiting,
    ListHandlers,
    SendEvent,
    StartRun,
)
from workflow_server.api.outcomes import (
    Cancelled,
    EventAccepted,
    HandlerFound,
    QuestionsFound,
    Refusal,
    Refused,
    RunAccepted,
)
from workflow_server.errors import StoreError, StoreUnavailable
from workflow_server.events import HumanResponseEvent, StartEvent, StopEvent
from workflow_server.stores.base import Batch, StoredRun, Verdict
from workflow_server.testing.durable_store import DurableStore
from workflow_server.wire.records import HandlerRecord

pytestmark = [pytest.mark.virtual_time, pytest.mark.usefixtures("virtual_clock")]


class Reply(HumanResponseEvent):
    text: str = ""


class Asks(Workflow):
    """Writes what it is answered to its state."""

    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> StopEvent:
        reply = await ctx.wait_for_event(Reply)
        await ctx.store.set("reply", reply.text)
        return StopEvent(result=reply.text)


class Goes(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        await anyio.sleep(1)
        await ctx.store.set("reply", "poison")
        return StopEvent()


class Ends(Workflow):
    @step
    async def end(self, ev: StartEvent) -> StopEvent:
        await anyio.sleep(1)
        return StopEvent()


class Picky(DurableStore):
    """Refuses batches with a state that holds poison, as a constraint would; fails or waits when it is told to."""

    def __init__(self, poison: str = "poison") -> None:
        super().__init__()
        self.poison = poison
        self.tried = 0
        self.fails_until = -math.inf
        self.load_errors: list[Exception] = []

    async def commit(self, group: Sequence[Batch]) -> list[Verdict]:
        await anyio.lowlevel.checkpoint()
        if anyio.current_time() < self.fails_until:
            raise StoreUnavailable("the disk is asleep")
        verdicts: list[Verdict] = []
        for batch in group:
            if any(self.poison in (text or "") for text in batch.state.values()):
                self.tried += 1
                verdicts.append(Verdict.STALE)
            else:
                verdicts += self.commit_now([batch])
        return verdicts

    async def load(self, run_id: str) -> StoredRun | None:
        await anyio.lowlevel.checkpoint()
        if self.load_errors:
            raise self.load_errors.pop(0)
        return await super().load(run_id)


def make_server(disk: Picky, **options: Any) -> WorkflowServer:
    server = WorkflowServer(workflow_store=FaultyStore(disk), shutdown_grace=0, **options)
    server.add_workflow("asks", Asks(timeout=None), additional_events=[Reply])
    server.add_workflow("goes", Goes(timeout=None))
    server.add_workflow("ends", Ends(timeout=None))
    return server


async def start(server: WorkflowServer, name: str) -> None:
    assert isinstance(await server.execute(StartRun(name, handler_id="h")), RunAccepted)


async def handler(server: WorkflowServer) -> HandlerRecord:
    found = await server.execute(GetHandler("h"))
    assert isinstance(found, HandlerFound)
    return found.handler


async def refused(server: WorkflowServer, command: Command) -> Refused:
    outcome = await server.execute(command)
    assert isinstance(outcome, Refused), outcome
    return outcome


def reply(text: str) -> SendEvent:
    return SendEvent("h", {"type": "Reply", "value": {"text": text}})


async def test_a_run_that_is_refused_each_time_is_blocked_in_the_end_and_mended_by_the_next_start() -> None:
    """It is loaded and tried again four times, after longer and longer pauses, and never circles."""
    disk = Picky()
    server = make_server(disk)
    with anyio.fail_after(1000):
        async with server.running():
            await start(server, "goes")
            await anyio.sleep(1.5)
            assert disk.tried == 1
            await anyio.sleep(200)
            assert disk.tried == 4
            record = await handler(server)
            assert (record.status, record.phase) == ("running", "blocked")
            assert record.error == "the store refuses what it writes, each time it is tried; the log says why"
            late = await refused(server, reply("too late"))
            assert late.why is Refusal.CONFLICT
            assert "the store refuses what it writes" in late.detail
        disk.poison = "nothing"
        async with make_server(disk).running():
            await anyio.sleep(5)
            record = await handler(server)
            assert (record.status, record.error) == ("completed", None)


class Mumbling(Picky):
    """Writes the first end of a run and fails to say so."""

    mumbled = False

    async def commit(self, group: Sequence[Batch]) -> list[Verdict]:
        verdicts = await super().commit(group)
        if not self.mumbled and any(batch.handler.status == "completed" for batch in group):
            self.mumbled = True
            raise StoreUnavailable("the answer got lost")
        return verdicts


async def test_a_handler_that_everybody_sees_completed_can_be_continued() -> None:
    """Though its own server has not been told yet that the end was written."""
    disk = Mumbling()
    server = make_server(disk)
    with anyio.fail_after(1000):
        async with server.running():
            await start(server, "ends")
            await anyio.sleep(1.01)
            first = await handler(server)
            assert first.status == "completed"
            assert server._manager._runs is not None
            assert server._manager._runs.get("h") is not None, "it has been told already"
            await start(server, "ends")
            await anyio.sleep(3)
            second = await handler(server)
            assert second.status == "completed"
            assert second.run_id != first.run_id


async def test_a_run_that_is_refused_once_goes_on() -> None:
    """What a client sent made the store refuse: the client is told to come again, the run is as it was before."""
    disk = Picky()
    server = make_server(disk)
    with anyio.fail_after(1000):
        async with server.running():
            await start(server, "asks")
            await anyio.sleep(0.1)
            assert isinstance(await server.execute(reply("poison")), EventAccepted)
            await anyio.sleep(0.5)
            assert (await handler(server)).status == "running"
            disk.poison = "nothing"
            await anyio.sleep(5)
            record = await handler(server)
            assert record.result is not None
            assert record.result.value == '{"result":"poison"}'


@pytest.mark.parametrize("command", [reply("x"), CancelHandler("h"), CancelHandler("h", purge=True)])
async def test_whoever_spoke_to_a_refused_run_is_told_to_come_again(command: Command) -> None:
    """Neither "not found" nor "done": the run is there, and nothing of it was written."""
    disk = Picky()
    server = make_server(disk)
    outcomes: list[Any] = []
    with anyio.fail_after(1000):
        async with server.running():
            await start(server, "asks")
            disk.fails_until = anyio.current_time() + 2
            async with anyio.create_task_group() as tasks:

                async def act() -> None:
                    outcomes.append(await server.execute(command))

                tasks.start_soon(act)
                await anyio.wait_all_tasks_blocked()
                # Somebody else moves the run meanwhile.
                disk._runs[(await handler(server)).run_id].version += 1
            assert isinstance(outcomes[0], Refused), outcomes
            assert (outcomes[0].why, outcomes[0].retry_after) == (Refusal.UNAVAILABLE, 1)
            assert "is loaded again" in outcomes[0].detail


async def test_a_start_that_the_store_refuses_is_the_clients_matter() -> None:
    disk = Picky()
    server = make_server(disk)
    async with server.running():
        await start(server, "asks")
        await anyio.sleep(0.1)
        await server.execute(reply("fine"))
        await anyio.sleep(1)
        disk.poison = "fine"  # the next run of the handler begins with this state
        assert (await refused(server, StartRun("asks", handler_id="h"))).why is Refusal.INVALID


async def test_a_cancel_during_an_outage_says_at_its_time_limit_that_it_is_not_written() -> None:
    """The same cancel, asked for again, is answered when the store is back; nobody hears of the end before."""
    disk = Picky()
    server = make_server(disk)
    with anyio.fail_after(1000):
        async with server.running():
            await start(server, "asks")
            disk.fails_until = anyio.current_time() + 20
            asked = anyio.current_time()
            told = await refused(server, CancelHandler("h"))
            assert anyio.current_time() - asked == pytest.approx(5)
            assert (told.why, told.retry_after) == (Refusal.UNAVAILABLE, 1)
            assert "not stored yet" in told.detail
            assert (await handler(server)).status == "running"
            with anyio.move_on_after(5) as patience:
                await server.execute(reply("x"))
            assert patience.cancelled_caught, "a refusal must not tell of an end that is not committed"
            while isinstance(outcome := await server.execute(CancelHandler("h")), Refused):
                assert outcome.why is Refusal.UNAVAILABLE
            assert isinstance(outcome, Cancelled)
            assert (await handler(server)).status == "cancelled"
            assert (await refused(server, reply("x"))).why is Refusal.CONFLICT


async def test_a_cancel_that_comes_after_the_runs_own_end_does_not_claim_it() -> None:
    """The run has returned its result, which is not committed yet; the cancel comes too late."""
    disk = Picky()
    server = make_server(disk)
    with anyio.fail_after(1000):
        async with server.running():
            await start(server, "ends")
            await anyio.sleep(0.5)
            disk.fails_until = anyio.current_time() + 3
            await anyio.sleep(1)
            told = await refused(server, CancelHandler("h"))
            assert told.why is Refusal.NOT_FOUND
            assert (await handler(server)).status == "completed"


async def test_a_question_that_is_not_committed_is_not_told() -> None:
    disk = Picky()
    server = make_server(disk)
    async with server.running():
        disk.on_commit = lambda _number: setattr(disk, "fails_until", anyio.current_time() + 2)
        await start(server, "asks")
        disk.on_commit = None
        await anyio.sleep(1)
        found = await server.execute(GetWaiting("h"))
        assert isinstance(found, QuestionsFound)
        assert found.questions == ()
        await anyio.sleep(3)
        found = await server.execute(GetWaiting("h"))
        assert isinstance(found, QuestionsFound)
        assert len(found.questions) == 1


@pytest.mark.parametrize("error", [StoreError("a page is damaged"), OSError("none of our errors")])
async def test_a_store_that_fails_at_loading_for_no_named_reason_is_asked_again(error: Exception) -> None:
    disk = Picky()
    async with make_server(disk).running() as server:
        await start(server, "goes")
    disk.poison, disk.load_errors = "nothing", [error, error]
    async with make_server(disk).running() as server:
        await anyio.sleep(20)
        assert not disk.load_errors
        assert (await handler(server)).status == "completed"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ({"start": None}, "start event: the store does not have it"),
        ({"shape": None}, "shape: the store does not have it"),
        ({"head": "[]"}, "head: list indices must be"),
        ({"head": "{"}, "head: Expecting property name"),
        ({"parts": {"item/0": "{}"}}, "item/0: it has no 'last_failure'"),
        (
            {"parts": {"said/0/1": '{"item": 0, "place": 1, "digest": "x"}'}},
            "the parts do not fit together: KeyError(0)",
        ),
        ({"state": {"reply": "{"}}, "state key 'reply' can't be read"),
    ],
)
async def test_a_damaged_run_is_blocked_with_the_reason_and_stops_nobody(
    damage: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Picky()
    disk.poison = "nothing"
    async with make_server(disk).running() as server:
        await start(server, "goes")
        assert isinstance(await server.execute(StartRun("goes", handler_id="other")), RunAccepted)
    whole = disk.load
    damaged = (await handler(server)).run_id
    head = disk.last[damaged].head

    async def load(run_id: str) -> StoredRun | None:
        stored = await whole(run_id)
        return replace(stored, **damage) if stored is not None and run_id == damaged else stored

    monkeypatch.setattr(disk, "load", load)
    async with make_server(disk).running() as server:
        await anyio.sleep(10)
        record = await handler(server)
        assert (record.status, record.phase) == ("running", "blocked")
        assert (record.error or "").startswith(reason)
        other = await server.execute(GetHandler("other"))
        assert isinstance(other, HandlerFound)
        assert other.handler.status == "completed"
        assert (await refused(server, reply("x"))).why is Refusal.CONFLICT
    monkeypatch.undo()
    disk.last[damaged] = replace(disk.last[damaged], head=head)
    async with make_server(disk).running() as server:
        await anyio.sleep(10)
        assert (await handler(server)).status == "completed"


async def test_a_listing_of_a_store_that_is_out_is_told_so_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Picky()

    async def handlers(*_arguments: Any, **_options: Any) -> Any:
        raise StoreUnavailable("the disk is asleep")

    monkeypatch.setattr(disk, "handlers", handlers)
    async with make_server(disk).running() as server:
        for limit in (None, 10):
            assert (await refused(server, ListHandlers(limit=limit))).why is Refusal.UNAVAILABLE


async def test_a_blocked_run_is_cancelled_once() -> None:
    """Two who cancel it at the same time: one does, the other is told to look again, and nothing is written twice."""
    disk = Picky()
    async with make_server(disk).running() as server:
        await start(server, "goes")
    forgetful = WorkflowServer(workflow_store=FaultyStore(disk))
    outcomes: list[Any] = []
    async with forgetful.running():
        await anyio.sleep(1)

        async def cancel() -> None:
            outcomes.append(await forgetful.execute(CancelHandler("h")))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel)
            tasks.start_soon(cancel)
        assert [isinstance(outcome, Cancelled) for outcome in outcomes].count(True) == 1
        (other,) = (outcome for outcome in outcomes if isinstance(outcome, Refused))
        assert other.why in (Refusal.UNAVAILABLE, Refusal.NOT_FOUND)
        assert (await handler(forgetful)).status == "cancelled"
        events = await disk.events((await handler(forgetful)).run_id, -1, 99)
        assert [event.type for event in events].count("WorkflowCancelledEvent") == 1

"""`observe`: what is told of runs, in which order, and where what an observer sets is seen."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from tests_support.slow_store import SlowStore
from workflow_server import Context, Workflow, WorkflowServer, observe, step
from workflow_server.api.commands import SendEvent, StartRun
from workflow_server.errors import WorkflowCancelledByUser, WorkflowTimeoutError
from workflow_server.events import Event, HumanResponseEvent, StartEvent, StopEvent
from workflow_server.observation import (
    Committed,
    Record,
    RunBegan,
    RunEnded,
    StepBegan,
    StepEnded,
    StepRetried,
    WaitBegan,
    WaitEnded,
    observers,
)
from workflow_server.testing.durable_store import DurableStore


class Job(Event):
    n: int = 0


class Reply(HumanResponseEvent):
    n: int = 0


class Twice:
    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return 2.0 if attempts < 2 else None


class Busy(Workflow):
    @step
    async def begin(self, ev: StartEvent) -> Job:
        return Job(n=1)

    @step(retry_policy=Twice())
    async def work(self, job: Job, ctx: Context) -> StopEvent:
        if ctx.retry_info().retry_number == 0:
            raise ValueError("again")
        reply = await ctx.wait_for_event(Reply, waiter_id="w", timeout=None)
        try:
            await ctx.wait_for_event(Reply, waiter_id="late", timeout=5)
        except TimeoutError:
            return StopEvent(result=reply.n)
        return StopEvent()


class Sleeps(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        await anyio.sleep(60)
        return StopEvent()


class Waits(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        await ctx.wait_for_event(Reply, waiter_id="w", timeout=None)
        return StopEvent()


class Breaks(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        raise KeyError("x")


@pytest.fixture
def records() -> Iterator[list[Any]]:
    found: list[Record] = []
    with observe(found.append):
        yield found
    assert not observers


def told(records: list[Any]) -> list[tuple[Any, ...]]:
    """The gist of each record."""
    found: list[tuple[Any, ...]] = []
    for record in records:
        match record:
            case RunBegan():
                found.append(("run", type(record.start).__name__, record.resumed))
            case RunEnded():
                found.append(("ended", record.ending, record.error))
            case StepBegan():
                found.append((record.step, record.parameter, type(record.event).__name__, record.failures))
            case StepEnded():
                found.append((record.step, record.outcome))
            case StepRetried():
                found.append((record.step, "retried", record.failures, record.delay, str(record.exception)))
            case WaitBegan():
                found.append((record.step, "waits", record.awaits))
            case WaitEnded():
                found.append((record.step, "waited", record.outcome))
            case _:
                found.append((type(record).__name__,))
    return found


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
async def test_a_run_is_told_from_its_beginning_to_its_end(records: list[Any]) -> None:
    handler = Busy().run(run_id="r")
    await anyio.sleep(3)
    handler.ctx.send_event(Reply(n=7))
    assert await handler == 7
    assert told(records) == [
        ("run", "StartEvent", False),
        ("begin", "ev", "StartEvent", 0),
        ("begin", "returned"),
        ("work", "job", "Job", 0),
        ("work", "retried", 1, 2.0, "again"),
        ("work", "failed"),
        ("work", "job", "Job", 1),
        ("work", "waits", "Reply"),
        ("work", "waited", "answered"),
        ("work", "waits", "Reply"),
        ("work", "waited", "timed_out"),
        ("work", "returned"),
        ("ended", "completed", None),
    ]
    assert {getattr(record, "run_id", "r") for record in records} == {"r"}
    began, ended = records[0], records[-1]
    assert isinstance(began.instance, Busy)
    assert ended.at - began.at == pytest.approx(8, abs=0.5)
    first, second = (record.key for record in records if isinstance(record, StepBegan) and record.step == "work")
    assert first.item == second.item
    assert first.incarnation < second.incarnation


@pytest.mark.parametrize("kind", [Breaks, Sleeps, Waits])
@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
async def test_runs_that_end_otherwise(records: list[Any], kind: type[Workflow]) -> None:
    handler = kind(timeout=5).run()
    if kind is Waits:
        await anyio.wait_all_tasks_blocked()
        await handler.cancel_run()
    with pytest.raises((KeyError, WorkflowTimeoutError, WorkflowCancelledByUser)):
        await handler
    await anyio.wait_all_tasks_blocked()
    ends = {
        Breaks: ([("go", "failed")], ("ended", "failed", "'x'")),
        Sleeps: ([("go", "stopped")], ("ended", "timed_out", "Workflow timed out after 5s")),
        Waits: ([("go", "waited", "abandoned"), ("go", "stopped")], ("ended", "cancelled", None)),
    }
    steps, run = ends[kind]
    found = told(records)
    assert [one for one in found if one in steps] == steps
    assert [one for one in found if one[0] == "ended"] == [run]
    if kind is Breaks:
        assert isinstance(records[-1].exception, KeyError)


async def test_a_run_that_leaves_memory_is_released_and_resumed(records: list[Any]) -> None:
    disk = DurableStore()
    for turn in range(2):
        server = WorkflowServer(workflow_store=disk)
        server.add_workflow("w", Waits(), additional_events=[Reply])
        async with server.running():
            if turn == 0:
                await server.execute(StartRun("w", handler_id="h"))
            else:
                await server.execute(SendEvent("h", {"type": "Reply", "value": {}}))
            await anyio.wait_all_tasks_blocked()
    runs = [record for record in records if isinstance(record, RunBegan)]
    assert [(run.handler_id, run.resumed) for run in runs] == [("h", False), ("h", True)]
    assert told(records) == [
        ("run", "StartEvent", False),
        ("go", "ev", "StartEvent", 0),
        ("go", "waits", "Reply"),
        ("ended", "released", None),
        ("go", "waited", "abandoned"),
        ("go", "stopped"),
        ("run", "NoneType", True),
        ("go", "ev", "StartEvent", 0),
        ("go", "returned"),
        ("ended", "completed", None),
    ]


async def test_commits_are_told(records: list[Any]) -> None:
    store = SlowStore()
    server = WorkflowServer(workflow_store=store)
    server.add_workflow("w", Busy())
    async with server.running():
        await server.execute(StartRun("w", handler_id="h"))
        await anyio.wait_all_tasks_blocked()
    commits = [record for record in records if isinstance(record, Committed)]
    assert commits
    assert commits[0].batches == 1
    assert sum(commit.events for commit in commits) > 0
    assert all(commit.seconds >= 0 for commit in commits)


colour: ContextVar[str] = ContextVar("colour", default="none")


async def test_what_an_observer_sets_is_seen_where_it_belongs() -> None:
    """Set at the beginning of a run it is there for all its steps, set at that of a step for that step only."""

    class Looks(Workflow):
        @step
        async def a_first(self, ev: StartEvent) -> Job:
            seen.append(colour.get())
            return Job()

        @step
        def b_second(self, ev: Job) -> StopEvent:
            seen.append(colour.get())
            return StopEvent()

    def paint(record: Record) -> None:
        if isinstance(record, RunBegan):
            colour.set(colour.get() + " run")
        if isinstance(record, StepBegan):
            colour.set(f"{colour.get()} {record.step}")
        if isinstance(record, StepEnded):
            seen.append(f"{colour.get()} ended")

    seen: list[str] = []
    token = colour.set("caller")
    with observe(paint):
        await Looks().run()
        assert colour.get() == "caller"
    colour.reset(token)
    assert seen == [
        "caller run a_first",
        "caller run a_first ended",
        "caller run b_second",
        "caller run b_second ended",
    ]


async def test_an_observer_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def fail(record: Record) -> None:
        raise ValueError("observer")

    found: list[Record] = []
    with observe(fail), observe(found.append), caplog.at_level(logging.ERROR):
        handler = Sleeps().run()
        await anyio.wait_all_tasks_blocked()
        await handler.cancel_run()
    assert told(found)[0] == ("run", "StartEvent", False)
    assert "An observer failed on RunBegan" in caplog.text


async def test_observing_ends_when_it_is_stopped() -> None:
    found: list[Record] = []
    observation = observe(found.append)
    observation.stop()
    observation.stop()
    handler = Waits().run()
    await anyio.wait_all_tasks_blocked()
    with observe(found.append):
        handler.ctx.send_event(Reply())
        await handler
    # Of what began before, only the end is seen.
    assert told(found) == [("go", "waited", "answered"), ("go", "returned"), ("ended", "completed", None)]


async def test_a_run_that_never_began_has_nothing_to_tell(records: list[Any]) -> None:
    one = Waits(num_concurrent_runs=1)
    first, second = one.run(run_id="first"), one.run(run_id="second")
    await anyio.wait_all_tasks_blocked()
    await second.cancel_run()
    await first.cancel_run()
    assert {record.run_id for record in records if isinstance(record, RunBegan | RunEnded)} == {"first"}


class Lists(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[Job]:
        return [Job(n=1), Job(n=2)]

    @step
    async def gather(self, jobs: list[Job]) -> StopEvent:
        return StopEvent(result=len(jobs))


async def test_lists_are_told_whole(records: list[Any]) -> None:
    """What a step returned as a list, and what another was given as one."""
    assert await Lists().run() == 2
    (split, gathered) = (record for record in records if isinstance(record, (StepEnded, StepBegan)) and numbers(record))
    assert (split.step, numbers(split)) == ("split", [1, 2])
    assert (gathered.step, gathered.parameter, numbers(gathered)) == ("gather", "jobs", [1, 2])


def numbers(record: Any) -> list[int]:
    events: Any = record.result if isinstance(record, StepEnded) else getattr(record.event, "events", None)
    return [event.n for event in events] if isinstance(events, list) else []

"""A crash after any commit: the run goes on from there, ends with the same outcome, and repeats nothing it has told.

Every commit of a run is a point at which the process may die. Each test plays a workflow once, keeps a copy of the
store after each commit, and then starts a new server from every copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from tests_support.durable_store import DurableStore
from workflow_server import Context, Workflow, WorkflowServer, catch_error, step
from workflow_server.api.commands import CancelHandler, GetHandler, SendEvent, StartRun
from workflow_server.api.outcomes import EventAccepted, HandlerFound, Refused, RunAccepted
from workflow_server.events import (
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
)
from workflow_server.wire.records import EventRecord

pytestmark = [pytest.mark.virtual_time, pytest.mark.usefixtures("virtual_clock")]


class Job(Event):
    n: int = 0


class Done(Event):
    n: int = 0


class Ask(InputRequiredEvent):
    n: int = 0


class Reply(HumanResponseEvent):
    n: int = 0


class Chain(Workflow):
    """Steps one after another."""

    @step
    async def begin(self, ev: StartEvent) -> Job:
        return Job(n=1)

    @step
    async def middle(self, ev: Job, ctx: Context) -> Job | Done:
        ctx.write_event_to_stream(Done(n=100 + ev.n))
        return Job(n=ev.n + 1) if ev.n < 4 else Done(n=ev.n)

    @step
    async def end(self, ev: Done) -> StopEvent:
        return StopEvent(result=ev.n)


class Fan(Workflow):
    """Sends, works side by side, collects."""

    @step
    async def begin(self, ev: StartEvent, ctx: Context) -> Job | None:
        for n in range(4):
            ctx.send_event(Job(n=n))
            await anyio.sleep(0.1)
        return None

    @step(num_workers=2)
    async def work(self, ev: Job) -> Done:
        await anyio.sleep(0.3)
        return Done(n=ev.n)

    @step
    async def gather(self, ev: Done, ctx: Context) -> StopEvent | None:
        done = ctx.collect_events(ev, [Done] * 4)
        return None if done is None else StopEvent(result=sorted(one.n for one in done))


class Progress(Workflow):
    """Keeps its progress in state; what it publishes before a write is committed with it."""

    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        done: list[int] = list(await ctx.store.get("done", default=[]))
        for n in range(4):
            if n not in done:
                await anyio.sleep(1)
                done.append(n)
                ctx.write_event_to_stream(Job(n=n))
                await ctx.store.set("done", list(done))
        return StopEvent(result=done)


class Talks(Workflow):
    """Publishes and sends without any state, and asks two questions in a row."""

    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent | Job:
        ctx.write_event_to_stream(Done(n=1))
        ctx.send_event(Job(n=7))
        first = await ctx.wait_for_event(Reply, waiter_event=Ask(n=1))
        ctx.write_event_to_stream(Done(n=2))
        second = await ctx.wait_for_event(Reply, waiter_event=Ask(n=2))
        return StopEvent(result=[first.n, second.n])

    @step
    async def job(self, ev: Job, ctx: Context) -> None:
        await ctx.store.set("jobs", await ctx.store.get("jobs", default=0) + 1)


class Retry:
    """Tries three times, with a pause."""

    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return 2.0 if attempts < 3 else None


class Fails(Workflow):
    """Fails, is tried again, is rescued."""

    @step(retry_policy=Retry())
    async def go(self, ev: StartEvent) -> StopEvent:
        raise ValueError("never")

    @catch_error
    async def rescue(self, ev: StepFailedEvent) -> StopEvent:
        return StopEvent(result=[ev.step_name, ev.attempts, str(ev.exception)])


class Patient(Workflow):
    """Waits for an answer that does not come."""

    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        try:
            await ctx.wait_for_event(Reply, timeout=30)
        except TimeoutError:
            return StopEvent(result="nobody")
        return StopEvent(result="somebody")


WORKFLOWS: dict[str, tuple[Callable[..., Workflow], Any]] = {
    "chain": (Chain, 4),
    "fan": (Fan, [0, 1, 2, 3]),
    "progress": (Progress, [0, 1, 2, 3]),
    "talks": (Talks, [1, 2]),
    "fails": (Fails, ["go", 3, "never"]),
    "patient": (Patient, "nobody"),
}


def make_server(store: DurableStore, **options: Any) -> WorkflowServer:
    server = WorkflowServer(workflow_store=store, shutdown_grace=0, **options)
    for name, (workflow, _) in WORKFLOWS.items():
        server.add_workflow(name, workflow(timeout=None), additional_events=[Reply])
    return server


async def told(store: DurableStore) -> list[EventRecord]:
    """Return what readers of the run's stream can have seen."""
    record = await store.handler("h")
    return [] if record is None else await store.events(record.run_id, -1, 10_000)


def said(events: list[EventRecord]) -> list[tuple[str, str]]:
    """Return what steps and the engine told, without the engine's own news."""
    return [(event.type, event.value) for event in events if not event.internal]


async def play(server: WorkflowServer, store: DurableStore) -> None:
    """Answer each question once it is open, until the run is over."""
    while (record := await store.handler("h")) is not None and record.status == "running":
        asked = [event for event in await told(store) if event.type == "Ask"]
        answered = sum(event.type == "StepStateChanged" and '"running"' in event.value for event in await told(store))
        if record.phase in ("waiting", "idle") and asked:
            number = len(asked)
            outcome = await server.execute(SendEvent("h", {"type": "Reply", "value": {"n": number}}))
            assert isinstance(outcome, (EventAccepted, Refused)), answered
        await anyio.sleep(0.25)


async def run_from(store: DurableStore) -> DurableStore:
    """Go on from what a crash has left, to the end."""
    server = make_server(store)
    with anyio.fail_after(1000):
        async with server.running():
            await play(server, store)
    return store


async def first_run(name: str, on_commit: Callable[[DurableStore], None]) -> DurableStore:
    store = DurableStore()
    store.on_commit = lambda _number: on_commit(store)
    server = make_server(store)
    with anyio.fail_after(1000):
        async with server.running():
            assert isinstance(await server.execute(StartRun(name, handler_id="h")), RunAccepted)
            await play(server, store)
    return store


@pytest.mark.parametrize("name", list(WORKFLOWS))
async def test_a_crash_after_any_commit_changes_nothing(name: str) -> None:
    """From every point the run ends with the same result; what was told before stays, and nothing is told twice."""
    survivors: list[DurableStore] = []
    whole = await first_run(name, lambda store: survivors.append(store.copy()))
    expected = WORKFLOWS[name][1]
    assert await result_of(whole) == expected
    assert len(survivors) >= 3
    for point, survivor in enumerate(survivors):
        before = await told(survivor)
        after = await told(await run_from(survivor))
        where = f"after commit {point + 1} of {len(survivors)}"
        assert await result_of(survivor) == expected, where
        assert after[: len(before)] == before, where
        assert [event.sequence for event in after] == list(range(len(after))), where
        assert sorted(said(after)) == sorted(said(await told(whole))), where
        assert not survivor.parts[after_run(survivor)], "a run that is over leaves no parts"


@pytest.mark.parametrize("name", ["chain", "fan", "progress", "talks"])
async def test_crash_upon_crash(name: str) -> None:
    """A process that dies after every second commit gets the run done all the same."""
    store = DurableStore()
    server = make_server(store)
    async with server.running():
        await server.execute(StartRun(name, handler_id="h"))
    for _ in range(200):
        record = await store.handler("h")
        assert record is not None
        if record.status != "running":
            break
        crashed: list[DurableStore] = []
        store.commits = 0

        def crash(number: int, living: DurableStore = store, left: list[DurableStore] = crashed) -> None:
            if number == 2:
                left.append(living.copy())

        store.on_commit = crash
        await run_from(store)
        if crashed:
            store = crashed[0]
            store.on_commit = None
    assert await result_of(store) == WORKFLOWS[name][1]


async def test_a_waiting_run_leaves_memory_and_comes_back() -> None:
    """After the idle time a waiting run is only on disk; an event, a timer and a cancel bring it back."""
    store = DurableStore()
    server = make_server(store, idle_timeout=5)
    async with server.running():
        await server.execute(StartRun("talks", handler_id="h"))
        await server.execute(StartRun("patient", handler_id="p"))
        await server.execute(StartRun("talks", handler_id="c"))
        await anyio.sleep(6)
        for handler_id in ("h", "p", "c"):
            record = await store.handler(handler_id)
            assert record is not None
            assert (record.status, record.phase) == ("running", "idle")
        await server.execute(CancelHandler("c"))
        cancelled = await server.execute(GetHandler("c"))
        assert isinstance(cancelled, HandlerFound)
        assert cancelled.handler.status == "cancelled"
        with anyio.fail_after(100):
            await play(server, store)
        assert await result_of(store) == [1, 2]
        assert said(await told(store)).count(("Ask", '{"n":1}')) == 1, "the question is not asked again"
        await anyio.sleep(30)
        patient = await server.execute(GetHandler("p"))
        assert isinstance(patient, HandlerFound)
        assert patient.handler.result is not None
        assert patient.handler.result.value == '{"result":"nobody"}'


async def test_a_run_whose_workflow_is_gone_is_blocked_and_mended() -> None:
    """A deploy that forgot a workflow blocks its runs with the reason; the next one that has it goes on."""
    survivors: list[DurableStore] = []
    await first_run("chain", lambda store: survivors.append(store.copy()))
    survivor = survivors[2]
    forgetful = WorkflowServer(workflow_store=survivor)
    async with forgetful.running():
        await anyio.sleep(1)
        record = await survivor.handler("h")
        assert record is not None
        assert (record.status, record.phase) == ("running", "blocked")
        assert record.error == "no workflow is served as 'chain'"
        refused = await forgetful.execute(SendEvent("h", {"type": "Reply", "value": {}}))
        assert isinstance(refused, Refused)
        assert "chain" in refused.detail
    await run_from(survivor)
    record = await survivor.handler("h")
    assert record is not None
    assert (record.status, record.error) == ("completed", None)


def after_run(store: DurableStore) -> str:
    (run_id,) = store.last
    return run_id


async def result_of(store: DurableStore) -> Any:
    import json

    record = await store.handler("h")
    assert record is not None
    assert record.result is not None, record
    return json.loads(record.result.value)["result"]

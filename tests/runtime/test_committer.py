"""Stored runs: nothing is done, answered or shown before what it rests on is committed."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests_support.facts import until
from tests_support.slow_store import SlowStore
from workflow_server import Context, Workflow, step
from workflow_server.errors import SerializationError, StoreError, StoreUnavailable
from workflow_server.events import Event, HumanResponseEvent, StartEvent, StopEvent
from workflow_server.manager.active_run import ActiveRun
from workflow_server.manager.runs import ActiveRuns
from workflow_server.manager.served import ServedWorkflow
from workflow_server.runtime.feed import EventFeed, News
from workflow_server.runtime.host import current_host
from workflow_server.stores.base import AbstractWorkflowStore, Verdict
from workflow_server.stores.memory import MemoryWorkflowStore


class Job(Event):
    n: int = 0


class Reply(HumanResponseEvent):
    n: int = 0


class Works(Workflow):
    """Notes what it does; says what it is told to."""

    def __init__(self, **options: Any) -> None:
        super().__init__(disable_validation=True, **options)
        self.seen: list[str] = []

    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        self.seen.append("begun")
        try:
            ctx.write_event_to_stream(Job(n=1))
            await ctx.store.set("n", 1)
            self.seen.append("written")
            reply = await ctx.wait_for_event(Reply)
            self.seen.append("answered")
            return StopEvent(result=reply.n)
        finally:
            self.seen.append("left")

    @step
    async def job(self, ev: Job) -> None:
        self.seen.append(f"job {ev.n}")


class Server:
    """What a server has of runs: a store, the live runs, the news."""

    def __init__(self, store: AbstractWorkflowStore) -> None:
        self.store = store
        self.news = News()
        self.runs = ActiveRuns(current_host(), store, self.news)

    def start(self, workflow: Workflow, handler_id: str = "h", state: dict[str, str] | None = None) -> ActiveRun:
        served = ServedWorkflow("served", workflow, ())
        return self.runs.start(served, handler_id, served.load_state(state or {}), StartEvent())

    def feed(self, run: ActiveRun, after: int = -1) -> EventFeed:
        return EventFeed(self.store, self.news, run.runner.plan.run_id, after)


async def types_in(feed: EventFeed) -> list[str]:
    """Return the class names of all events until the end, internal ones left out."""
    found: list[str] = []
    while (page := await feed.pull()) is not None:
        found += [record.type for record in page if not record.internal]
    return found


@pytest.fixture
async def store() -> SlowStore:
    return SlowStore()


# Waiting for commits


async def test_the_first_step_starts_after_the_commit_that_holds_the_start(store: SlowStore) -> None:
    server, workflow = Server(store), Works()
    store.shut()
    run = server.start(workflow)
    await anyio.wait_all_tasks_blocked()
    assert workflow.seen == []
    assert await store.kept.handler("h") is None
    store.open()
    with anyio.fail_after(5):
        assert await run.accepted() is Verdict.DONE
        await until(lambda: "written" in workflow.seen)
        await run.runner.cancel(1)


async def test_a_result_is_told_after_the_terminal_commit(store: SlowStore) -> None:
    server, workflow = Server(store), Works()
    run = server.start(workflow)
    await until(lambda: run.runner.run.idle)
    store.shut()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.send, Reply(n=7), None)
        await anyio.wait_all_tasks_blocked()
        assert "answered" not in workflow.seen, "the answer waits for its commit"
        store.open()
        await until(lambda: "left" in workflow.seen)
    with anyio.fail_after(5):
        record = await run.end()
    assert record is not None
    assert record.status == "completed"
    assert record.result is not None
    assert json.loads(record.result.value) == {"result": 7}
    assert await store.kept.handler("h") == record


async def test_readers_see_what_is_committed(store: SlowStore) -> None:
    server, workflow = Server(store), Works()
    run = server.start(workflow)
    assert await run.accepted() is Verdict.DONE
    seen: list[str] = []

    async def read() -> None:
        seen.extend(await types_in(server.feed(run)))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await until(lambda: run.runner.run.idle)
            await run.journal.settled()
            store.shut()
            before = len(await store.kept.events(run.runner.plan.run_id, -1, 100))
            tasks.start_soon(run.send, Job(n=2), None)
            await anyio.wait_all_tasks_blocked()
            assert len(await store.kept.events(run.runner.plan.run_id, -1, 100)) == before
            assert run.runner.run.next_sequence > before, "the run is ahead of the store"
            store.open()
            await run.send(Reply(n=1), None)
    assert seen == ["Job", "StopEvent"]


async def test_refusals_wait_too(store: SlowStore) -> None:
    """An answer may rest on what is not committed yet, a refusal included."""
    server, workflow = Server(store), Works()
    run = server.start(workflow)
    await until(lambda: run.runner.run.idle)
    store.shut()
    answers: list[Any] = []

    async def send(step: str | None) -> None:
        answers.append(await run.send(Job(), step))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, None)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(send, "nowhere")
            await anyio.wait_all_tasks_blocked()
            assert answers == []
            store.open()
    assert sorted(map(repr, answers)) == ["Misdirected(step='nowhere', exists=False)", "None"]
    await run.runner.cancel(1)


async def test_a_state_write_returns_after_its_commit_and_is_part_of_it(store: SlowStore) -> None:
    server, workflow = Server(store), Works()
    run = server.start(workflow, state={"n": "0", "kept": '"x"'})
    await run.accepted()
    assert dict(await store.kept.state(run.runner.plan.run_id)) == {"n": "0", "kept": '"x"'}
    store.shut()
    await until(lambda: "begun" in workflow.seen)
    await anyio.wait_all_tasks_blocked()
    assert "written" not in workflow.seen
    assert await run.runner.store.get("n") == 1
    store.open()
    await until(lambda: "written" in workflow.seen)
    assert dict(await store.kept.state(run.runner.plan.run_id)) == {"n": "1", "kept": '"x"'}
    await run.runner.cancel(1)


# Whoever waits may be cancelled


async def test_cancelling_whoever_waits_stops_nothing(store: SlowStore) -> None:
    server, workflow = Server(store), Works()
    store.shut()
    run = server.start(workflow)
    with anyio.move_on_after(0.01) as scope:
        await run.accepted()
    assert scope.cancelled_caught
    store.open()
    with anyio.fail_after(5):
        assert await run.accepted() is Verdict.DONE
        await until(lambda: run.runner.run.idle)
        store.shut()
        with anyio.move_on_after(0.01):
            await run.send(Reply(n=3), None)
        store.open()
        record = await run.end()
    assert record is not None
    assert record.status == "completed"


def test_cancelling_by_asyncios_own_means_stops_nothing() -> None:
    async def main() -> None:
        store = SlowStore()
        server, workflow = Server(store), Works()
        store.shut()
        run = server.start(workflow)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await run.accepted()
        waiter = asyncio.ensure_future(run.accepted())
        await asyncio.sleep(0)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        store.open()
        async with asyncio.timeout(5):
            assert await run.accepted() is Verdict.DONE
            await run.runner.cancel(1)

    asyncio.run(main())


# Steps that follow each other


class Doubled(Event):
    n: int


class Doubles(Workflow):
    """Doubles two numbers side by side, each when it is told to, and notes in which task."""

    def __init__(self) -> None:
        super().__init__(disable_validation=True)
        self.may_double = {1: anyio.Event(), 2: anyio.Event()}
        self.seen: list[str] = []
        self.tasks: dict[int, list[int]] = {1: [], 2: []}

    @step
    async def go(self, ev: StartEvent, ctx: Context) -> None:
        for n in (1, 2):
            ctx.send_event(Job(n=n))

    @step
    async def double(self, ev: Job) -> Doubled:
        await self.may_double[ev.n].wait()
        self.tasks[ev.n].append(anyio.get_current_task().id)
        return Doubled(n=ev.n)

    @step
    async def tell(self, ev: Doubled) -> StopEvent | None:
        self.tasks[ev.n].append(anyio.get_current_task().id)
        self.seen.append(f"doubled {ev.n}")
        return None


async def test_a_step_follows_once_its_own_commit_is_done(store: SlowStore) -> None:
    server, workflow = Server(store), Doubles()
    run = server.start(workflow)
    await until(lambda: len(run.runner.executions) == 2)
    await anyio.wait_all_tasks_blocked()
    store.shut()
    for n in (1, 2):
        workflow.may_double[n].set()
        await anyio.wait_all_tasks_blocked()
    assert workflow.seen == []
    store.open()
    store.shut()
    await anyio.wait_all_tasks_blocked()
    assert workflow.seen == ["doubled 1"], "the other one's commit is under way"
    store.open()
    await until(lambda: workflow.seen == ["doubled 1", "doubled 2"])
    await run.runner.cancel(1)


async def test_a_chain_of_stored_steps_is_executed_by_one_task(store: SlowStore) -> None:
    server, workflow = Server(store), Doubles()
    run = server.start(workflow)
    for n in (1, 2):
        workflow.may_double[n].set()
        await until(lambda n=n: len(workflow.tasks[n]) == 2)
    assert [len(set(tasks)) for tasks in workflow.tasks.values()] == [1, 1]
    await run.runner.cancel(1)


async def test_no_task_is_left_of_a_run_that_is_dropped_between_steps(store: SlowStore) -> None:
    server = Server(store)

    async def tasks_after(verdict: Verdict) -> int:
        workflow = Doubles()
        run = server.start(workflow, verdict)
        await until(lambda: len(run.runner.executions) == 2)
        store.refusals[verdict] = verdict
        for event in workflow.may_double.values():
            event.set()
        await until(lambda: len(workflow.seen) == 2 or run.runner.dropped)
        assert run.runner.dropped is (verdict is Verdict.STALE)
        if not run.runner.dropped:
            await run.runner.cancel(1)
        await anyio.wait_all_tasks_blocked()
        return len(anyio.get_running_tasks())

    assert await tasks_after(Verdict.DONE) == await tasks_after(Verdict.STALE)


# Groups


async def test_runs_are_committed_together_and_gather_while_one_commit_is_in_flight(store: SlowStore) -> None:
    server = Server(store)
    store.shut()
    first = server.start(Works(), "a")
    await anyio.wait_all_tasks_blocked()
    others = [server.start(Works(), name) for name in "bcd"]
    await anyio.wait_all_tasks_blocked()
    assert [len(group) for group in store.groups] == [1]
    store.open()
    with anyio.fail_after(5):
        for run in (first, *others):
            assert await run.accepted() is Verdict.DONE
    assert [one.handler.handler_id for one in store.groups[1] if one.version == 1] == ["b", "c", "d"]
    for run in (first, *others):
        await run.runner.cancel(1)


async def test_versions_count_up_and_sequences_have_no_gaps(store: SlowStore) -> None:
    server, workflow = Server(store), Works()
    run = server.start(workflow)
    await until(lambda: run.runner.run.idle)
    await run.send(Job(n=5), None)
    await run.send(Reply(n=5), None)
    await run.end()
    batches = [batch for group in store.groups for batch in group]
    assert [batch.version for batch in batches] == list(range(1, len(batches) + 1))
    events = [event for batch in batches for event in batch.events]
    assert [event.sequence for event in events] == list(range(len(events)))
    assert batches[-1].next_sequence == len(events)


# A store that fails


@pytest.mark.virtual_time
async def test_runs_hold_while_the_store_is_out_and_go_on_when_it_is_back(
    store: SlowStore, virtual_clock: None, caplog: pytest.LogCaptureFixture
) -> None:
    server, workflow = Server(store), Works()
    store.failures = [StoreUnavailable("busy"), StoreUnavailable("busy"), OSError("disk full")]
    began = anyio.current_time()
    run = server.start(workflow)
    with caplog.at_level(logging.ERROR):
        assert await run.accepted() is Verdict.DONE
    assert anyio.current_time() - began == pytest.approx(0.05 + 0.1 + 0.25)
    assert [group[0].version for group in store.groups[:4]] == [1, 1, 1, 1], "the same batch is tried again"
    assert [record.getMessage() for record in caplog.records] == ["The store failed; all runs hold until it is back"], (
        "a store that is out is told of once"
    )
    await until(lambda: run.runner.run.idle)
    await run.runner.cancel(1)


# A store that refuses


async def test_a_handler_that_is_taken(store: SlowStore) -> None:
    server, workflow = Server(store), Works()
    store.refusals["taken"] = Verdict.CONFLICT
    store.shut()
    refused = server.start(workflow, "taken")
    other = server.start(Works(), "free")
    store.open()
    with anyio.fail_after(5):
        assert await refused.accepted() is Verdict.CONFLICT
        assert await other.accepted() is Verdict.DONE, "the rest of the group is unharmed"
        assert await refused.end() is None
    assert server.runs.get("taken") is None
    assert workflow.seen == []
    await other.runner.cancel(1)


async def test_a_run_that_the_store_has_let_go_of_is_dropped(store: SlowStore) -> None:
    server, workflow = Server(store), Works()
    run = server.start(workflow)
    await until(lambda: run.runner.run.idle)
    await store.kept.delete("h")
    with anyio.fail_after(5):
        with pytest.raises(StoreError, match=r"^Run \w+ was dropped: the store holds another state of it$"):
            await run.send(Reply(n=1), None)
        assert await run.end() is None
        await until(lambda: "left" in workflow.seen)
        with pytest.raises(StoreError, match="was dropped"):
            await run.send(Reply(n=1), None)
    assert "answered" not in workflow.seen
    assert server.runs.get("h") is None
    assert await store.kept.handler("h") is None, "late writes bring nothing back"


async def test_a_refusal_wakes_whoever_waits_for_the_batch_in_flight_and_for_the_next(store: SlowStore) -> None:
    server, workflow = Server(store), Works()
    run = server.start(workflow)
    await until(lambda: run.runner.run.idle)
    await run.journal.settled()
    store.shut()
    store.refusals["h"] = Verdict.STALE
    errors: list[StoreError] = []

    async def send(n: int) -> None:
        try:
            await run.send(Job(n=n), None)
        except StoreError as error:
            errors.append(error)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for n in range(2):
                tasks.start_soon(send, n)
                await anyio.wait_all_tasks_blocked()
            store.open()
    assert len(errors) == 2
    assert "job 0" not in workflow.seen


# What does not count


class Unwinds(Works):
    """Writes, publishes and sends while it is stopped."""

    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                ctx.write_event_to_stream(Job(n=9))
                await ctx.store.set("late", 1)
                ctx.send_event(Job(n=9))
                self.seen.append("unwound")
        return StopEvent()


@pytest.mark.parametrize("kind", [SlowStore, MemoryWorkflowStore])
async def test_what_a_step_does_after_the_end_of_its_run_is_not_stored(kind: type[AbstractWorkflowStore]) -> None:
    store = kind()
    server, workflow = Server(store), Unwinds()
    run = server.start(workflow)
    await run.accepted()
    await anyio.wait_all_tasks_blocked()
    with anyio.fail_after(5):
        assert await run.runner.cancel(1) == ()
        record = await run.end()
    assert workflow.seen == ["unwound"]
    assert record is not None
    assert record.status == "cancelled"
    assert dict(await store.state(run.runner.plan.run_id)) == {}
    assert await types_in(server.feed(run)) == ["WorkflowCancelledEvent"]


async def test_stopping_the_server_leaves_runs_as_they_are(store: SlowStore) -> None:
    server, workflow = Server(store), Unwinds()
    run = server.start(workflow)
    await run.accepted()
    await anyio.wait_all_tasks_blocked()
    with anyio.fail_after(5):
        await server.runs.stop(0.01)
        assert await run.end() is None
    record = await store.kept.handler("h")
    assert record is not None
    assert record.status == "running"
    assert workflow.seen == ["unwound"]
    assert dict(await store.kept.state(run.runner.plan.run_id)) == {}


async def test_stopping_waits_for_what_is_in_flight(store: SlowStore) -> None:
    server, workflow = Server(store), Works()
    run = server.start(workflow)
    await until(lambda: run.runner.run.idle)
    store.shut()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.send, Job(n=3), None)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(server.runs.stop, 0.01)
            await anyio.sleep(0.05)
            store.open()
    assert "unhandled" not in workflow.seen
    events = await store.kept.events(run.runner.plan.run_id, -1, 100)
    assert events[-1].sequence == run.runner.run.next_sequence - 1


@pytest.mark.virtual_time
async def test_stopping_does_not_wait_for_ever_for_a_store_that_is_out(store: SlowStore, virtual_clock: None) -> None:
    server, workflow = Server(store), Works()
    run = server.start(workflow)
    await until(lambda: run.runner.run.idle)
    store.failures = [StoreUnavailable("out")] * 1000
    errors: list[StoreError] = []

    async def send() -> None:
        try:
            await run.send(Job(), None)
        except StoreError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await anyio.sleep(0.01)
        began = anyio.current_time()
        await server.runs.stop(1)
        assert anyio.current_time() - began < 10
    assert len(errors) == 1, "what was not committed is not acknowledged"
    tries = len(store.groups)
    await anyio.sleep(60)
    assert len(store.groups) == tries, "a store that was closed is left alone"


# What can't be stored


async def test_an_event_that_cannot_be_stored_is_named(store: SlowStore) -> None:
    class Odd(Event):
        thing: Any = None

    class Sends(Works):
        tries = 0

        @step(retry_policy=Always())
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            type(self).tries += 1
            for call in (ctx.send_event, ctx.write_event_to_stream):
                with pytest.raises(SerializationError, match="Odd can't be stored: its field 'thing' holds a lock"):
                    call(Odd(thing=threading.Lock()))
            return StopEvent(result=threading.Lock())

    run = Server(store).start(Sends())
    with anyio.fail_after(5):
        record = await run.end()
    assert record is not None
    assert record.status == "failed"
    assert record.error is not None
    assert record.error.startswith("StopEvent can't be stored: its field 'result' holds a lock")
    assert Sends.tries == 1, "trying again would fail the same way"


class Always:
    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return 0


async def test_an_event_changed_after_it_was_sent_is_stored_as_it_was(store: SlowStore) -> None:
    class Mutates(Works):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            job = Job(n=1)
            ctx.write_event_to_stream(job)
            job.n = 2
            ctx.write_event_to_stream(job)
            return StopEvent()

    server = Server(store)
    run = server.start(Mutates())
    with anyio.fail_after(5):
        await run.end()
    events = await store.kept.events(run.runner.plan.run_id, -1, 100)
    assert [json.loads(event.value)["n"] for event in events if event.type == "Job"] == [1, 2]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("error", [Unspeakable(), OSError("\udcff.txt")])
async def test_exceptions_that_cannot_be_told_fail_their_run_only(store: SlowStore, error: Exception) -> None:
    class Raises(Works):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            raise error

    server = Server(store)
    run, other = server.start(Raises(), "a"), server.start(Works(), "b")
    with anyio.fail_after(5):
        record = await run.end()
        assert record is not None
        assert record.status == "failed"
        await until(lambda: other.runner.run.idle)
        await other.send(Reply(n=1), None)
        assert await other.end() is not None


# The record of a handler


@pytest.mark.virtual_time
async def test_the_record_as_a_run_goes_on(store: SlowStore, virtual_clock: None) -> None:
    server, workflow = Server(store), Works(num_concurrent_runs=1)
    first, second = server.start(workflow, "a"), server.start(workflow, "b")
    await second.accepted()
    began = current_host().clock()

    async def phase(name: str) -> str:
        record = await store.kept.handler(name)
        assert record is not None
        return record.phase

    assert await phase("b") == "queued"
    await until(lambda: first.runner.run.idle)
    await first.journal.settled()
    assert await phase("a") == "waiting"
    await anyio.sleep(3)
    await first.send(Reply(), None)
    record = await first.end()
    assert record is not None
    assert record.completed_at == record.updated_at == pytest.approx(began + 3, abs=0.2)
    assert (record.status, record.phase, record.error) == ("completed", "done", None)
    await until(lambda: second.runner.run.idle)
    await second.journal.settled()
    assert await phase("b") == "waiting"
    await second.runner.cancel(1)
    record = await second.end()
    assert record is not None
    assert (record.status, record.result, record.error) == ("cancelled", None, None)


@pytest.mark.virtual_time
async def test_the_record_of_a_run_that_timed_out(store: SlowStore, virtual_clock: None) -> None:
    run = Server(store).start(Works(timeout=0.5))
    record = await run.end()
    assert record is not None
    assert (record.status, record.error) == ("failed", "Workflow timed out after 0.5s")


async def test_a_store_that_commits_at_once_needs_no_task() -> None:
    store = MemoryWorkflowStore()
    server, workflow = Server(store), Works()
    run = server.start(workflow)
    assert await store.handler("h") is not None, "committed before anybody waited"
    await until(lambda: run.runner.run.idle)
    await run.send(Reply(n=2), None)
    with anyio.fail_after(5):
        assert await run.end() is not None
        assert await types_in(server.feed(run)) == ["Job", "StopEvent"]
        await server.runs.stop(1)


async def test_a_deleted_run_is_dropped_from_a_store_that_commits_at_once() -> None:
    store = MemoryWorkflowStore()
    server, workflow = Server(store), Works()
    run = server.start(workflow)
    await until(lambda: run.runner.run.idle)
    await store.delete("h")
    with anyio.fail_after(5):
        with pytest.raises(StoreError):
            await run.send(Reply(n=2), None)
        assert await run.end() is None
        await until(lambda: "left" in workflow.seen)
    assert await store.handler("h") is None

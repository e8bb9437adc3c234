"""Workflows for tests of durability, one for each kind of thing that can happen to a run, and what plays them."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import anyio

from workflow_server import Context, Workflow, WorkflowServer, catch_error, step
from workflow_server.api.commands import SendEvent
from workflow_server.api.outcomes import EventAccepted, Refused
from workflow_server.definition.collect import Collect, Take
from workflow_server.definition.retry_policy import retry_policy, stop_after_attempt, wait_random
from workflow_server.events import (
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
)
from workflow_server.runtime.resource import Resource
from workflow_server.stores.base import AbstractWorkflowStore
from workflow_server.testing.durable_store import DurableStore
from workflow_server.wire.records import EventRecord


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


class Piece(Event):
    n: int = 0


class Note(Event):
    total: int = 0


class Twice:
    """Tries twice, with a pause."""

    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return 1.0 if attempts < 2 else None


class Lists(Workflow):
    """Fans out by list, in streams within a stream; members queue, are tried again and are rescued."""

    @step
    async def outer(self, ev: StartEvent) -> list[Job]:
        return [Job(n=n) for n in range(3)]

    @step(num_workers=2)
    async def inner(self, ev: Job) -> list[Piece]:
        await anyio.sleep(0.1)
        return [Piece(n=10 * ev.n + n) for n in range(ev.n)]

    @step(num_workers=2, retry_policy=Twice())
    async def work(self, ev: Piece, ctx: Context) -> Done:
        await anyio.sleep(0.2)
        if ev.n == 20 or (ev.n == 21 and ctx.retry_info().retry_number == 0):
            raise ValueError("not this one")
        return Done(n=ev.n)

    @catch_error
    async def rescue(self, ev: StepFailedEvent) -> Done:
        return Done(n=1000)

    @step
    async def gather(self, found: list[Done], ctx: Context) -> Note:
        ctx.write_event_to_stream(Job(n=len(found)))
        await anyio.sleep(0.1)
        return Note(total=sum(one.n for one in found))

    @step
    async def end(self, found: list[Note]) -> StopEvent:
        return StopEvent(result=sorted(one.total for one in found))


class Few(Workflow):
    """Takes the first two of four; the rest runs on unheard while the result is made."""

    @step
    async def split(self, ev: StartEvent) -> list[Job]:
        return [Job(n=n) for n in range(4)]

    @step
    async def work(self, ev: Job) -> Done:
        await anyio.sleep(1 + ev.n)
        return Done(n=ev.n)

    @step
    async def first(self, found: Annotated[list[Done], Collect(Take(2))]) -> Piece:
        await anyio.sleep(10)
        return Piece(n=sum(one.n for one in found))

    @step
    async def end(self, ev: Piece) -> StopEvent:
        return StopEvent(result=ev.n)


class Pairs(Workflow):
    """Joins pairs within a stream, and keeps what finds no partner."""

    @step
    async def split(self, ev: StartEvent) -> list[Job | Piece]:
        return [Job(n=1), Job(n=2), Piece(n=3), Job(n=4), Piece(n=5)]

    @step(num_workers=1)
    async def pair(self, one: Job, other: Piece) -> Done:
        await anyio.sleep(0.5)
        return Done(n=10 * one.n + other.n)

    @step
    async def gather(self, found: list[Done]) -> StopEvent:
        return StopEvent(result=[one.n for one in found])


class Asked(Workflow):
    """Members and their collect step ask people."""

    @step
    async def split(self, ev: StartEvent) -> list[Job]:
        return [Job(n=1), Job(n=2)]

    @step
    async def work(self, ev: Job, ctx: Context) -> Done:
        reply = await ctx.wait_for_event(Reply, waiter_event=Ask(n=ev.n))
        return Done(n=reply.n)

    @step
    async def gather(self, found: list[Done], ctx: Context) -> StopEvent:
        await ctx.wait_for_event(Reply, waiter_event=Ask(n=100 + len(found)))
        return StopEvent(result=len(found))


class Overtaken(Workflow):
    """Waits in vain in one member; when its time is up, others have its worker, and it queues with a word said."""

    @step
    async def split(self, ev: StartEvent) -> list[Job]:
        return [Job(n=n) for n in range(3)]

    @step(num_workers=1)
    async def work(self, ev: Job, ctx: Context) -> Done:
        ctx.write_event_to_stream(Piece(n=ev.n))
        if ev.n == 0:
            with suppress(TimeoutError):
                await ctx.wait_for_event(Reply, timeout=1)
        else:
            await anyio.sleep(3)
        ctx.write_event_to_stream(Piece(n=10 + ev.n))
        return Done(n=ev.n)

    @step
    async def gather(self, found: list[Done]) -> StopEvent:
        return StopEvent(result=[one.n for one in found])


async def open_book(name: Annotated[str, Resource(lambda: "book")]) -> str:
    await anyio.sleep(0.1)
    return name


class Supplied(Workflow):
    """Is given a resource, and asks with it in hand."""

    @step
    async def go(self, ev: StartEvent, book: Annotated[str, Resource(open_book)], ctx: Context) -> Job:
        await ctx.wait_for_event(Reply, waiter_event=Ask(n=1))
        ctx.write_event_to_stream(Done(n=len(book)))
        return Job(n=1)

    @step
    async def end(self, ev: Job, book: Annotated[str, Resource(open_book, cache=False)]) -> StopEvent:
        return StopEvent(result=book)


class Budget(Workflow):
    """Is rescued twice, with tries and pauses of random length in between; the third failure is not caught."""

    @step
    async def begin(self, ev: StartEvent, ctx: Context) -> Job | None:
        ctx.send_event(Job(n=1))
        return None

    @step(retry_policy=retry_policy(wait=wait_random(1, 2), stop=stop_after_attempt(2)))
    async def work(self, ev: Job, ctx: Context) -> Done:
        ctx.write_event_to_stream(Done(n=10 * ev.n + ctx.retry_info().retry_number))
        raise ValueError(f"failure {ev.n}")

    @catch_error(for_steps=["work"], max_recoveries=2)
    async def again(self, ev: StepFailedEvent, ctx: Context) -> Job | None:
        job = ev.input_event
        assert isinstance(job, Job)
        if job.n == 1:
            return Job(n=2)
        ctx.send_event(Job(n=job.n + 1))
        return None

    @step
    async def end(self, ev: Done) -> StopEvent:
        return StopEvent()


WORKFLOWS: dict[str, tuple[Callable[..., Workflow], Any]] = {
    "chain": (Chain, 4),
    "fan": (Fan, [0, 1, 2, 3]),
    "progress": (Progress, [0, 1, 2, 3]),
    "talks": (Talks, [1, 2]),
    "fails": (Fails, ["go", 3, "never"]),
    "patient": (Patient, "nobody"),
    "lists": (Lists, [0, 10, 1021]),
    "few": (Few, 1),
    "pairs": (Pairs, [13, 25]),
    "asked": (Asked, 2),
    "supplied": (Supplied, "book"),
    "overtaken": (Overtaken, [1, 0, 2]),
}


def make_server(store: AbstractWorkflowStore, names: Iterable[str] = WORKFLOWS, **options: Any) -> WorkflowServer:
    """Return a server of those of `WORKFLOWS`."""
    server = WorkflowServer(workflow_store=store, shutdown_grace=0, **options)
    for name in names:
        server.add_workflow(name, WORKFLOWS[name][0](timeout=None), additional_events=[Reply])
    return server


@contextmanager
def played(where: str) -> Generator[None]:
    """Have whatever fails inside say what was played."""
    try:
        yield
    except Exception as error:
        error.add_note(f"played: {where}")
        raise


async def told(disk: DurableStore, handler_id: str = "h") -> list[EventRecord]:
    """Return what readers of the run's stream can have seen."""
    record = await disk.handler(handler_id)
    return [] if record is None else await disk.events(record.run_id, -1, 10_000)


def said(events: list[EventRecord]) -> list[tuple[str, str]]:
    """Return what steps told, without the engine's own news."""
    return [(event.type, event.value) for event in events if not event.internal]


async def result_of(disk: DurableStore, handler_id: str = "h") -> Any:
    """Return the result of a completed run."""
    record = await disk.handler(handler_id)
    assert record is not None
    assert record.result is not None, record
    return json.loads(record.result.value)["result"]


async def answer_questions(server: WorkflowServer, disk: DurableStore, handler_id: str = "h") -> None:
    """Answer each question once it is open, until the run is over."""
    while (record := await disk.handler(handler_id)) is not None and record.status == "running":
        asked = sum(event.type == "Ask" for event in await told(disk, handler_id))
        if record.phase in ("waiting", "idle") and asked:
            outcome = await server.execute(SendEvent(handler_id, {"type": "Reply", "value": {"n": asked}}))
            assert isinstance(outcome, (EventAccepted, Refused))
        await anyio.sleep(0.25)

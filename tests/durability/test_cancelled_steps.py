"""Every kind of cancellation, at every await of a step that touches the store.

A commit takes a second here, so a deadline that moves in quarters of a second hits each await: while something is
committed, in a wait, and between. Whatever it hits, the run ends, a write has happened or not, what the run sees is
what the store has, and the step can write again afterwards.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest

from tests_support.faulty_store import FaultyStore
from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.api.commands import GetHandler, SendEvent, StartRun
from workflow_server.api.outcomes import HandlerFound, RunAccepted
from workflow_server.events import HumanResponseEvent, StartEvent, StopEvent
from workflow_server.testing.durable_store import DurableStore
from workflow_server.wire.records import HandlerRecord

pytestmark = [pytest.mark.virtual_time, pytest.mark.usefixtures("virtual_clock")]

COMMIT_SECONDS = 1.0
ANSWERED_AT = 5.25
"""When the answer to the step's question comes, in seconds."""
MOMENTS = [quarter / 4 for quarter in range(34)]
"""When the cancellation comes, in seconds after the step has begun; undisturbed, the step takes about eight."""

Body = Callable[[], Awaitable[None]]


class Reply(HumanResponseEvent):
    pass


class SlowDisk(FaultyStore):
    async def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        if name != "commit":
            return await super().call(name, *arguments, **options)
        await anyio.sleep(COMMIT_SECONDS / 2)
        verdicts = await super().call(name, *arguments, **options)
        await anyio.sleep(COMMIT_SECONDS / 2)
        return verdicts


async def touch_the_store(ctx: Context) -> None:
    await ctx.store.set("a", 1)
    async with ctx.store.edit_state() as state:
        state.b = 2
        await anyio.sleep(0.5)
    await ctx.store.get_state()
    await anyio.sleep(0.5)
    await ctx.wait_for_event(Reply)
    await ctx.store.set("c", 3)


ALLOWED: list[dict[str, int]] = [{}, {"a": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 3}]


async def anyio_scope(body: Body, seconds: float) -> None:
    with anyio.move_on_after(seconds):
        await body()


async def anyio_failing(body: Body, seconds: float) -> None:
    try:
        with anyio.fail_after(seconds):
            await body()
    except TimeoutError:
        pass


async def group_of_tasks(body: Body, seconds: float) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(body)
        await anyio.sleep(seconds)
        tasks.cancel_scope.cancel()


async def trio_scope(body: Body, seconds: float) -> None:
    import trio

    with trio.move_on_after(seconds):
        await body()


async def trio_nursery(body: Body, seconds: float) -> None:
    import trio

    async with trio.open_nursery() as nursery:
        nursery.start_soon(body)
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()


async def asyncio_timeout(body: Body, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await body()
    except TimeoutError:
        pass


async def asyncio_wait_for(body: Body, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(body(), seconds)


async def asyncio_task_cancelled(body: Body, seconds: float) -> None:
    task = asyncio.ensure_future(body())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.wait([task])


async def asyncio_gather_cancelled(body: Body, seconds: float) -> None:
    both = asyncio.gather(body(), asyncio.sleep(100))
    asyncio.get_running_loop().call_later(seconds, both.cancel)
    with suppress(asyncio.CancelledError):
        await both


async def leaked_on_asyncio(body: Body, seconds: float) -> None:
    """Cancel the step's own task, as no step should."""
    task = asyncio.current_task()
    assert task is not None
    alarm = asyncio.get_running_loop().call_later(seconds, task.cancel)
    try:
        await body()
    finally:
        alarm.cancel()


async def leaked_on_trio(body: Body, seconds: float) -> None:
    """Keep a cancellation beyond its scope, as no step should."""
    import trio

    kept: list[BaseException] = []
    with trio.move_on_after(seconds):
        try:
            await body()
        except trio.Cancelled as error:
            kept.append(error)
            raise
    if kept:
        raise kept[0]


BY_BOTH = [anyio_scope, anyio_failing, group_of_tasks]
WAYS = {
    "asyncio": [*BY_BOTH, asyncio_timeout, asyncio_wait_for, asyncio_task_cancelled, asyncio_gather_cancelled],
    "trio": [*BY_BOTH, trio_scope, trio_nursery],
}
LEAKS = {"asyncio": leaked_on_asyncio, "trio": leaked_on_trio}


class OnceMore:
    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return 1.0 if attempts < 2 else None


async def play(way: Callable[[Body, float], Awaitable[None]], seconds: float) -> tuple[DurableStore, HandlerRecord]:
    """Play a run whose step is cancelled in some way, the first time it is tried; return what the store has then."""

    class Cancelled(Workflow):
        @step(retry_policy=OnceMore())
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            tries = ctx.retry_info().retry_number
            if tries == 0:
                await way(lambda: touch_the_store(ctx), seconds)
            seen = dict((await ctx.store.get_state()).items())
            await ctx.store.set("after", tries)
            return StopEvent(result=seen)

    disk = DurableStore()
    server = WorkflowServer(workflow_store=SlowDisk(disk), shutdown_grace=0, idle_timeout=3)
    server.add_workflow("cancelled", Cancelled(timeout=None), additional_events=[Reply])
    async with server.running():
        with anyio.fail_after(100):
            begun = anyio.current_time()
            assert isinstance(await server.execute(StartRun("cancelled", handler_id="h")), RunAccepted)
            await anyio.sleep(begun + ANSWERED_AT - anyio.current_time())
            await server.execute(SendEvent("h", {"type": "Reply", "value": {}}))
            record = await server.execute(GetHandler("h", wait=90))
    assert isinstance(record, HandlerFound)
    return disk, record.handler


async def whole(way: Callable[[Body, float], Awaitable[None]], seconds: float) -> tuple[dict[str, int], int]:
    """Play such a run and check that it is whole; return what its step saw in the end, and how often it had failed."""
    disk, record = await play(way, seconds)
    where = f"{way.__name__} after {seconds} s"
    assert record.status == "completed", where
    assert record.result is not None
    seen = json.loads(record.result.value)["result"]
    stored = {key: json.loads(text) for key, text in (await disk.state(record.run_id)).items()}
    failures = stored.pop("after")
    assert seen in ALLOWED, where
    assert stored == seen, where
    return seen, failures


async def test_a_cancellation_at_any_await_leaves_the_run_whole(anyio_backend_name: str) -> None:
    for way in WAYS[anyio_backend_name]:
        found: list[dict[str, int]] = []
        for seconds in MOMENTS:
            seen, failures = await whole(way, seconds)
            assert failures == 0, f"{way.__name__} after {seconds} s"
            found.append(seen)
        assert all(one in found for one in ALLOWED[1:]), f"with {way.__name__} the moments miss an await"


async def test_a_cancellation_that_nobody_asked_for_is_a_failure_of_the_step(anyio_backend_name: str) -> None:
    """The step is tried again, as after any failure; what it had written by then is there."""
    way = LEAKS[anyio_backend_name]
    failures = sum([(await whole(way, seconds))[1] for seconds in MOMENTS])
    assert failures >= len(MOMENTS) / 2

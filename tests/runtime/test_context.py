"""What steps do through their context."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import anyio
import anyio.to_thread
import pytest

from workflow_server import Context, Workflow, step
from workflow_server.errors import WorkflowRuntimeError
from workflow_server.events import (
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepStateChanged,
    StopEvent,
)
from workflow_server.runtime.handler import WorkflowHandler


class Job(Event):
    n: int = 0


class Found(Event):
    n: int = 0


class Question(InputRequiredEvent):
    n: int = 0


class Reply(HumanResponseEvent):
    n: int = 0
    who: str = ""


class Again:
    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return 1.5 if attempts < 3 else None


async def answering(handler: WorkflowHandler, *replies: Event) -> Any:
    """Send each reply as soon as nothing else can happen, and return the result."""
    with anyio.fail_after(10):
        for reply in replies:
            await anyio.wait_all_tasks_blocked()
            handler.ctx.send_event(reply)
        return await handler


# Waiting


async def test_a_wait_keeps_its_place() -> None:
    """What stands before the wait does not run again."""

    class Waits(Workflow):
        begun = 0

        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            self.begun += 1
            reply = await ctx.wait_for_event(Reply, waiter_event=Question())
            return StopEvent(result=(self.begun, reply.n))

    assert await answering(Waits().run(), Reply(n=7)) == (1, 7)


async def test_two_waits_in_a_row_and_requirements() -> None:
    class Waits(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            first = await ctx.wait_for_event(Reply, requirements={"who": "ann"})
            second = await ctx.wait_for_event(Reply)
            return StopEvent(result=[first.n, second.n])

    replies = Reply(n=1, who="bob"), Reply(n=2, who="ann"), Reply(n=3)
    assert await answering(Waits().run(), *replies) == [2, 3]


async def test_waits_side_by_side() -> None:
    class Waits(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            answers: dict[str, int] = {}

            async def ask(who: str) -> None:
                answers[who] = (await ctx.wait_for_event(Reply, requirements={"who": who})).n

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask, "ann")
                tasks.start_soon(ask, "bob")
            return StopEvent(result=answers)

    assert await answering(Waits().run(), Reply(n=1, who="bob"), Reply(n=2, who="ann")) == {"ann": 2, "bob": 1}


async def test_a_waiting_step_gives_its_worker_to_others() -> None:
    class Waits(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> None:
            for n in range(3):
                ctx.send_event(Job(n=n))

        @step(num_workers=1)
        async def work(self, ev: Job, ctx: Context) -> Found:
            return Found(n=(await ctx.wait_for_event(Reply, requirements={"n": ev.n})).n)

        @step
        async def gather(self, ev: Found, ctx: Context) -> StopEvent | None:
            found = ctx.collect_events(ev, [Found] * 3)
            return None if found is None else StopEvent(result=[one.n for one in found])

    handler = Waits(disable_validation=True).run()
    assert await answering(handler, Reply(n=2), Reply(n=0), Reply(n=1)) == [2, 0, 1]
    states = [event async for event in handler.stream_events(expose_internal=True)]
    workers = {event.worker_id for event in states if isinstance(event, StepStateChanged) and event.name == "work"}
    assert workers == {"0", "<enqueued>"}


@pytest.mark.virtual_time
async def test_a_wait_times_out(virtual_clock: None) -> None:
    class Waits(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            began = anyio.current_time()
            with pytest.raises(TimeoutError, match=r"^Timed out waiting for Reply$"):
                await ctx.wait_for_event(Reply, timeout=3)
            return StopEvent(result=anyio.current_time() - began)

    assert await Waits().run() == pytest.approx(3, abs=0.01)


@pytest.mark.virtual_time
async def test_a_deadline_of_the_steps_own(virtual_clock: None) -> None:
    class Waits(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            with anyio.move_on_after(1) as scope:
                await ctx.wait_for_event(Reply)
            reply = await ctx.wait_for_event(Reply)
            return StopEvent(result=(scope.cancelled_caught, reply.n))

    handler = Waits().run()
    await anyio.sleep(2)
    handler.ctx.send_event(Reply(n=5))
    assert await handler == (True, 5), "the answer goes to the wait that is still open"


@pytest.mark.virtual_time
async def test_a_deadline_of_the_loops_own(virtual_clock: None, anyio_backend_name: str) -> None:
    class Waits(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            try:
                if anyio_backend_name == "asyncio":
                    async with asyncio.timeout(1):
                        await ctx.wait_for_event(Reply)
                else:
                    import trio

                    with trio.fail_after(1):
                        await ctx.wait_for_event(Reply)
            except (TimeoutError, Exception) as error:
                return StopEvent(result=type(error).__name__)
            return StopEvent(result="answered")

    expected = {"asyncio": "TimeoutError", "trio": "TooSlowError"}
    assert await Waits().run() == expected[anyio_backend_name]


@pytest.mark.virtual_time
async def test_a_step_that_gave_up_a_wait_can_be_timed_and_cancelled(virtual_clock: None) -> None:
    """It runs again as any other step: it has a worker, and a stop finds it."""

    class Waits(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            with anyio.move_on_after(1):
                await ctx.wait_for_event(Reply)
            await anyio.sleep(60)
            return StopEvent()

    handler = Waits().run()
    await anyio.sleep(2)
    assert await handler.ctx.running_steps() == ["go"]
    await handler.cancel_run()
    assert handler.is_done()


@pytest.mark.virtual_time
async def test_two_tasks_of_a_step_may_share_a_wait_and_one_may_give_up(virtual_clock: None) -> None:
    class Waits(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            answers: list[int] = []

            async def ask(patience: float) -> None:
                with anyio.move_on_after(patience):
                    answers.append((await ctx.wait_for_event(Reply, waiter_id="boss")).n)

            async with anyio.create_task_group() as tasks:
                for patience in (1, 60, 60):
                    tasks.start_soon(ask, patience)
            return StopEvent(result=answers)

    handler = Waits().run()
    await anyio.sleep(2)
    handler.ctx.send_event(Reply(n=4))
    with anyio.fail_after(5):
        assert await handler == [4, 4]


async def test_waiting_for_one_of_two_answers() -> None:
    class Waits(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            winners: list[str] = []
            async with anyio.create_task_group() as tasks:

                async def ask(who: str) -> None:
                    await ctx.wait_for_event(Reply, requirements={"who": who})
                    winners.append(who)
                    tasks.cancel_scope.cancel()

                tasks.start_soon(ask, "ann")
                tasks.start_soon(ask, "bob")
            last = await ctx.wait_for_event(Reply)
            return StopEvent(result=[*winners, last.who])

    assert await answering(Waits().run(), Reply(who="bob"), Reply(who="ann")) == ["bob", "ann"]


async def test_a_wait_in_edit_state_is_refused() -> None:
    class Waits(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            async with ctx.store.edit_state() as state:
                state["n"] = 1
                with pytest.raises(WorkflowRuntimeError, match="can't be used inside edit_state"):
                    await ctx.wait_for_event(Reply)
            return StopEvent(result=await ctx.store.get("n"))

    with anyio.fail_after(5):
        assert await Waits().run() == 1


@pytest.mark.virtual_time
async def test_a_wait_that_was_answered_is_not_asked_again_by_a_retry(virtual_clock: None) -> None:
    class Waits(Workflow):
        @step(retry_policy=Again())
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            reply = await ctx.wait_for_event(Reply, waiter_event=Question(n=ctx.retry_info().retry_number))
            info = ctx.retry_info()
            if info.retry_number < 2:
                raise ValueError(f"attempt {info.retry_number}")
            assert info.last_failed_at is not None
            assert info.last_failed_at.tzinfo is not None
            return StopEvent(result=(reply.n, info.retry_number, str(info.last_exception), info.elapsed_seconds))

    handler = Waits().run()
    result = await answering(handler, Reply(n=8))
    assert result[:3] == (8, 2, "attempt 1")
    assert result[3] == pytest.approx(1.5, abs=0.01), "from the first attempt's start to the last failure"
    questions = [event async for event in handler.stream_events() if isinstance(event, Question)]
    assert [question.n for question in questions] == [0]


async def test_the_first_attempt_has_nothing_to_tell() -> None:
    class Asks(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            info = ctx.retry_info()
            return StopEvent(result=(info.retry_number, info.elapsed_seconds, info.last_exception, info.last_failed_at))

    assert await Asks().run() == (0, 0.0, None, None)


# Sending, collecting, publishing


async def test_a_step_sends_to_one_step() -> None:
    class Sends(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> None:
            with pytest.raises(WorkflowRuntimeError, match=r"^Step zzz does not exist$"):
                ctx.send_event(Job(), step="zzz")
            with pytest.raises(WorkflowRuntimeError, match=r"^Step one does not accept event of type <class"):
                ctx.send_event(StartEvent(), step="one")
            ctx.send_event(Job(n=1), step="two")

        @step
        async def one(self, ev: Job) -> StopEvent:
            return StopEvent(result="one")

        @step
        async def two(self, ev: Job) -> StopEvent:
            return StopEvent(result=f"two {ev.n}")

    with anyio.fail_after(5):
        assert await Sends(disable_validation=True).run() == "two 1"


async def test_retried_items_count_once_in_a_set() -> None:
    class Quick:
        def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
            return 0 if attempts < 3 else None

    class Collects(Workflow):
        failed = 0

        @step
        async def go(self, ev: StartEvent, ctx: Context) -> None:
            for n in range(4):
                ctx.send_event(Job(n=n))

        @step(retry_policy=Quick())
        async def gather(self, ev: Job, ctx: Context) -> StopEvent | None:
            found = ctx.collect_events(ev, [Job] * 4)
            if ctx.retry_info().retry_number < 2:
                raise ValueError("again")
            return None if found is None else StopEvent(result=sorted(one.n for one in found))

    with anyio.fail_after(5):
        assert await Collects(disable_validation=True).run() == [0, 1, 2, 3]


async def test_the_context_of_the_step_is_found_from_anywhere_in_it() -> None:
    class Asks(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            same = [Context.get_step_context() is ctx]

            async def child() -> None:
                same.append(Context.get_step_context() is ctx)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(child)
            same.append(await anyio.to_thread.run_sync(Context.get_step_context) is ctx)
            return StopEvent(result=same)

    assert await Asks().run() == [True, True, True]
    with pytest.raises(WorkflowRuntimeError, match="may only be called from within"):
        Context.get_step_context()


async def test_asking_within_a_step_whether_the_run_is_alive_is_deprecated() -> None:
    class Asks(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            with pytest.deprecated_call():
                return StopEvent(result=ctx.is_running)

    assert await Asks().run() is True


async def test_a_step_streams_no_events_of_its_own_run() -> None:
    class Reads(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            with pytest.raises(Exception, match="stream_events"):
                ctx.stream_events()
            return StopEvent()

    await Reads().run()


# From threads and tasks of a step


class FromThreads(Workflow):
    @step
    def go(self, ev: StartEvent, ctx: Context) -> None:
        assert Context.get_step_context() is ctx
        ctx.write_event_to_stream(Question(n=threading.get_ident()))
        with pytest.raises(WorkflowRuntimeError, match="Step zzz does not exist"):
            ctx.send_event(Job(), step="zzz")
        for n in range(3):
            ctx.send_event(Job(n=n))

    @step
    def work(self, ev: Job, ctx: Context) -> StopEvent | None:
        found = ctx.collect_events(ev, [Job] * 3)
        return None if found is None else StopEvent(result=sorted(one.n for one in found))


async def test_a_plain_function_may_send_publish_and_collect() -> None:
    handler = FromThreads(disable_validation=True).run()
    with anyio.fail_after(10):
        assert await handler == [0, 1, 2]
        seen = [event async for event in handler.stream_events() if isinstance(event, Question)]
    assert seen[0].n != threading.get_ident()


async def test_tasks_of_a_step_may_send_publish_collect_and_wait() -> None:
    class Spawns(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            found: list[Any] = []

            async def child(n: int) -> None:
                ctx.write_event_to_stream(Question(n=n))
                found.append(ctx.collect_events(Job(n=n), [Job, Job]))
                found.append((await ctx.wait_for_event(Reply, requirements={"n": n})).n)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(child, 1)
                tasks.start_soon(child, 2)
            sets = [one for one in found if isinstance(one, list)]
            return StopEvent(result=(len(sets), sorted(one for one in found if isinstance(one, int))))

    assert await answering(Spawns().run(), Reply(n=2), Reply(n=1)) == (1, [1, 2])

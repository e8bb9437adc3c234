"""Runs in process: beginning, ending, many at a time, on one loop and another."""

from __future__ import annotations

import asyncio
import gc
import logging
import string
import subprocess
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest
from pydantic import BaseModel

from workflow_server import Context, Workflow, step
from workflow_server.errors import (
    ContextStateError,
    WorkflowCancelledByUser,
    WorkflowRuntimeError,
    WorkflowTimeoutError,
)
from workflow_server.events import Event, HumanResponseEvent, StartEvent, StopEvent, WorkflowCancelledEvent
from workflow_server.runtime.handler import WorkflowHandler
from workflow_server.runtime.host import current_host


class Job(Event):
    n: int = 0


class Reply(HumanResponseEvent):
    n: int = 0


class Echo(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result=ev.get("n"))


class Waits(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        reply = await ctx.wait_for_event(Reply)
        return StopEvent(result=reply.n)


class Sleeps(Workflow):
    """Notes when runs begin and end."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seen: list[str] = []

    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        self.seen.append(f"begin {ev.get('n')}")
        await anyio.sleep(ev.get("seconds", 1))
        self.seen.append(f"end {ev.get('n')}")
        return StopEvent(result=ev.get("n"))


async def answered(handler: WorkflowHandler, n: int) -> Any:
    """Answer a run of `Waits` as soon as it waits, and return its result."""
    with anyio.fail_after(10):
        await anyio.wait_all_tasks_blocked()
        handler.ctx.send_event(Reply(n=n))
        return await handler


def run_on(backend: str, main: Callable[[], Awaitable[Any]]) -> Any:
    return anyio.run(main, backend=backend)


# Beginning and ending


async def test_a_run_returns_its_result_as_often_as_it_is_awaited() -> None:
    handler = Echo().run(n=3)
    with anyio.fail_after(5):
        assert await handler == 3
        assert await handler == 3


async def test_ids_are_ten_letters_and_digits_and_given_ones_are_kept() -> None:
    handler, named = Echo().run(), Echo().run(run_id="mine")
    assert len(handler.run_id) == 10
    assert set(handler.run_id) <= set(string.ascii_letters + string.digits)
    assert named.run_id == "mine"
    await handler
    await named


async def test_an_id_that_is_alive_is_taken_and_free_again_after_the_run() -> None:
    handler = Waits().run(run_id="one")
    with pytest.raises(RuntimeError, match="run_id 'one' already exists"):
        Echo().run(run_id="one")
    assert await answered(handler, 1) == 1
    assert await Echo().run(run_id="one", n=2) == 2


async def test_a_refused_id_leaves_the_context_free() -> None:
    workflow = Waits()
    first = workflow.run(run_id="one")
    ctx: Context[Any] = Context(workflow)
    with pytest.raises(RuntimeError, match="already exists"):
        workflow.run(ctx=ctx, run_id="one")
    assert not ctx.is_running
    await first.cancel_run()


def test_without_a_loop_there_is_no_run() -> None:
    with pytest.raises(WorkflowRuntimeError, match="needs a running event loop"):
        Echo().run()


async def test_start_arguments(caplog: pytest.LogCaptureFixture) -> None:
    class Typed(StartEvent):
        n: int

    class Takes(Workflow):
        @step
        async def go(self, ev: Typed) -> StopEvent:
            return StopEvent(result=ev.n)

    assert await Takes().run(start_event=Typed(n=2)) == 2
    assert await Takes().run(n=3) == 3
    with pytest.raises(WorkflowRuntimeError, match=r"type 'Typed' with the keyword arguments: \{'n': 'x'\}"):
        Takes().run(n="x")
    with pytest.raises(ValueError, match="must be an instance of 'StartEvent'"):
        Takes().run(start_event={"n": 1})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be an instance of 'Typed'"):
        Takes().run(start_event=StartEvent())
    with caplog.at_level(logging.WARNING):
        assert await Takes().run(start_event=Typed(n=4), m=5) == 4
    assert "These keyword arguments will be ignored: {'m': 5}" in caplog.text


@pytest.mark.virtual_time
async def test_the_time_limit(virtual_clock: None) -> None:
    handler = Sleeps(timeout=0.5).run(seconds=60)
    began = anyio.current_time()
    with pytest.raises(
        WorkflowTimeoutError, match=r"^Operation timed out after 0.5 seconds. Currently active steps: go$"
    ):
        await handler
    assert anyio.current_time() - began == pytest.approx(0.5)
    assert handler.get_stop_event() is None


@pytest.mark.virtual_time
async def test_the_time_limit_of_a_run_that_waits(virtual_clock: None) -> None:
    with pytest.raises(WorkflowTimeoutError, match=r"^Operation timed out after 0.5 seconds. No steps active$"):
        await Waits(timeout=0.5).run()


@pytest.mark.virtual_time
async def test_no_time_limit(virtual_clock: None) -> None:
    assert await Sleeps(timeout=None).run(n=1, seconds=1e6) == 1


async def test_cancelling_a_run() -> None:
    workflow = Sleeps()
    handler = workflow.run(seconds=60)
    await anyio.wait_all_tasks_blocked()
    with anyio.fail_after(5):
        await handler.cancel_run()
        with pytest.raises(WorkflowCancelledByUser):
            await handler
        await handler.cancel_run()
    assert isinstance(handler.get_stop_event(), WorkflowCancelledEvent)
    assert workflow.seen == ["begin None"]


@pytest.mark.virtual_time
async def test_cancelling_twice_at_once_waits_for_the_steps_and_no_longer(virtual_clock: None) -> None:
    class Unwinds(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            try:
                await anyio.sleep(60)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(1)
            return StopEvent()

    handler = Unwinds().run()
    await anyio.sleep(0.1)
    took: list[float] = []

    async def cancel() -> None:
        began = anyio.current_time()
        await handler.cancel_run()
        took.append(anyio.current_time() - began)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cancel)
        tasks.start_soon(cancel)
    assert took == pytest.approx([1, 1])


async def test_a_step_may_cancel_its_own_run() -> None:
    class Suicidal(Workflow):
        handler: Any = None

        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            await self.handler.cancel_run()
            return StopEvent(result="survived")

    workflow = Suicidal()
    workflow.handler = workflow.run()
    with anyio.fail_after(5), pytest.raises(WorkflowCancelledByUser):
        await workflow.handler


async def test_a_loop_of_trivial_steps_lets_others_run_and_can_be_cancelled() -> None:
    class Loops(Workflow):
        @step
        async def go(self, ev: StartEvent | Job) -> Job | StopEvent:
            return Job()

    handler = Loops(timeout=None).run()
    with anyio.fail_after(10):
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        await handler.cancel_run()
        with pytest.raises(WorkflowCancelledByUser):
            await handler


async def test_a_run_nobody_holds_goes_on() -> None:
    class Notes(Workflow):
        done = anyio.Event()

        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            await ctx.wait_for_event(Reply, timeout=None)
            self.done.set()
            return StopEvent()

    Notes.done = anyio.Event()
    ctx = Notes(timeout=None).run(run_id="unheld").ctx
    await anyio.wait_all_tasks_blocked()
    gc.collect()
    ctx.send_event(Reply())
    with anyio.fail_after(5):
        await Notes.done.wait()


# Several runs


@pytest.mark.virtual_time
async def test_runs_beyond_the_limit_wait_their_turn_in_order(virtual_clock: None) -> None:
    workflow = Sleeps(num_concurrent_runs=1, timeout=1.5)
    handlers = [workflow.run(n=n) for n in range(3)]
    assert [await handler for handler in handlers] == [0, 1, 2], "waiting does not use up the time limit"
    assert workflow.seen == ["begin 0", "end 0", "begin 1", "end 1", "begin 2", "end 2"]


@pytest.mark.virtual_time
async def test_as_many_runs_as_allowed_are_alive_together(virtual_clock: None) -> None:
    workflow = Sleeps(num_concurrent_runs=2)
    began = anyio.current_time()
    for handler in [workflow.run() for _ in range(5)]:
        await handler
    assert anyio.current_time() - began == pytest.approx(3)


@pytest.mark.virtual_time
async def test_a_waiting_run_can_be_cancelled(virtual_clock: None) -> None:
    workflow = Sleeps(num_concurrent_runs=1)
    first, second, third = (workflow.run(n=n) for n in range(3))
    await second.cancel_run()
    with pytest.raises(WorkflowCancelledByUser):
        await second
    assert await first == 0
    assert await third == 2
    assert "begin 1" not in workflow.seen


@pytest.mark.virtual_time
async def test_a_failed_or_cancelled_run_makes_room(virtual_clock: None) -> None:
    workflow = Sleeps(num_concurrent_runs=1, timeout=2)
    first, second, third = (workflow.run(n=n, seconds=3 - n) for n in range(3))
    with pytest.raises(WorkflowTimeoutError):
        await first
    await second.cancel_run()
    assert await third == 2


@pytest.mark.virtual_time
async def test_an_event_for_a_run_that_waits_its_turn_waits_too(virtual_clock: None) -> None:
    class Two(Sleeps):
        @step
        async def job(self, ev: Job) -> None:
            self.seen.append(f"job {ev.n}")

    workflow = Two(num_concurrent_runs=1, disable_validation=True)
    first, second = workflow.run(n=0), workflow.run(n=1)
    await anyio.sleep(0.5)
    second.ctx.send_event(Job(n=1))
    with pytest.raises(WorkflowRuntimeError, match="Step nowhere does not exist"):
        second.ctx.send_event(Job(), step="nowhere")
    await first
    await second
    assert workflow.seen[:3] == ["begin 0", "end 0", "begin 1"]
    assert sorted(workflow.seen[3:]) == ["end 1", "job 1"]


# Loops


def test_one_instance_serves_one_loop_after_another(anyio_backend_name: str) -> None:
    workflow = Echo()

    async def main() -> Any:
        return await workflow.run(n=1)

    assert run_on(anyio_backend_name, main) == 1
    assert run_on(anyio_backend_name, main) == 1


def test_one_instance_on_two_loops_at_once_is_refused(anyio_backend_name: str) -> None:
    workflow = Waits()
    refused: list[WorkflowRuntimeError] = []
    contexts: list[Context[Any]] = []

    async def elsewhere() -> None:
        ctx: Context[Any] = Context(workflow)
        contexts.append(ctx)
        try:
            workflow.run(ctx=ctx)
        except WorkflowRuntimeError as error:
            refused.append(error)

    async def main() -> Any:
        handler = workflow.run()
        await anyio.wait_all_tasks_blocked()
        thread = threading.Thread(target=run_on, args=(anyio_backend_name, elsewhere))
        thread.start()
        thread.join(10)
        return await answered(handler, 1)

    assert run_on(anyio_backend_name, main) == 1
    assert "alive on another event loop" in str(refused[0])
    assert not contexts[0].is_running, "a refused run leaves its context free"


def test_runs_that_went_with_their_loop_block_nobody(anyio_backend_name: str) -> None:
    """A run that was alive when its loop ended takes neither the instance nor a place among concurrent runs with it."""
    workflow = Waits(num_concurrent_runs=1)

    async def leave() -> None:
        workflow.run()
        workflow.run()
        await anyio.wait_all_tasks_blocked()

    async def answer() -> Any:
        return await answered(workflow.run(), 7)

    run_on(anyio_backend_name, leave)
    assert run_on(anyio_backend_name, answer) == 7


def test_loops_that_are_over_are_forgotten() -> None:
    class Loop(asyncio.SelectorEventLoop):
        pass

    async def main() -> None:
        await Echo().run()

    def run() -> weakref.ref[Loop]:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(main())
            return weakref.ref(cast(Loop, runner.get_loop()))

    first = run()
    run()
    gc.collect()
    assert first() is None


LEAVING = """
import asyncio, sys
import anyio
from workflow_server import Workflow, step, Context
from workflow_server.events import StartEvent, StopEvent, HumanResponseEvent

class At:
    def next(self, elapsed_time, attempts, error):
        print("asked", type(error).__name__)
        return 0

class Reply(HumanResponseEvent): pass

class Alive(Workflow):
    @step(retry_policy=At())
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        try:
            if ev.get("wait"):
                await ctx.wait_for_event(Reply)
            else:
                await anyio.sleep(60)
        finally:
            print("unwound")
        return StopEvent()

async def main():
    Alive().run(wait=True)
    Alive().run()
    await anyio.sleep(0.05)

anyio.run(main, backend=sys.argv[1])
print("left")
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_program_that_ends_with_runs_alive_ends_quietly(backend: str) -> None:
    """The end of the loop is no failure of a step: no retry policy is asked, and nothing is left pending."""
    command = [sys.executable, "-W", "error", "-c", LEAVING, backend]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["unwound", "unwound", "left"], done.stderr
    assert done.stderr == ""


# Memory


async def test_a_finished_workflow_is_garbage() -> None:
    async def use() -> weakref.ref[Echo]:
        workflow = Echo()
        await workflow.run(n=1)
        return weakref.ref(workflow)

    reference = await use()
    for _ in range(3):
        await anyio.lowlevel.checkpoint()
    gc.collect()
    assert reference() is None


BAGGAGE: ContextVar[Any] = ContextVar("baggage")


class Baggage:
    pass


def test_a_timer_left_behind_keeps_no_workflow() -> None:
    """A timer of asyncio's keeps the context variables of whoever set it."""

    class Leaves(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            asyncio.get_running_loop().call_later(3600, print)
            return StopEvent()

    async def use() -> weakref.ref[Leaves]:
        workflow = Leaves()
        await workflow.run()
        return weakref.ref(workflow)

    async def main() -> None:
        reference = await use()
        await asyncio.sleep(0)
        gc.collect()
        assert reference() is None

    asyncio.run(main())


async def test_tasks_that_outlive_a_run_keep_nobodys_variables() -> None:
    """The loop's alarms may be set for the first time by somebody with large context variables."""

    async def use() -> weakref.ref[Baggage]:
        baggage = Baggage()
        token = BAGGAGE.set(baggage)
        await Echo(timeout=3600).run()
        BAGGAGE.reset(token)
        return weakref.ref(baggage)

    reference = await use()
    assert current_host().alive == {}
    await anyio.lowlevel.checkpoint()
    gc.collect()
    assert reference() is None


# What it prints


async def test_verbose_runs_tell_what_they_do(capsys: pytest.CaptureFixture[str]) -> None:
    await Echo(verbose=True).run(n=1)
    assert capsys.readouterr().out.splitlines() == [
        "[go:0] started from StartEvent",
        "[go:0] complete with StopEvent",
        "[result] StopEvent(result=1)",
    ]


async def test_a_step_that_returns_nothing_completes_with_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    class Quiet(Workflow):
        @step
        async def first(self, ev: StartEvent, ctx: Context[Any]) -> Job | None:
            ctx.send_event(Job())
            return None

        @step
        async def second(self, ev: Job) -> StopEvent:
            return StopEvent()

    await Quiet(verbose=True).run()
    assert "[first:0] complete with no result\n" in capsys.readouterr().out


async def test_verbose_runs_tell_the_log_if_it_listens(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "workflows.verbose"):
        await Echo(verbose=True).run(n=1)
    assert caplog.records[0].getMessage() == "[go:0] started from StartEvent"
    assert capsys.readouterr().out == ""


# Contexts and their state


class Counts(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        n = await ctx.store.get("n", default=0)
        await ctx.store.set("n", n + 1)
        return StopEvent(result=n + 1)


async def test_a_context_carries_state_from_run_to_run() -> None:
    workflow = Counts()
    ctx: Context[Any] = Context(workflow)
    await ctx.store.set("n", 10)
    handler = workflow.run(ctx=ctx)
    assert handler.ctx is ctx
    assert await handler == 11
    assert await workflow.run(ctx=ctx) == 12
    assert await workflow.run(ctx=handler.ctx) == 13
    assert await workflow.run() == 1, "a run without it begins anew"


async def test_one_context_has_one_run_at_a_time() -> None:
    workflow = Waits()
    ctx: Context[Any] = Context(workflow)
    handler = workflow.run(ctx=ctx)
    assert ctx.is_running
    with pytest.raises(ContextStateError, match="Cannot start a new run while context is already running"):
        workflow.run(ctx=ctx)
    assert await answered(handler, 2) == 2
    assert not ctx.is_running
    assert ctx.get_result() == 2


async def test_typed_state() -> None:
    class State(BaseModel):
        n: int = 5

    class Typed(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context[State]) -> StopEvent:
            async with ctx.store.edit_state() as state:
                state.n += 1
            return StopEvent(result=(await ctx.store.get_state()).n)

    assert await Typed().run() == 6


async def test_a_state_type_without_defaults_is_refused_when_a_run_begins() -> None:
    class Strict(BaseModel):
        n: int

    class Typed(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context[Strict]) -> StopEvent:
            return StopEvent()

    workflow = Typed()
    with pytest.raises(ValueError, match="Strict needs a default for every field"):
        workflow.run()
    assert current_host().alive == {}


def test_arguments_that_this_version_does_not_have() -> None:
    from workflow_server.errors import WorkflowConfigurationError

    with pytest.raises(WorkflowConfigurationError, match="runtime= is not supported"):
        Echo(runtime=object())


async def test_what_a_workflow_tells_of_itself() -> None:
    workflow = Waits(timeout=3, workflow_name="patience")
    assert workflow.workflow_name == "patience"
    assert workflow.start_event_class is StartEvent
    assert workflow.stop_event_class is StopEvent
    assert set(workflow.events) >= {StartEvent, StopEvent}
    assert Echo().workflow_name.endswith("test_runs.Echo")
    assert workflow.validate() is False


async def test_a_free_step_added_later_is_run() -> None:
    class Open(Workflow):
        @step
        async def go(self, ev: StartEvent) -> Job:
            return Job(n=1)

        @step
        async def end(self, ev: Reply) -> StopEvent:
            return StopEvent()

    workflow = Open(disable_validation=True)

    @step(workflow=Open)
    async def more(ev: Job) -> StopEvent:
        return StopEvent(result=ev.n)

    assert await workflow.run() == 1

"""Steps that do what no step should: the run says so, the rest of the program is unharmed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from types import FrameType
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests_support.facts import until
from workflow_server import Context, Workflow, catch_error, step
from workflow_server.errors import WorkflowCancelledByUser, WorkflowRuntimeError, WorkflowTimeoutError
from workflow_server.events import (
    Event,
    HumanResponseEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
    WorkflowFailedEvent,
)
from workflow_server.runtime.handler import WorkflowHandler


class Job(Event):
    n: int = 0


class Reply(HumanResponseEvent):
    pass


class Again:
    """A retry policy: as often as given, after a delay."""

    def __init__(self, times: int, delay: float = 0) -> None:
        self.times, self.delay = times, delay
        self.asked: list[tuple[int, str]] = []

    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        self.asked.append((attempts, type(error).__name__))
        return self.delay if attempts < self.times else None


async def names(handler: WorkflowHandler) -> list[str]:
    with anyio.fail_after(10):
        return [type(event).__name__ async for event in handler.stream_events()]


async def fails_with(workflow: Workflow, error: type[BaseException], match: str | None) -> BaseException:
    with anyio.fail_after(10), pytest.raises(error, match=match) as caught:
        await workflow.run()
    return caught.value


# Raising


async def test_the_very_exception_is_raised_each_time() -> None:
    class Boom(ValueError):
        pass

    error = Boom("no")

    class Raises(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            raise error

    handler = Raises().run()
    assert await names(handler) == ["WorkflowFailedEvent"]
    for _ in range(2):
        with pytest.raises(Boom) as caught:
            await handler
        assert caught.value is error
    assert handler.get_stop_event() is None


async def test_the_failed_event_says_what_happened() -> None:
    class Raises(Workflow):
        @step(retry_policy=Again(3))
        def go(self, ev: StartEvent) -> StopEvent:
            raise ValueError("no")

    handler = Raises().run()
    with anyio.fail_after(5):
        (event,) = [event async for event in handler.stream_events()]
    assert isinstance(event, WorkflowFailedEvent)
    assert (event.step_name, event.attempts, str(event.exception)) == ("go", 3, "no")
    with pytest.raises(ValueError, match="no"):
        await handler


@pytest.mark.parametrize("value", ["text", 3, StopEvent, [StopEvent()]])
async def test_what_is_no_event_is_a_failure(value: Any) -> None:
    class Returns(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            return value  # type: ignore[no-any-return]

    kind = type(value).__name__
    await fails_with(Returns(), WorkflowRuntimeError, f"^Step function go returned {kind} instead of an Event instance")


async def test_a_wrong_return_may_be_retried() -> None:
    class Returns(Workflow):
        tries = 0

        @step(retry_policy=Again(3))
        async def go(self, ev: StartEvent) -> StopEvent:
            self.tries += 1
            return StopEvent(result=self.tries) if self.tries == 3 else "not yet"  # type: ignore[return-value]

    assert await Returns().run() == 3


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


@pytest.mark.parametrize("error", [Unspeakable(), OSError("\udcff.txt"), StopAsyncIteration("end")])
async def test_exceptions_that_cannot_be_told(error: Exception) -> None:
    class Raises(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            raise error

    handler = Raises(verbose=True).run()
    assert await names(handler) == ["WorkflowFailedEvent"]
    with pytest.raises(type(error)):
        await handler


@pytest.mark.parametrize("kind", [StopIteration, GeneratorExit, SystemExit])
@pytest.mark.parametrize("in_thread", [False, True])
async def test_exceptions_that_mean_something_to_coroutines_and_threads(
    kind: type[BaseException], in_thread: bool
) -> None:
    class Raises(Workflow):
        if in_thread:

            @step
            def go(self, ev: StartEvent) -> StopEvent:
                raise kind(3)
        else:

            @step
            async def go(self, ev: StartEvent) -> StopEvent:
                raise kind(3)

    caught = await fails_with(Raises(), (RuntimeError, WorkflowRuntimeError), None)  # type: ignore[arg-type]
    assert isinstance(caught.__cause__, kind)


async def test_exiting_the_program_is_a_failure_of_the_step() -> None:
    class Exits(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            sys.exit(4)

    await fails_with(Exits(), WorkflowRuntimeError, r"^Step go tried to exit the program: SystemExit\(4\)$")


async def test_exception_groups() -> None:
    class Raises(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            raise ExceptionGroup("several", [ValueError("a"), KeyError("b")])

    await fails_with(Raises(), ExceptionGroup, "several")


async def test_base_exception_groups_and_other_base_exceptions() -> None:
    class Odd(BaseException):
        pass

    class Raises(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            if ev.get("alone"):
                raise Odd("odd")
            raise BaseExceptionGroup("several", [Odd("a"), ValueError("b")])

    for alone, match in ((True, "Step go raised Odd: odd"), (False, "Step go raised BaseExceptionGroup: several")):
        with anyio.fail_after(5), pytest.raises(WorkflowRuntimeError, match=match):
            await Raises().run(alone=alone)


async def test_a_policy_that_fails_fails_the_run_with_its_own_error() -> None:
    class Broken:
        def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
            raise KeyError("policy")

    class Raises(Workflow):
        @step(retry_policy=Broken())
        async def go(self, ev: StartEvent) -> StopEvent:
            raise ValueError("step")

    caught = await fails_with(Raises(), KeyError, "policy")
    assert isinstance(caught.__cause__, ValueError)


async def test_a_failure_nobody_handles_while_others_wait() -> None:
    """Steps beside the failed one are stopped, also those that wait."""

    class Mixed(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> Job:
            ctx.send_event(Job(n=1))
            ctx.send_event(Job(n=2))
            return Job(n=3)

        @step
        async def work(self, ev: Job, ctx: Context) -> StopEvent:
            if ev.n == 1:
                await ctx.wait_for_event(Reply)
            elif ev.n == 2:
                await anyio.sleep(60)
            raise ValueError("no")

    await fails_with(Mixed(), ValueError, "no")


async def test_a_handler_recovers() -> None:
    class Recovers(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            raise ValueError("no")

        @catch_error
        async def rescue(self, ev: StepFailedEvent) -> StopEvent:
            return StopEvent(result=f"{ev.step_name}: {ev.exception}")

    handler = Recovers().run()
    assert await names(handler) == ["StopEvent"]
    assert await handler == "go: no"


# Cancellation nobody asked for


async def test_a_leaked_cancellation_of_a_task_of_its_own(anyio_backend_name: str) -> None:
    class Leaks(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            if anyio_backend_name == "asyncio":
                task = asyncio.ensure_future(asyncio.sleep(60))
                await asyncio.sleep(0)
                task.cancel()
                await task
            kept: BaseException | None = None
            with anyio.CancelScope() as scope:
                scope.cancel()
                try:
                    await anyio.sleep(60)
                except BaseException as error:
                    kept = error
                    raise
            assert kept is not None
            raise kept

    await fails_with(Leaks(), WorkflowRuntimeError, "^Step go was cancelled by something other than its run$")


async def test_a_group_with_a_leaked_cancellation(anyio_backend_name: str) -> None:
    class Leaks(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            kept: list[BaseException] = []
            with anyio.CancelScope() as scope:
                scope.cancel()
                try:
                    await anyio.sleep(60)
                except BaseException as error:
                    kept.append(error)
                    raise
            raise BaseExceptionGroup("mixed", [*kept, ValueError("real")])

    await fails_with(Leaks(), WorkflowRuntimeError, "^Step go was cancelled by something other than its run$")


@pytest.mark.parametrize("then", ["await", "return"])
def test_a_step_that_cancels_its_own_task(then: str) -> None:
    """It fails or returns, and what it left behind hits no step after it. On trio nobody can cancel a task."""

    class Cancels(Workflow):
        @step
        async def go(self, ev: StartEvent) -> Job:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            if then == "await":
                await asyncio.sleep(0)
            return Job()

        @step
        async def work(self, ev: Job) -> StopEvent:
            await asyncio.sleep(0.001)
            return StopEvent(result="unharmed")

        @catch_error
        async def rescue(self, ev: StepFailedEvent) -> Job:
            await asyncio.sleep(0.001)
            return Job()

    async def main() -> Any:
        with anyio.fail_after(5):
            return await Cancels().run()

    assert asyncio.run(main()) == "unharmed"


# Cancellation ignored


class Clings(Workflow):
    """Swallows every cancellation until it is let go."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.let_go = anyio.Event()
        self.rounds = 0
        self.left = anyio.Event()

    @step
    async def go(self, ev: StartEvent) -> Job:
        return Job()

    @step
    async def cling(self, ev: Job, ctx: Context) -> StopEvent:
        while not self.let_go.is_set():
            self.rounds += 1
            with contextlib.suppress(anyio.get_cancelled_exc_class()):
                await self.let_go.wait()
        ctx.write_event_to_stream(Job(n=99))
        self.left.set()
        return StopEvent(result="too late")

    @step
    async def end(self, ev: Reply) -> StopEvent:
        return StopEvent(result="ended")


async def rounds_while_others_run(workflow: Clings) -> int:
    before = workflow.rounds
    for _ in range(100):
        await anyio.lowlevel.checkpoint()
    return workflow.rounds - before


async def test_cancelling_does_not_wait_for_ever_and_the_step_is_left_in_peace() -> None:
    workflow = Clings(disable_validation=True)
    handler = workflow.run()
    await anyio.wait_all_tasks_blocked()
    with anyio.fail_after(10):
        await handler.cancel_run(timeout=0.05)
    try:
        with anyio.fail_after(5):
            # One last cancellation may be on its way already.
            while await rounds_while_others_run(workflow):
                pass
    finally:
        workflow.let_go.set()
    with anyio.fail_after(5):
        await workflow.left.wait()
        with pytest.raises(WorkflowCancelledByUser):
            await handler
    assert await names(handler) == ["WorkflowCancelledEvent"], "what it wrote since is not seen"


@pytest.mark.parametrize("ending", ["stop event", "time limit"])
async def test_however_the_run_ends_a_clinging_step_is_left_in_peace_at_last(
    ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflow_server.runtime.runner.UNWINDING_SECONDS", 0.05)

    async def is_quiet() -> bool:
        return await rounds_while_others_run(workflow) == 0

    workflow = Clings(disable_validation=True, timeout=0.2 if ending == "time limit" else 45)
    handler = workflow.run()
    await anyio.wait_all_tasks_blocked()
    with anyio.fail_after(10):
        if ending == "stop event":
            handler.ctx.send_event(Reply())
            assert await handler == "ended"
        else:
            with pytest.raises(WorkflowTimeoutError):
                await handler
        # It is asked to stop again and again until the grace time is over.
        await until(is_quiet)
    workflow.let_go.set()
    with anyio.fail_after(5):
        await workflow.left.wait()


async def test_the_end_of_a_run_is_the_end_of_what_readers_see() -> None:
    """What a stopped step publishes, sends or asks while it unwinds is not heard."""
    seen: list[Any] = []

    class Unwinds(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> Job:
            ctx.send_event(Job(n=1))
            return Job(n=2)

        @step
        async def work(self, ev: Job, ctx: Context) -> StopEvent:
            if ev.n == 2:
                await anyio.lowlevel.checkpoint()
                return StopEvent(result="done")
            try:
                await anyio.sleep(60)
            finally:
                ctx.write_event_to_stream(Job(n=3))
                ctx.send_event(Job(n=4))
                seen.append(ctx.collect_events(Job(), [Job]))
                with pytest.raises(WorkflowRuntimeError, match="whose execution is over"):
                    await ctx.wait_for_event(Reply)
                seen.append(ctx.retry_info().retry_number)
            return StopEvent(result="never")

    handler = Unwinds().run()
    assert await names(handler) == ["StopEvent"]
    assert await handler == "done"
    await anyio.wait_all_tasks_blocked()
    assert seen == [None, 0]


# Blocking


class Blocks(Workflow):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.said: list[str] = []

    @step
    def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        self.begun.set()
        self.let_go.wait(30)
        ctx.write_event_to_stream(Job())
        ctx.send_event(Job())
        self.said.append("done")
        return StopEvent(result="too late")


async def test_a_blocked_thread_does_not_hold_up_a_cancel() -> None:
    workflow = Blocks()
    handler = workflow.run()
    await until(workflow.begun.is_set)
    with anyio.fail_after(5):
        await handler.cancel_run(timeout=60)
    assert await names(handler) == ["WorkflowCancelledEvent"]
    workflow.let_go.set()
    await until(lambda: workflow.said)


PROGRAM = """
import sys, threading, time
import anyio
from workflow_server import Workflow, step
from workflow_server.events import StartEvent, StopEvent

class Blocks(Workflow):
    @step
    def go(self, ev: StartEvent) -> StopEvent:
        print("blocked", flush=True)
        threading.Event().wait()
        return StopEvent()

class Computes(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        print("computes", flush=True)
        while True:
            pass

async def blocks():
    Blocks().run()
    await anyio.sleep(0.3)

async def computes():
    await Computes().run()

anyio.run({"blocks": blocks, "computes": computes}[sys.argv[1]], backend=sys.argv[2])
print("left")
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_blocked_thread_does_not_keep_the_program(backend: str) -> None:
    command = [sys.executable, "-W", "error", "-c", PROGRAM, "blocks", backend]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.split() == ["blocked", "left"]
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to a single process")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ctrl_c_reaches_a_step_that_computes_for_ever(backend: str) -> None:
    """On asyncio the first Ctrl+C asks the main task to end, the second one means it; on trio the first is enough."""
    command = [sys.executable, "-c", PROGRAM, "computes", backend]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            assert process.stdout.readline() == "computes\n"
            done = threading.Event()

            def press() -> None:
                while not done.wait(0.3):
                    process.send_signal(signal.SIGINT)

            presser = threading.Thread(target=press)
            presser.start()
            try:
                process.wait(20)
            finally:
                done.set()
                presser.join()
            assert "KeyboardInterrupt" in process.stderr.read()
            assert process.stdout.read() == ""
        finally:
            process.kill()


# Ctrl+C


@pytest.fixture
def pressed() -> Iterator[list[int]]:
    """Take the place of whoever is told of Ctrl+C."""
    signals: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        signals.append(number)

    before = signal.signal(signal.SIGINT, note)
    yield signals
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("grouped", [False, True])
async def test_ctrl_c_in_a_step_is_handed_to_the_main_task(pressed: list[int], grouped: bool) -> None:
    class Interrupted(Workflow):
        @step(retry_policy=Again(5))
        async def go(self, ev: StartEvent) -> StopEvent:
            if grouped:
                raise BaseExceptionGroup("group", [KeyboardInterrupt(), ValueError()])
            raise KeyboardInterrupt

    handler = Interrupted().run()
    await anyio.wait_all_tasks_blocked()
    assert pressed == [signal.SIGINT]
    assert not handler.is_done(), "it is no input: the run neither fails nor goes on"
    await handler.cancel_run()


# What steps leave behind

VARIABLE: ContextVar[str] = ContextVar("variable", default="unset")


async def test_steps_that_share_a_worker_share_no_context_variables() -> None:
    class Sets(Workflow):
        seen: list[str]

        @step
        async def first(self, ev: StartEvent) -> Job:
            self.seen.append(VARIABLE.get())
            VARIABLE.set("first")
            await anyio.lowlevel.checkpoint()
            self.seen.append(VARIABLE.get())
            return Job()

        @step
        async def second(self, ev: Job) -> StopEvent:
            self.seen.append(VARIABLE.get())
            VARIABLE.set("second")
            return StopEvent()

    workflow = Sets()
    workflow.seen = []
    VARIABLE.set("caller")
    await workflow.run()
    assert workflow.seen == ["caller", "first", "caller"]
    assert VARIABLE.get() == "caller"


async def test_a_scope_of_a_step_does_not_reach_the_next_step() -> None:
    class Scoped(Workflow):
        @step
        async def first(self, ev: StartEvent) -> Job:
            with anyio.move_on_after(0):
                await anyio.sleep(60)
            return Job()

        @step
        async def second(self, ev: Job) -> StopEvent:
            await anyio.lowlevel.checkpoint()
            return StopEvent(result="fine")

    with anyio.fail_after(5):
        assert await Scoped().run() == "fine"


def test_a_background_task_of_a_step_that_has_ended_is_not_heard() -> None:
    """Its step is done: what it says later belongs to no execution. On trio there are no tasks without a nursery."""
    tasks: list[asyncio.Task[None]] = []

    class Leaves(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> Job:
            async def later() -> None:
                await asyncio.sleep(0)
                ctx.write_event_to_stream(Job(n=7))

            tasks.append(asyncio.ensure_future(later()))
            return Job()

        @step
        async def end(self, ev: Job) -> StopEvent:
            await tasks[0]
            return StopEvent()

    async def main() -> list[str]:
        return await names(Leaves().run())

    assert asyncio.run(main()) == ["StopEvent"]


async def test_an_unserialisable_event_is_fine_without_a_store() -> None:
    """Live objects pass as they are."""
    lock = threading.Lock()

    class Passes(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=lock)

    assert await Passes().run() is lock

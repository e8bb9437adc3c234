"""Threads for steps that are plain functions."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar, copy_context

import anyio
import pytest

from tests_support.facts import until
from workflow_server.runtime.loop import call_on_loop, current_port
from workflow_server.runtime.threads import StepThreads

VARIABLE: ContextVar[str] = ContextVar("variable", default="unset")


def step_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "workflow step"]


async def test_a_call_returns_what_the_function_returns() -> None:
    threads = StepThreads(current_port())
    with anyio.fail_after(5):
        assert await threads.call(lambda a, b: a + b, copy_context(), 1, 2) == 3


async def test_a_call_raises_what_the_function_raises() -> None:
    threads = StepThreads(current_port())
    with anyio.fail_after(5), pytest.raises(ZeroDivisionError):
        await threads.call(lambda: 1 / 0, copy_context())


async def test_the_function_has_the_given_context_variables_in_a_daemon() -> None:
    threads = StepThreads(current_port())
    variables = copy_context()
    variables.run(VARIABLE.set, "given")

    def look() -> tuple[str, bool]:
        return VARIABLE.get(), threading.current_thread().daemon

    with anyio.fail_after(5):
        assert await threads.call(look, variables) == ("given", True)


async def test_threads_are_used_again() -> None:
    threads = StepThreads(current_port())
    with anyio.fail_after(5):
        first = await threads.call(threading.get_ident, copy_context())
        await until(lambda: threads._idle)
        assert await threads.call(threading.get_ident, copy_context()) == first


async def test_idle_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflow_server.runtime.threads.IDLE_SECONDS", 0.01)
    threads = StepThreads(current_port())
    ident = await threads.call(threading.get_ident, copy_context())
    await until(lambda: ident not in {thread.ident for thread in step_threads()})


async def test_calls_beyond_the_limit_wait() -> None:
    threads = StepThreads(current_port(), limit=2)
    gate, running, most = threading.Event(), [0], [0]
    lock = threading.Lock()

    def work() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        gate.wait(10)
        with lock:
            running[0] -= 1

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(threads.call, work, copy_context())
            await until(lambda: running[0] == 2)
            gate.set()
    assert most == [2]


async def test_a_call_that_is_given_up_keeps_its_place_until_the_thread_is_done() -> None:
    threads = StepThreads(current_port(), limit=1)
    gate = threading.Event()
    with anyio.move_on_after(0.01) as scope:
        await threads.call(gate.wait, copy_context(), 10)
    assert scope.cancelled_caught
    done: list[int] = []

    async def call() -> None:
        done.append(await threads.call(lambda: 7, copy_context()))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await anyio.wait_all_tasks_blocked()
            assert done == []
            gate.set()
    assert done == [7]


def test_a_thread_that_outlives_its_loop_ends_quietly() -> None:
    gate, finished = threading.Event(), threading.Event()

    def work() -> None:
        gate.wait(10)
        finished.set()

    async def main() -> None:
        threads = StepThreads(current_port())
        with anyio.move_on_after(0.05):
            await threads.call(work, copy_context())

    asyncio.run(main())
    gate.set()
    assert finished.wait(5)


def test_a_call_to_a_loop_that_is_over_says_so() -> None:
    ports = []

    async def main() -> None:
        ports.append(current_port())

    asyncio.run(main())
    errors: list[RuntimeError] = []

    def call() -> None:
        try:
            call_on_loop(ports[0], lambda: 1)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(5)
    assert len(errors) == 1


async def test_calls_from_threads_return_and_raise() -> None:
    port = current_port()
    seen: list[object] = []

    def work() -> None:
        seen.append(call_on_loop(port, threading.get_ident))
        with pytest.raises(KeyError):
            call_on_loop(port, lambda: {}["no"])

    await StepThreads(port).call(work, copy_context())
    assert seen == [threading.get_ident()]
    assert call_on_loop(port, lambda: 3) == 3

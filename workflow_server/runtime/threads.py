"""Threads for steps that are plain functions.

They are daemons of our own: anyio's worker threads on asyncio keep a process from leaving while one of them is
blocked, and their limiter is shared with the host program. A thread that outlives its step (nothing can stop it)
is left alone; what it says afterwards is not heard.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Any

import anyio

from workflow_server.runtime.loop import LoopPort

IDLE_SECONDS = 10.0
"""How long an idle thread waits for more work before it ends."""


class StepThreads:
    """The threads of one loop for synchronous steps.

    Args:
        port: The loop that results return to.
        limit: How many steps may run in threads at the same time.
    """

    def __init__(self, port: LoopPort, limit: int = 40) -> None:
        self._port = port
        self._limiter = anyio.CapacityLimiter(limit)
        self._jobs: deque[Callable[[], None]] = deque()
        self._ready = threading.Condition()
        self._idle = 0

    async def call(self, function: Callable[..., Any], context: Context, *args: Any) -> Any:
        """Return what `function(*args)` returns, called in a thread with the context variables of `context`.

        Cancelling the call leaves the thread to itself, and its place in the limit taken until it ends.
        """
        done = anyio.Event()
        outcome: list[tuple[Any, BaseException | None]] = []
        borrower = object()
        await self._limiter.acquire_on_behalf_of(borrower)

        def finish() -> None:
            self._limiter.release_on_behalf_of(borrower)
            done.set()

        def job() -> None:
            try:
                outcome.append((context.run(function, *args), None))
            except BaseException as error:  # SystemExit too: it is the step's failure, not the thread's end
                outcome.append((None, error))
            with suppress(RuntimeError):  # the loop is gone, and with it whoever waited
                self._port.call_threadsafe(finish)

        self._submit(job)
        await done.wait()
        value, error = outcome[0]
        if isinstance(error, GeneratorExit):
            # Raised as it is, it would look as if somebody closed the coroutine that waits here.
            raise RuntimeError("The function raised GeneratorExit") from error
        if error is not None:
            raise error
        return value

    def _submit(self, job: Callable[[], None]) -> None:
        with self._ready:
            self._jobs.append(job)
            if self._idle >= len(self._jobs):
                self._ready.notify()
                return
        threading.Thread(target=self._work, name="workflow step", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._ready:
                self._idle += 1
                while not self._jobs:
                    if not self._ready.wait(IDLE_SECONDS) and not self._jobs:
                        self._idle -= 1
                        return
                self._idle -= 1
                job = self._jobs.popleft()
            job()

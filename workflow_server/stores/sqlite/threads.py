"""Threads that use a database, and the way from the loop to them and back.

They are daemons of our own: a disk that hangs must not keep the process from leaving, and the threads of the host
program stay the host's. What was handed over is done, whether or not anybody still waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar, cast

import anyio

from workflow_server.runtime.loop import LoopPort


class Desk(Protocol):
    """What a thread works with: its own connection, made when it is first needed."""

    def tidy(self, *, quiet: bool) -> None:
        """Do what can wait until nobody waits for it. It must not raise.

        Args:
            quiet: Whether there has been nothing to do for a moment; else a job has just been done.
        """
        ...

    def close(self) -> None:
        """Let go of the connection. It must not raise."""
        ...


D = TypeVar("D", bound=Desk)
T = TypeVar("T")

MOMENT_SECONDS = 0.05
"""Without work, a thread tidies up after so long…"""

QUIET_SECONDS = 60.0
"""…and again that often."""


class DatabaseThreads(Generic[D]):
    """Some threads that take jobs from one queue, in order.

    Args:
        port: The loop that results return to.
        desks: What they work with, one for each thread.
        name: Theirs, for debuggers.
    """

    def __init__(self, port: LoopPort, desks: list[D], name: str) -> None:
        self._port = port
        self._jobs: SimpleQueue[Callable[[D], object] | None] = SimpleQueue()
        self._working = len(desks)
        self.ended = anyio.Event()
        for desk in desks:
            threading.Thread(target=self._work, args=(desk,), name=name, daemon=True).start()

    async def call(self, job: Callable[[D], T]) -> T:
        """Return what `job` returns in one of the threads; cancelling the wait doesn't stop the job.

        Raises:
            Exception: Whatever `job` raises.
        """
        done = anyio.Event()
        outcome: list[tuple[T | None, BaseException | None]] = []

        def work(desk: D) -> None:
            try:
                outcome.append((job(desk), None))
            except BaseException as error:
                outcome.append((None, error))
            self._tell(done.set)

        self._jobs.put(work)
        await done.wait()
        value, error = outcome[0]
        if error is not None:
            raise error
        return cast(T, value)

    def end(self) -> None:
        """Have the threads end, which sets `ended`, after all that was handed over is done. Call it once."""
        for _ in range(self._working):
            self._jobs.put(None)

    def _tell(self, news: Callable[[], Any]) -> None:
        with suppress(RuntimeError):  # the loop is gone, and with it whoever waited
            self._port.call_threadsafe(news)

    def _work(self, desk: D) -> None:
        patience = MOMENT_SECONDS
        while True:
            try:
                job = self._jobs.get(timeout=patience)
            except Empty:
                desk.tidy(quiet=True)
                patience = QUIET_SECONDS
                continue
            if job is None:
                break
            job(desk)
            desk.tidy(quiet=False)
            patience = MOMENT_SECONDS
        desk.close()
        self._tell(self._left)

    def _left(self) -> None:
        self._working -= 1
        if not self._working:
            self.ended.set()

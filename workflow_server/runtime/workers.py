"""The workers of one run: tasks that execute its steps.

A worker whose step returns goes on with the next one that is ready, so that a chain of steps costs one task and not
many. In a stored run nothing is ready before what the step has returned is committed; a worker waits for that, too.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

import anyio
import anyio.lowlevel

from workflow_server.engine.effects import StartStep
from workflow_server.runtime.execution import Worker
from workflow_server.runtime.host import Host

STEPS_PER_TURN = 16
"""A worker lets others run after so many steps…"""
SECONDS_PER_TURN = 0.001
"""…or after so many seconds."""


class Employer(Protocol):
    """The run. It is given with each call, because it holds its workers: only a garbage collection would part them."""

    def more_may_follow(self) -> bool:
        """Tell whether something is being committed that steps may follow from."""
        ...

    async def execute(self, start: StartStep, worker: Worker) -> bool:
        """Execute a step; return whether the task is fit for another one."""
        ...


class Workers:
    """The workers of one run, and the steps that are ready for them.

    Args:
        host: The loop's shared means.
    """

    __slots__ = ("_host", "_news", "_ready", "coming")

    def __init__(self, host: Host) -> None:
        self._host = host
        self._ready: deque[StartStep] = deque()
        self.coming = 0
        """Workers that will look for a step that is ready: they begin, are between steps, or wait."""
        self._news: anyio.Event | None = None
        """Set by `wake`, if a worker waits for it."""

    def add(self, start: StartStep, employer: Employer) -> None:
        """Have a step executed."""
        self._ready.append(start)
        if len(self._ready) > self.coming:
            self._hire(employer)

    def clear(self) -> None:
        """Execute none of the steps that are ready."""
        self._ready.clear()
        self.wake()

    def wake(self) -> None:
        """Have workers that wait look for a step again: effects have been performed, or no more will be."""
        if self._news is not None:
            self._news.set()
            self._news = None

    def _hire(self, employer: Employer) -> None:
        self.coming += 1
        self._host.port.spawn(self._work, employer)

    async def _work(self, employer: Employer) -> None:
        self.coming -= 1
        worker, turn_began, steps = Worker(self._host.new_scope), self._host.port.now(), 0
        with worker.scope, worker.mercy:
            while self._ready and await employer.execute(self._ready.popleft(), worker):
                steps += 1
                if not self._ready and employer.more_may_follow():
                    await self._wait(employer)
                elif steps >= STEPS_PER_TURN or self._host.port.now() - turn_began > SECONDS_PER_TURN:
                    await anyio.lowlevel.checkpoint()
                else:
                    continue
                turn_began, steps = self._host.port.now(), 0
        if len(self._ready) > self.coming:
            # The last step left a cancellation behind in this task: it must not hit the next one.
            self._hire(employer)

    async def _wait(self, employer: Employer) -> None:
        while not self._ready and employer.more_may_follow():
            self._news = self._news or self._host.new_event()
            self.coming += 1
            try:
                await self._news.wait()
            finally:
                self.coming -= 1

"""One task that watches the deadlines of all connections of a server.

A deadline is an attribute; setting it costs nothing, while a cancel scope around every read and
write costs a fifth of all throughput (measured). The price is that a limit is met late,
by at most two intervals, and never early.

The sweeper's clock counts time in which the loop was awake: while something holds the loop
nobody can be served, and no client is to blame for that.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Protocol

import anyio

from workflow_server.http.limits import Limits

_INTERVAL = 0.5


class Watched(Protocol):
    """Something that must get on."""

    deadline: float
    """In the sweeper's time; `math.inf` for none."""

    def expire(self) -> None:
        """Called once the deadline has passed; must set another one, and must not raise."""
        ...


class Sweeper:
    """Expires what is late, and knows the date as HTTP writes it.

    Args:
        limits: The shortest of its times decides how often deadlines are looked at.
    """

    def __init__(self, limits: Limits) -> None:
        shortest = min(limits.head_seconds, limits.body_seconds, limits.keep_alive_seconds, limits.write_stall_seconds)
        self.interval = min(_INTERVAL, shortest / 4)
        """Seconds between two looks."""
        self.date = formatdate(usegmt=True)
        self._now = 0.0
        self._watched: set[Watched] = set()

    def add(self, watched: Watched) -> None:
        """Look after `watched` until it is discarded."""
        self._watched.add(watched)

    def discard(self, watched: Watched) -> None:
        """Look after it no longer. Harmless when repeated."""
        self._watched.discard(watched)

    def after(self, seconds: float) -> float:
        """Return the deadline that lies `seconds` ahead."""
        return self._now + self.interval + seconds

    def tick(self, elapsed: float) -> None:
        """Let `elapsed` seconds pass and expire what is late now."""
        self._now += min(elapsed, 2 * self.interval)
        now = self._now
        for late in [watched for watched in self._watched if watched.deadline <= now]:
            late.expire()

    async def run(self) -> None:
        """Sweep until cancelled."""
        before = anyio.current_time()
        while True:
            await anyio.sleep(self.interval)
            now = anyio.current_time()
            self.date = formatdate(time.time(), usegmt=True)
            self.tick(now - before)
            before = now

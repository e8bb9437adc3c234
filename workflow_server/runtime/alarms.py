"""Alarms on the loop's clock: one sleeping task for all of them.

A run sets an alarm for its time limit and one for its next due part. Nearly all are cancelled before they ring,
so cancelling costs nothing but the rare sweep of the heap.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

import anyio

from workflow_server.runtime.loop import LoopPort


class Alarm:
    """One alarm; `cancel` it when it is no longer wanted."""

    __slots__ = ("_alarms", "ring")

    def __init__(self, alarms: Alarms, ring: Callable[[], None]) -> None:
        self._alarms = alarms
        self.ring: Callable[[], None] | None = ring

    def cancel(self) -> None:
        """Never ring, and let go of what would have been called."""
        if self.ring is not None:
            self.ring = None
            self._alarms.count_cancelled()


class Alarms:
    """All alarms of one loop.

    Args:
        port: The loop.
    """

    def __init__(self, port: LoopPort) -> None:
        self._port = port
        self._heap: list[tuple[float, int, Alarm]] = []
        self._order = count()
        self._cancelled = 0
        self._earlier: anyio.Event | None = None
        """Set when an alarm is due before the one the task sleeps for; `None` while no task sleeps."""

    def set(self, at: float, ring: Callable[[], None]) -> Alarm:
        """Have `ring` called at loop time `at` (seconds), or at once if that is past. `ring` must not raise."""
        alarm = Alarm(self, ring)
        first = self._heap[0][0] if self._heap else None
        heapq.heappush(self._heap, (at, next(self._order), alarm))
        if self._earlier is None:
            self._earlier = anyio.Event()
            self._port.spawn(self._keep)
        elif first is None or at < first:
            self._earlier.set()
        return alarm

    def count_cancelled(self) -> None:
        """Note that an alarm was cancelled; once they are most of the heap, it is swept."""
        self._cancelled += 1
        if self._cancelled > 64 and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].ring is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    async def _keep(self) -> None:
        try:
            while self._heap:
                self._earlier = anyio.Event()
                with anyio.move_on_after(max(0.0, self._heap[0][0] - self._port.now())):
                    await self._earlier.wait()
                while self._heap and self._heap[0][0] <= self._port.now():
                    alarm = heapq.heappop(self._heap)[2]
                    ring, alarm.ring = alarm.ring, None
                    if ring is None:
                        self._cancelled = max(0, self._cancelled - 1)
                    else:
                        ring()
        finally:
            self._earlier = None

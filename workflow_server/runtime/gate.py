"""How many runs of one workflow may be in memory at the same time; the others wait their turn, in order of their start.

A run that comes back from the store takes its place in the queue by when it started, not by when it came back.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


class Gate:
    """Lets runs begin.

    Args:
        limit: How many may be alive at the same time; `None` for no limit.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._alive = 0
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def enter(self, begin: Callable[[], None], since: float = 0.0) -> bool:
        """Call `begin` now if there is room, else when there is.

        Args:
            begin: Called once.
            since: When the run started (seconds); whoever started earlier comes first.

        Returns:
            Whether it was called.
        """
        if self.limit is not None and self._alive >= self.limit:
            heapq.heappush(self._waiting, (since, next(self._order), begin))
            return False
        self._alive += 1
        begin()
        return True

    def give_up(self, begin: Callable[[], None]) -> None:
        """Take somebody who still waits out of the queue."""
        left = [waiting for waiting in self._waiting if waiting[2] is not begin]
        if len(left) < len(self._waiting):
            self._waiting = left
            heapq.heapify(left)

    def leave(self) -> None:
        """Make room: a run that entered is over."""
        self._alive -= 1
        if self._waiting and (self.limit is None or self._alive < self.limit):
            self._alive += 1
            heapq.heappop(self._waiting)[2]()

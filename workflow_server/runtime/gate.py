"""How many runs of one workflow may be alive at the same time; the others wait their turn, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class Gate:
    """Lets runs begin.

    Args:
        limit: How many may be alive at the same time; `None` for no limit.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._alive = 0
        self._waiting: deque[Callable[[], None]] = deque()

    def enter(self, begin: Callable[[], None]) -> bool:
        """Call `begin` now if there is room, else when there is; return whether it was called."""
        if self.limit is not None and self._alive >= self.limit:
            self._waiting.append(begin)
            return False
        self._alive += 1
        begin()
        return True

    def give_up(self, begin: Callable[[], None]) -> None:
        """Take somebody who still waits out of the queue."""
        if begin in self._waiting:
            self._waiting.remove(begin)

    def leave(self) -> None:
        """Make room: a run that entered is over."""
        self._alive -= 1
        if self._waiting and (self.limit is None or self._alive < self.limit):
            self._alive += 1
            self._waiting.popleft()()

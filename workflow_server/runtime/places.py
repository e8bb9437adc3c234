"""Places: how many runs may be somewhere at once, and who comes next.

A server has places in memory, by handler, and a workflow instance those of the runs that it lets go on at once, by
run. A run that finds no place is `queued`. A place that becomes free goes to the smallest turn: in memory to those
first that were on their way when the server stopped, in the order in which they came, and then, as everywhere, to
whoever began earliest; a run that left memory while it waited, and is wanted again, thus comes before those that
never had a place.
"""

from __future__ import annotations

import heapq
from itertools import count

Turn = tuple[float, ...]
"""Where somebody stands in the queue: smaller is earlier."""


class Places:
    """Who has a place, and who waits for one.

    Args:
        limit: How many there are; `None` for any number.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._taken: set[str] = set()
        self._waiting: dict[str, Turn] = {}
        self._heap: list[tuple[Turn, int, str]] = []
        self._order = count()
        self.until: Turn | None = None
        """Who stands here or later waits, though there be room: somebody earlier may still come. `None` for nobody."""

    def take(self, name: str, turn: Turn) -> bool:
        """Give somebody a place, or have them wait for their turn; return whether they have one."""
        if name in self._taken:
            return True
        if self._waiting or not self._has_room_for(turn):
            self.wait(name, turn)
            return False
        self._taken.add(name)
        return True

    def wait(self, name: str, turn: Turn) -> None:
        """Have somebody wait for their turn, unless they have a place or wait already."""
        if name not in self._taken and name not in self._waiting:
            self._waiting[name] = turn
            heapq.heappush(self._heap, (turn, next(self._order), name))

    def leave(self, name: str) -> None:
        """Take somebody's place, or their turn."""
        self._taken.discard(name)
        self._waiting.pop(name, None)

    def next(self) -> str | None:
        """Give the place that is free, if any, to whoever comes next, and return who that is."""
        while self._heap and self._has_room_for(self._heap[0][0]):
            turn, _, name = heapq.heappop(self._heap)
            if self._waiting.get(name) == turn:
                del self._waiting[name]
                self._taken.add(name)
                return name
        return None

    def _has_room_for(self, turn: Turn) -> bool:
        if self._limit is None:
            return True
        return len(self._taken) < self._limit and (self.until is None or turn < self.until)

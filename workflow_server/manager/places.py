"""Places in memory: how many runs may be there at once, and who comes next.

A run that finds no place is `queued`. Places go to those first that were on their way when the server stopped, in the
order in which they came, and then to whoever began earliest; a run that left memory while it waited, and is wanted
again, thus comes before those that never had a place.
"""

from __future__ import annotations

import heapq
from itertools import count

Turn = tuple[float, ...]
"""Where somebody stands in the queue: smaller is earlier."""


class Places:
    """Who is in memory, and who waits to be, by handler.

    Args:
        limit: How many may be in memory; `None` for any number.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._taken: set[str] = set()
        self._waiting: dict[str, Turn] = {}
        self._heap: list[tuple[Turn, int, str]] = []
        self._order = count()

    def take(self, handler_id: str, turn: Turn) -> bool:
        """Give a handler a place, or have it wait for its turn; return whether it has one."""
        if handler_id in self._taken:
            return True
        if self._waiting or not self._has_room:
            self.wait(handler_id, turn)
            return False
        self._taken.add(handler_id)
        return True

    def wait(self, handler_id: str, turn: Turn) -> None:
        """Have a handler wait for its turn, unless it has a place or waits already."""
        if handler_id not in self._taken and handler_id not in self._waiting:
            self._waiting[handler_id] = turn
            heapq.heappush(self._heap, (turn, next(self._order), handler_id))

    def leave(self, handler_id: str) -> None:
        """Take a handler's place from it, or its turn."""
        self._taken.discard(handler_id)
        self._waiting.pop(handler_id, None)

    def next(self) -> str | None:
        """Give the place that is free, if any, to whoever comes next, and return who that is."""
        while self._heap and self._has_room:
            turn, _, handler_id = heapq.heappop(self._heap)
            if self._waiting.get(handler_id) == turn:
                del self._waiting[handler_id]
                self._taken.add(handler_id)
                return handler_id
        return None

    @property
    def _has_room(self) -> bool:
        return self._limit is None or len(self._taken) < self._limit

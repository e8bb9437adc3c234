"""How long finished handlers are kept.

The oldest go in small portions between commits, soon after there are too many: a twentieth more than asked for may
be there for a moment. Those that became too old go within a minute.
"""

from __future__ import annotations

import sqlite3
import time

PORTION = 50
"""Handlers that go at once."""

AGE_SECONDS = 60.0
"""Between looks at how old they are."""

_OLDEST = (
    "SELECT handler_id FROM runs INDEXED BY runs_finished WHERE current = 1 AND status <> 'running' "
    "AND completed_at < ? ORDER BY completed_at LIMIT ?"
)
_BEYOND = (
    "SELECT handler_id FROM runs INDEXED BY runs_finished WHERE current = 1 AND status <> 'running' "
    "ORDER BY completed_at DESC LIMIT ? OFFSET ?"
)


class Retention:
    """Which finished handlers are kept.

    Args:
        max_completed: How many; `None` for all.
        max_age: For how many seconds; `None` for ever.
    """

    def __init__(self, max_completed: int | None, max_age: float | None) -> None:
        self._max_completed = max_completed
        self._max_age = max_age
        self._ended = 1 + (max_completed or 0)
        """Runs that ended since the last look; enough for one at the start."""
        self._next_age = 0.0

    def count(self, ended: int) -> None:
        """Note that runs ended."""
        self._ended += ended

    def surplus(self, connection: sqlite3.Connection) -> list[str]:
        """Return the ids of some handlers to remove; empty if there are none, or it is no time to look."""
        found: list[str] = []
        if self._max_completed is not None and self._ended > self._max_completed // 20:
            rows = connection.execute(_BEYOND, (PORTION, self._max_completed))
            found = [row[0] for row in rows]
            if len(found) < PORTION:
                self._ended = 0
        if not found and self._max_age is not None and time.monotonic() >= self._next_age:
            rows = connection.execute(_OLDEST, (time.time() - self._max_age, PORTION))
            found = [row[0] for row in rows]
            if len(found) < PORTION:
                self._next_age = time.monotonic() + AGE_SECONDS
        return found

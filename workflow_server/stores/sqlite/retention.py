"""How long finished handlers are kept, and earlier runs of handlers that were continued.

Of either kind the oldest go in small portions between commits, soon after there are too many: a twentieth more than
asked for may be there for a moment. Those that became too old go within a minute.
"""

from __future__ import annotations

import sqlite3
import time
from typing import NamedTuple

PORTION = 50
"""Handlers, and earlier runs, that go at once."""

AGE_SECONDS = 60.0
"""Between looks at how old they are."""

_HANDLERS = "SELECT handler_id FROM runs INDEXED BY runs_finished WHERE current = 1 AND status <> 'running'"
_EARLIER = "SELECT run_id FROM runs INDEXED BY runs_earlier_finished WHERE current = 0"
_OLDEST = "AND completed_at < ? ORDER BY completed_at LIMIT ?"
_BEYOND = "ORDER BY completed_at DESC LIMIT ? OFFSET ?"


class Surplus(NamedTuple):
    """What is to go."""

    handlers: list[str]
    """Ids of finished handlers."""
    earlier: list[str]
    """Ids of runs whose handlers have later ones."""


class Retention:
    """Which finished handlers and earlier runs are kept.

    Args:
        max_completed: How many of either; `None` for all.
        max_age: For how many seconds after they finished; `None` for ever.
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

    def surplus(self, connection: sqlite3.Connection) -> Surplus:
        """Return some of what is to be removed; empty if there is nothing, or it is no time to look."""
        found = Surplus([], [])
        if self._max_completed is not None and self._ended > self._max_completed // 20:
            found = _look(connection, _BEYOND, (PORTION, self._max_completed))
            if not _is_portion(found):
                self._ended = 0
        if not any(found) and self._max_age is not None and time.monotonic() >= self._next_age:
            found = _look(connection, _OLDEST, (time.time() - self._max_age, PORTION))
            if not _is_portion(found):
                self._next_age = time.monotonic() + AGE_SECONDS
        return found


def _look(connection: sqlite3.Connection, which: str, values: tuple[float, ...]) -> Surplus:
    handlers, earlier = (connection.execute(f"{of} {which}", values).fetchall() for of in (_HANDLERS, _EARLIER))
    return Surplus([row[0] for row in handlers], [row[0] for row in earlier])


def _is_portion(found: Surplus) -> bool:
    """Whether there may be more of the kind."""
    return max(len(found.handlers), len(found.earlier)) == PORTION

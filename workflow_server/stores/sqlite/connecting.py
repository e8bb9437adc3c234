"""Connections to a database file: the writer's, and those of readers."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Literal

BUSY_SECONDS = 5.0
"""How long a statement waits for another program's lock before the caller hears of it (and may try again)."""


def connect(path: Path, mode: Literal["rwc", "rw", "ro"]) -> sqlite3.Connection:
    """Return a connection in autocommit mode.

    Args:
        path: The file.
        mode: `ro` to read, `rw` to write too, `rwc` to make the file if it isn't there. Only a start makes it: a file
            that vanished later must not be taken for one without runs.
    """
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)

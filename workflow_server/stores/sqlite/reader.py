"""A desk for reading: a read-only connection, made when it is first needed and held for the next call.

No transaction stays open between calls, so that readers never keep the write-ahead log from beginning anew for long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from workflow_server.stores.sqlite.connecting import connect
from workflow_server.stores.sqlite.failures import spoils_connection, told_as_store_errors

T = TypeVar("T")


class Reader:
    """One thread's way to read a database.

    Args:
        path: The file; it is there by the time of the first call.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `query` returns, given a connection."""
        with told_as_store_errors(self._path):
            try:
                if self._connection is None:
                    self._connection = connect(self._path, "ro")
                return query(self._connection)
            except sqlite3.Error as error:
                if spoils_connection(error):
                    self.close()
                raise

    def tidy(self, *, quiet: bool) -> None:
        """Do nothing: what a reader leaves behind is SQLite's cache of pages, which is small."""

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

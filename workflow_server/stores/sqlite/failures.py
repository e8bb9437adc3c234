"""What SQLite's errors mean for a store: gone for now, or broken."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from workflow_server.errors import StoreError, StoreUnavailable

_FOR_NOW = {
    sqlite3.SQLITE_BUSY: "another program holds its lock",
    sqlite3.SQLITE_LOCKED: "another program holds its lock",
    sqlite3.SQLITE_PROTOCOL: "another program holds its lock",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "reading or writing failed",
    sqlite3.SQLITE_READONLY: "it may not be written",
    sqlite3.SQLITE_PERM: "it may not be opened",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened",
    sqlite3.SQLITE_NOMEM: "memory ran out",
    sqlite3.SQLITE_INTERRUPT: "the call was interrupted",
}
"""Primary result codes (https://www.sqlite.org/rescode.html) that may not come back, and what they mean."""


def code_of(error: sqlite3.Error) -> int:
    """Return the primary result code of an error, 0 if it doesn't come from SQLite itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether an error says that somebody else holds the lock."""
    return code_of(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


@contextmanager
def told_as_store_errors(path: Path) -> Generator[None]:
    """Turn errors of SQLite that happen inside into those of the contract.

    Args:
        path: The database, for the sentence.
    """
    try:
        yield
    except sqlite3.Error as error:
        reason = _FOR_NOW.get(code_of(error))
        if reason is not None:
            raise StoreUnavailable(f"The database {path} can't be used for now: {reason} ({error})") from error
        raise StoreError(f"The database {path} failed: {error}") from error


def spoils_connection(error: sqlite3.Error) -> bool:
    """Tell whether a new connection has better chances than the one that raised `error`."""
    return code_of(error) in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM}

"""The one who writes: owns the lock of the file and the only connection that changes it.

Everything here runs in the writer's thread. A group of batches is one statement (see `writing`); if one batch of it
violates a constraint, which no batch of ours should, the group is written again batch by batch, still in one
transaction, and that one alone is refused.

The write-ahead log is bounded: SQLite copies it into the database every thousand pages and begins anew, if no reader
is looking at that moment. When that failed long enough for the log to grow beyond a limit, the writer waits a moment
for readers to finish. One that another program keeps open for hours can't be helped; when it ends, the log shrinks.

Nor is the log short for long. A commit that makes its file longer has to wait for the file system's own log, too, and
takes half as long again. So the writer gives it those thousand pages in the first quiet moment, by a transaction that
it takes back.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TypeVar

from workflow_server.errors import StoreError
from workflow_server.stores.base import Verdict
from workflow_server.stores.sqlite import reading, schema
from workflow_server.stores.sqlite.connecting import BUSY_SECONDS, connect
from workflow_server.stores.sqlite.failures import is_busy, spoils_connection, told_as_store_errors
from workflow_server.stores.sqlite.lock import DatabaseLock
from workflow_server.stores.sqlite.retention import Retention
from workflow_server.stores.sqlite.writing import INBOX, INSERT, EncodedBatch, Encoder

log = logging.getLogger("workflow_server")

Synchronous = Literal["FULL", "NORMAL"]

START_SECONDS = 30.0
"""How long a start waits for another program's lock; nobody tries it again."""

LOG_START = 1040 * 4120
"""Bytes that the write-ahead log soon has: SQLite's thousand pages of 4 KiB, each with its header, and some more."""

_PAGES_AT_ONCE = 10

LOG_LIMIT = 64 << 20
"""Bytes of the write-ahead log beyond which the writer waits for readers."""

LOG_PATIENCE = 0.1
"""Seconds that it waits for them, three times at most…"""

LOG_PAUSE = 5.0
"""…and seconds before it does so again."""

TEXT_LIMIT = 64 << 20
"""Characters that one statement takes at most, unless a single batch has more."""

LOOK_EVERY = 64
"""Groups between looks at the log's size."""

T = TypeVar("T")

_Unstorable = (sqlite3.IntegrityError, sqlite3.DataError, OverflowError)
"""What is wrong with a batch, not with the database."""


class Writer:
    """The writer of one database.

    Args:
        path: The file.
        synchronous: Whether a commit reaches the disk (FULL), or only the operating system (NORMAL).
        migrate: Whether a file of an older version may be changed.
        retention: Which finished handlers are kept.
    """

    def __init__(self, path: Path, synchronous: Synchronous, *, migrate: bool, retention: Retention) -> None:
        self.path = path
        self.log_limit = LOG_LIMIT
        self._synchronous = synchronous
        self._migrate = migrate
        self._retention = retention
        self._lock = DatabaseLock(path)
        self._connection: sqlite3.Connection | None = None
        self._refusals: dict[int, Verdict] = {}
        self._groups = 0
        self._next_wait = 0.0

    # Opening and closing

    def open(self) -> Encoder:
        """Take the lock, bring the file to the present schema, and return the encoder for its batches.

        Raises:
            ServerUsageError: Another server has the file.
            StoreError: The file can't be used; the sentence says why.
        """
        if sqlite3.sqlite_version_info < schema.OLDEST_SQLITE:
            needed = ".".join(map(str, schema.OLDEST_SQLITE))
            raise StoreError(
                f"SqliteWorkflowStore needs SQLite {needed} or newer; this Python has {sqlite3.sqlite_version}"
            )
        if not self.path.parent.is_dir():
            raise StoreError(f"The database {self.path} can't be made: its folder doesn't exist")
        try:
            self._lock.acquire()
        except OSError as error:
            raise StoreError(f"The lock file {self._lock.path} can't be made: {error.strerror}") from error
        try:
            with told_as_store_errors(self.path):
                return self._patiently(self._first_look)
        except BaseException:
            self.close()
            raise

    def _first_look(self) -> Encoder:
        connection = self._connected("rwc")
        connection.execute(schema.BEGIN_ANEW)
        return Encoder(reading.kinds(connection), reading.shapes(connection), reading.last_key(connection))

    def _patiently(self, act: Callable[[], T]) -> T:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() > end:
                    raise
            # Not every wait for a lock is SQLite's: switching to a write-ahead log fails at once.
            time.sleep(0.05)

    def _connected(self, mode: Literal["rw", "rwc"] = "rw") -> sqlite3.Connection:
        if self._connection is None:
            connection = connect(self.path, mode)
            try:
                schema.prepare(connection, self.path, migrate=self._migrate)
                connection.execute(f"PRAGMA synchronous = {self._synchronous}")
                connection.execute(f"PRAGMA journal_size_limit = {self.log_limit}")
                connection.create_function("refuse", 2, self._refuse)
                connection.executescript(INBOX)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def close(self) -> None:
        """Let go of the file."""
        self._disconnect()
        self._lock.release()

    # Writing

    @contextmanager
    def _use(self) -> Generator[sqlite3.Connection]:
        with told_as_store_errors(self.path):
            try:
                yield self._connected()
            except sqlite3.Error as error:
                if spoils_connection(error):
                    self._disconnect()
                raise

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        with self._use() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.rollback()

    def commit(self, group: Sequence[EncodedBatch]) -> list[Verdict]:
        """Write a group; see the contract."""
        self._refusals = {}
        if sum(len(batch.text) for batch in group) > TEXT_LIMIT or not self._write_at_once(group):
            self._write_one_by_one(group)
        verdicts = [self._refusals.get(place, Verdict.DONE) for place in range(len(group))]
        self._retention.count(sum(batch.ends for batch in group))
        self._groups += 1
        return verdicts

    def _refuse(self, place: int, verdict: str) -> int:
        self._refusals[place] = Verdict(verdict)
        return 1

    def _write_at_once(self, group: Sequence[EncodedBatch]) -> bool:
        text = f"[{','.join(batch.text for batch in group)}]"
        with self._use() as connection:
            try:
                connection.execute(INSERT, (text,))
            except _Unstorable:
                return False
        return True

    def _write_one_by_one(self, group: Sequence[EncodedBatch]) -> None:
        self._refusals = {}
        with self._transaction() as connection:
            for place, batch in enumerate(group):
                try:
                    connection.execute(INSERT, (f"[{batch.text}]",))
                except _Unstorable:
                    # A statement that fails takes back what it did, and nothing else.
                    log.exception("A batch of run %s can't be stored", batch.run_id)
                    self._refusals[place] = Verdict.STALE

    def delete(self, handler_ids: Sequence[str]) -> bool:
        """Remove handlers with all that hangs on them; return whether any was there."""
        ids = json.dumps(list(handler_ids))
        whose = "handler_id IN (SELECT value FROM json_each(?))"
        with self._transaction() as connection:
            connection.execute(f"DELETE FROM runs WHERE current = 0 AND {whose}", (ids,))  # noqa: S608
            return connection.execute(f"DELETE FROM runs WHERE current = 1 AND {whose}", (ids,)).rowcount > 0  # noqa: S608

    def _delete_earlier(self, run_ids: Sequence[str]) -> None:
        with self._transaction() as connection:
            connection.execute(
                "DELETE FROM runs WHERE current = 0 AND run_id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(run_ids)),),
            )

    # Keeping house

    def tidy(self, *, quiet: bool) -> None:
        """Shorten the log if it is long, lengthen it if it is short, and remove what is no longer kept."""
        if self._connection is None:
            return
        try:
            if self._groups >= LOOK_EVERY:
                self._groups = 0
                self._bound_log(self._connection)
            surplus = self._retention.surplus(self._connection)
            if surplus.handlers:
                self.delete(surplus.handlers)
            if surplus.earlier:
                self._delete_earlier(surplus.earlier)
            if quiet and self._synchronous == "FULL":
                self._lengthen_log(self._connection)
        except (OSError, sqlite3.Error, StoreError):
            log.debug("The database %s could not be tidied", self.path, exc_info=True)

    def _lengthen_log(self, connection: sqlite3.Connection) -> None:
        """Give the log the length that it will have anyhow; see the module."""
        log_file = self._log_file()
        missing = min(LOG_START, self.log_limit) - log_file.stat().st_size
        if missing <= 0:
            return
        cached = connection.execute("PRAGMA cache_size").fetchone()[0]
        connection.execute(f"PRAGMA cache_size = {_PAGES_AT_ONCE}")  # what is beyond goes to the log before any commit
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("CREATE TABLE padding (bytes)")
            connection.execute("INSERT INTO padding VALUES (zeroblob(?))", (missing + 2 * _PAGES_AT_ONCE * 4096,))
        finally:
            connection.rollback()
            connection.execute(f"PRAGMA cache_size = {cached}")
        with log_file.open("r+b") as file:
            os.fsync(file.fileno())

    def _log_file(self) -> Path:
        return Path(f"{self.path.resolve()}-wal")

    def _bound_log(self, connection: sqlite3.Connection) -> None:
        size = self._log_file().stat().st_size
        if size <= self.log_limit or time.monotonic() < self._next_wait:
            return
        connection.execute(f"PRAGMA busy_timeout = {round(LOG_PATIENCE * 1000)}")
        try:
            # Again if it failed: SQLite waits for a reader's slot even after fresher readers have taken that over.
            busy = all(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] for _ in range(3))
        finally:
            connection.execute(f"PRAGMA busy_timeout = {round(BUSY_SECONDS * 1000)}")
        if busy:
            self._next_wait = time.monotonic() + LOG_PAUSE
            log.warning(
                "The write-ahead log of %s has grown to %d MB, because somebody reads the database all the time",
                self.path,
                size >> 20,
            )

"""`SqliteWorkflowStore`: the contract, kept by one writer thread and a few readers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar

from workflow_server.errors import StoreError
from workflow_server.runtime.loop import current_port
from workflow_server.stores.base import (
    AbstractWorkflowStore,
    Batch,
    HandlerQuery,
    KeptKey,
    StoredRun,
    UnfinishedRun,
    Verdict,
)
from workflow_server.stores.sqlite import listing, reading
from workflow_server.stores.sqlite.reader import Reader
from workflow_server.stores.sqlite.reading import Kinds
from workflow_server.stores.sqlite.recent import Recent
from workflow_server.stores.sqlite.retention import Retention
from workflow_server.stores.sqlite.threads import DatabaseThreads
from workflow_server.stores.sqlite.writer import Synchronous, Writer
from workflow_server.stores.sqlite.writing import Encoder
from workflow_server.valueclass import dataclass
from workflow_server.wire.records import EventRecord, HandlerRecord

T = TypeVar("T")

READERS = 3
"""Threads that read."""


@dataclass(frozen=True, slots=True)
class _Open:
    """What is there between start and close."""

    encoder: Encoder
    writers: DatabaseThreads[Writer]
    readers: DatabaseThreads[Reader]
    recent: Recent


class SqliteWorkflowStore(AbstractWorkflowStore):
    """Keeps runs in a file, from which they go on after a restart.

    The file is an SQLite database that the program `sqlite3` can look into while the server runs; its view `log` shows
    all events. Beside it lie `-wal` and `-shm`, which belong to it, and `.lock`, which keeps a second server away.

    Args:
        db_path: The file. It is made if it isn't there; its folder must be.
        poll_interval: Means nothing here, nothing is polled; programs written for llama-agents-server may give it.
        auto_migrate: Whether a file of an older version may be brought to the present one.
        single_connection: Means nothing here; likewise.
        synchronous: `FULL`: what was acknowledged survives a power cut. `NORMAL` is several times faster and survives
            a killed process, but a power cut may take the last commits.
        max_completed: How many finished handlers are kept, and how many earlier runs of handlers that were continued;
            beyond it the oldest vanish with all that hangs on them. `None` keeps all.
        max_age: For how many seconds a handler, or an earlier run of one, is kept after it finished. `None` keeps it
            for ever.

    Raises:
        ValueError: An argument can't be meant; the sentence says why.
    """

    def __init__(
        self,
        db_path: str | os.PathLike[str],
        poll_interval: float = 1.0,  # noqa: ARG002
        auto_migrate: bool = True,
        single_connection: bool = False,  # noqa: ARG002
        *,
        synchronous: Synchronous = "FULL",
        max_completed: int | None = None,
        max_age: float | None = None,
    ) -> None:
        if os.fspath(db_path) in {"", ":memory:"} or os.fspath(db_path).startswith("file:"):
            raise ValueError(
                f"db_path must name a file, not {os.fspath(db_path)!r}; for runs that need not outlive the process "
                "there is MemoryWorkflowStore"
            )
        if synchronous not in {"FULL", "NORMAL"}:
            raise ValueError(f"synchronous must be 'FULL' or 'NORMAL', not {synchronous!r}")
        if max_completed is not None and max_completed < 0:
            raise ValueError(f"max_completed must be at least 0 or None, not {max_completed}")
        if max_age is not None and not max_age >= 0:
            raise ValueError(f"max_age must be at least 0 seconds or None, not {max_age}")
        # Wherever the program goes afterwards.
        self.path = Path(db_path).absolute()
        self._writer = Writer(self.path, synchronous, migrate=auto_migrate, retention=Retention(max_completed, max_age))
        self._open: _Open | None = None

    async def start(self) -> None:
        """Take the file: lock it, make or migrate it.

        Raises:
            ServerUsageError: Another server has it; the sentence names its process.
            StoreError: It can't be used: its folder is missing, it is another program's, of a newer version…
        """
        port = current_port()
        writers = DatabaseThreads(port, [self._writer], "workflow store: writer")
        try:
            encoder = await writers.call(Writer.open)
        except BaseException:
            # The last job closes the file again, also if nobody waits any more.
            writers.end()
            raise
        readers = DatabaseThreads(port, [Reader(self.path) for _ in range(READERS)], "workflow store: reader")
        self._open = _Open(encoder, writers, readers, Recent())

    async def close(self) -> None:
        """Write what was handed over, and let go of the file. Cancelling the wait doesn't stop that."""
        open, self._open = self._open, None
        if open is not None:
            open.readers.end()
            open.writers.end()
            await open.readers.ended.wait()
            await open.writers.ended.wait()

    def _opened(self) -> _Open:
        if self._open is None:
            raise StoreError(f"The database {self.path} is not open")
        return self._open

    async def _read(self, query: Callable[[Connection, Kinds], T]) -> T:
        open = self._opened()
        kinds = open.encoder.kinds.by_number
        return await open.readers.call(lambda reader: reader.read(lambda db: query(db, kinds)))

    async def commit(self, group: Sequence[Batch]) -> list[Verdict]:
        """Write a group in one transaction; see the contract. Cancelling the wait doesn't stop it."""
        open = self._opened()
        encoded = [open.encoder.encode(place, batch) for place, batch in enumerate(group)]
        try:
            verdicts = await open.writers.call(lambda writer: writer.commit(encoded))
        except BaseException:
            # Whether it was written is not known here any more.
            for batch in group:
                open.recent.forget(batch.handler.run_id)
            raise
        for batch, written, verdict in zip(group, encoded, verdicts, strict=True):
            if verdict is Verdict.DONE:
                open.encoder.written(written)
                open.recent.note(batch)
        return verdicts

    async def delete(self, handler_id: str) -> bool:
        """Remove a handler; see the contract."""
        open = self._opened()
        open.recent.forget_handler(handler_id)
        try:
            return await open.writers.call(lambda writer: writer.delete([handler_id]))
        finally:
            # A commit may have come before it.
            open.recent.forget_handler(handler_id)

    async def handler(self, handler_id: str) -> HandlerRecord | None:
        """Return the handler with its current run, or `None`."""
        return await self._read(lambda db, kinds: reading.handler(db, kinds, handler_id))

    async def run(self, run_id: str) -> HandlerRecord | None:
        """Return the record of one run, or `None`."""
        known = self._opened().recent.record(run_id)
        return known or await self._read(lambda db, kinds: reading.run(db, kinds, run_id))

    async def handlers(
        self, query: HandlerQuery, after: str | None, limit: int, *, newest_first: bool = False
    ) -> tuple[list[HandlerRecord], str | None]:
        """Return a page of matching handlers; see the contract."""
        return await self._read(
            lambda db, kinds: listing.handlers(db, kinds, query, after, limit, newest_first=newest_first)
        )

    async def events(self, run_id: str, after: int, limit: int) -> list[EventRecord]:
        """Return a page of events; see the contract."""
        page = self._opened().recent.events(run_id, after, limit)
        if page is not None:
            return page
        return await self._read(lambda db, kinds: reading.events(db, kinds, run_id, after, limit))

    async def next_sequence(self, run_id: str) -> int:
        """Return the sequence number that the next event of a run will have."""
        return await self._read(lambda db, _: reading.next_sequence(db, run_id))

    async def state(self, run_id: str) -> Mapping[str, str]:
        """Return `ctx.store` of a run as JSON text by key."""
        return await self._read(lambda db, _: reading.state(db, run_id))

    async def load(self, run_id: str) -> StoredRun | None:
        """Return what is needed to go on with a run, or `None`."""
        return await self._read(lambda db, kinds: reading.load(db, kinds, run_id))

    async def unfinished(
        self, after: str | None, limit: int, *, asleep: bool, due_by: float | None = None
    ) -> tuple[list[UnfinishedRun], str | None]:
        """Return a page of runs that are not over; see the contract."""
        return await self._read(lambda db, _: reading.unfinished(db, after, limit, asleep=asleep, due_by=due_by))

    async def next_due(self, after: float) -> float | None:
        """Return when the next timer of a sleeping run is due; see the contract."""
        return await self._read(lambda db, _: reading.next_due(db, after))

    async def start_event(self, run_id: str) -> EventRecord | None:
        """Return the start event of a run, or `None`."""
        return await self._read(lambda db, kinds: reading.start_event(db, kinds, run_id))

    async def events_of_item(self, run_id: str, item: int, since: int) -> list[EventRecord]:
        """Return the events that one work item published, from sequence `since` on."""
        return await self._read(lambda db, kinds: reading.events_of_item(db, kinds, run_id, item, since))

    async def key(self, scope: str, text: str) -> KeptKey | None:
        """Return an idempotency key, or `None`."""
        return await self._read(lambda db, _: reading.key(db, scope, text))

"""What is asked of a database: plain functions from a connection to records, each of them one page at most."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from workflow_server.stores.base import KeptKey, StoredRun, UnfinishedRun
from workflow_server.stores.sqlite.writing import Kind
from workflow_server.wire.records import EventRecord, HandlerRecord

Kinds = Mapping[int, Kind]

_EVENT = "e.seq, e.at, e.kind, e.body, e.item"

RECORD = (
    "r.handler_id, r.workflow, r.run_id, r.status, r.phase, r.started_at, r.updated_at, r.completed_at, r.error, "
    f"{_EVENT}, r.place"
)
RESULT = "LEFT JOIN events e ON e.run = r.key AND e.seq = r.result"

_KEY = "(SELECT key FROM runs WHERE run_id = ?)"

ASLEEP = "phase IN ('waiting', 'idle')"
AWAKE = "status = 'running' AND phase NOT IN ('waiting', 'idle')"


def kinds(connection: sqlite3.Connection) -> dict[int, Kind]:
    """Return the names of all event classes by number."""
    rows = connection.execute("SELECT key, type, qualified_name, types FROM kinds")
    return {key: (type, name, tuple(json.loads(types))) for key, type, name, types in rows}


def shapes(connection: sqlite3.Connection) -> dict[int, str]:
    """Return all routings by number."""
    return dict(connection.execute("SELECT key, body FROM shapes"))


def last_key(connection: sqlite3.Connection) -> int:
    """Return the greatest key of a run."""
    return int(connection.execute("SELECT coalesce(max(key), 0) FROM runs").fetchone()[0])


def handler(connection: sqlite3.Connection, kinds: Kinds, handler_id: str) -> HandlerRecord | None:
    """Return a handler with its current run."""
    return _one(connection, kinds, "r.handler_id = ? AND r.current = 1", handler_id)


def run(connection: sqlite3.Connection, kinds: Kinds, run_id: str) -> HandlerRecord | None:
    """Return the record of one run."""
    return _one(connection, kinds, "r.run_id = ?", run_id)


def _one(connection: sqlite3.Connection, kinds: Kinds, where: str, id: str) -> HandlerRecord | None:
    query = f"SELECT {RECORD} FROM runs r {RESULT} WHERE {where}"  # noqa: S608  # made of constants
    row = connection.execute(query, (id,)).fetchone()
    return None if row is None else record_of(row, kinds)


def record_of(row: tuple[Any, ...], kinds: Kinds) -> HandlerRecord:
    """Return the handler that a row of `RECORD` stands for."""
    handler_id, workflow, run_id, status, phase, started_at, updated_at, completed_at, error, *event, _place = row
    result = None if event[0] is None else _event(event, kinds)
    return HandlerRecord(
        handler_id, workflow, run_id, status, phase, started_at, updated_at, completed_at, error, result
    )


def _event(row: Sequence[Any], kinds: Kinds) -> EventRecord:
    sequence, at, kind, body, item = row
    type, qualified_name, types = kinds[kind]
    return EventRecord(sequence, at, type, qualified_name, types, body, item)


def events(connection: sqlite3.Connection, kinds: Kinds, run_id: str, after: int, limit: int) -> list[EventRecord]:
    """Return a page of events."""
    rows = connection.execute(
        f"SELECT {_EVENT} FROM events e WHERE e.run = {_KEY} AND e.seq > ? ORDER BY e.seq LIMIT ?",  # noqa: S608
        (run_id, max(after, -1), limit),
    ).fetchall()
    return [_event(row, kinds) for row in rows]


def events_of_item(
    connection: sqlite3.Connection, kinds: Kinds, run_id: str, item: int, since: int
) -> list[EventRecord]:
    """Return what one work item published."""
    rows = connection.execute(
        f"SELECT {_EVENT} FROM events e WHERE e.run = {_KEY} AND e.seq >= ? AND e.item = ? ORDER BY e.seq",  # noqa: S608
        (run_id, max(since, 0), item),
    ).fetchall()
    return [_event(row, kinds) for row in rows]


def start_event(connection: sqlite3.Connection, kinds: Kinds, run_id: str) -> EventRecord | None:
    """Return the start event of a run."""
    query = f"SELECT {_EVENT} FROM events e WHERE e.run = {_KEY} AND e.seq = -1"  # noqa: S608
    row = connection.execute(query, (run_id,)).fetchone()
    return None if row is None else _event(row, kinds)


def next_sequence(connection: sqlite3.Connection, run_id: str) -> int:
    """Return the sequence number that the next event of a run will have."""
    row = connection.execute("SELECT next_sequence FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    return 0 if row is None else int(row[0])


def state(connection: sqlite3.Connection, run_id: str) -> dict[str, str]:
    """Return `ctx.store` of a run."""
    return dict(connection.execute(f"SELECT key, body FROM state WHERE run = {_KEY}", (run_id,)))  # noqa: S608


def load(connection: sqlite3.Connection, kinds: Kinds, run_id: str) -> StoredRun | None:
    """Return what is needed to go on with a run, all of it from one moment."""
    connection.execute("BEGIN")
    try:
        record = run(connection, kinds, run_id)
        if record is None:
            return None
        start = start_event(connection, kinds, run_id)
        version, next_sequence, head, alive, shape = connection.execute(
            "SELECT version, next_sequence, head, alive, body FROM runs LEFT JOIN shapes ON shapes.key = shape "
            "WHERE run_id = ?",
            (run_id,),
        ).fetchone()
        query = f"SELECT key, body FROM parts WHERE run = {_KEY}"  # noqa: S608
        parts: dict[str, str] = dict(connection.execute(query, (run_id,)))
        kept = state(connection, run_id)
    finally:
        connection.rollback()
    return StoredRun(record, version, next_sequence, head, parts, kept, alive, start, shape)


def unfinished(
    connection: sqlite3.Connection, after: str | None, limit: int, *, asleep: bool, due_by: float | None
) -> tuple[list[UnfinishedRun], str | None]:
    """Return a page of runs that are not over, and the cursor for the next."""
    columns = "run_id, handler_id, workflow, phase, due, key"
    if due_by is None:
        index, phases = ("runs_asleep", ASLEEP) if asleep else ("runs_awake", AWAKE)
        rows = connection.execute(
            f"SELECT {columns} FROM runs INDEXED BY {index} WHERE {phases} AND key > ? ORDER BY key LIMIT ?",  # noqa: S608
            (-1 if after is None else int(after), limit + 1),
        ).fetchall()
    else:
        due, key = (-math.inf, -1) if after is None else _due_cursor(after)
        # Those awake have no index by time: they are in memory, or on their way there.
        phases = f"{ASLEEP} AND due IS NOT NULL" if asleep else AWAKE
        index = "runs_due" if asleep else "runs_awake"
        rows = connection.execute(
            f"SELECT {columns} FROM runs INDEXED BY {index} WHERE {phases} AND due <= ? AND (due, key) > (?, ?) "  # noqa: S608
            "ORDER BY due, key LIMIT ?",
            (due_by, due, key, limit + 1),
        ).fetchall()
    page = [UnfinishedRun(*row[:5]) for row in rows[:limit]]
    if len(rows) <= limit:
        return page, None
    *_, due, key = rows[limit - 1]
    return page, str(key) if due_by is None else f"{due!r} {key}"


def _due_cursor(text: str) -> tuple[float, int]:
    due, _, key = text.partition(" ")
    return float(due), int(key)


def key(connection: sqlite3.Connection, scope: str, text: str) -> KeptKey | None:
    """Return an idempotency key."""
    row = connection.execute(
        "SELECT payload, run_id FROM keys JOIN runs ON runs.key = run WHERE scope = ? AND keys.key = ?", (scope, text)
    ).fetchone()
    return None if row is None else KeptKey(*row)


def next_due(connection: sqlite3.Connection, after: float) -> float | None:
    """Return the earliest time after `after` at which a run that sleeps has a timer due."""
    row = connection.execute(
        f"SELECT due FROM runs INDEXED BY runs_due WHERE {ASLEEP} AND due IS NOT NULL AND due > ? "  # noqa: S608
        "ORDER BY due LIMIT 1",
        (after,),
    ).fetchone()
    return None if row is None else float(row[0])

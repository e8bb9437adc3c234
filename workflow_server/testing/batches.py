"""Batches to put into a store under test."""

from __future__ import annotations

from typing import Any

from workflow_server.stores.base import AbstractWorkflowStore, Batch, FirstBatch, HandlerQuery, UnfinishedRun, Verdict
from workflow_server.wire.records import EventRecord, HandlerRecord

SHAPE = '{"steps": ["one"]}'


def record(handler: str = "h", run: str = "r", **fields: Any) -> HandlerRecord:
    """Return a handler's record; what isn't given is that of a run that has just begun."""
    defaults: dict[str, Any] = {
        "handler_id": handler,
        "workflow_name": "w",
        "run_id": run,
        "status": "running",
        "phase": "running",
        "started_at": 1000.0,
        "updated_at": 1000.0,
    }
    return HandlerRecord(**{**defaults, **fields})


def event(sequence: int, type: str = "Job", item: int | None = None) -> EventRecord:
    """Return a published event, or with sequence -1 a start event."""
    return EventRecord(sequence, 1000.0 + sequence, type, f"m.{type}", ("Base",), f'{{"n": {sequence}}}', item)


def first(handler: str = "h", run: str = "r", *, shape: str = SHAPE, **fields: Any) -> Batch:
    """Return the first batch of a run, with two events and some state; `fields` are those of its record."""
    return Batch(
        record(handler, run, **fields),
        1,
        2,
        (event(0), event(1)),
        state={"a": "1", "b": "2"},
        first=FirstBatch(event(-1, "Start"), shape),
    )


def next_of(
    batch: Batch,
    *events: EventRecord,
    state: dict[str, str | None] | None = None,
    parts: dict[str, str | None] | None = None,
    due: float | None = None,
    write_id: str = "",
    **fields: Any,
) -> Batch:
    """Return the batch after `batch`; `fields` are those of its record."""
    return Batch(
        record(batch.handler.handler_id, batch.handler.run_id, **fields),
        batch.version + 1,
        batch.next_sequence + len(events),
        events,
        state=state or {},
        parts=parts or {},
        due=due,
        write_id=write_id,
    )


def finished(batch: Batch, at: float = 1001.0) -> Batch:
    """Return the batch after `batch` as the one that ends its run."""
    return next_of(batch, status="completed", phase="done", updated_at=at, completed_at=at)


async def put(store: AbstractWorkflowStore, *batches: Batch) -> None:
    """Commit `batches` one after another."""
    for batch in batches:
        assert await store.commit([batch]) == [Verdict.DONE]


async def ids(store: AbstractWorkflowStore, **filters: Any) -> list[str]:
    """Return the ids of all handlers that match."""
    found, _ = await store.handlers(HandlerQuery(**filters), None, 100)
    return [one.handler_id for one in found]


async def listed(
    store: AbstractWorkflowStore,
    query: HandlerQuery | None = None,
    *,
    limit: int = 2,
    newest_first: bool = False,
) -> list[str]:
    """Return the ids of all handlers that match, read in small pages."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page, cursor = await store.handlers(query or HandlerQuery(), cursor, limit, newest_first=newest_first)
        assert len(page) <= limit
        found += [one.handler_id for one in page]
        if cursor is None:
            return found


async def all_unfinished(
    store: AbstractWorkflowStore, *, asleep: bool, due_by: float | None = None, page: int = 2
) -> list[UnfinishedRun]:
    """Return all runs that `unfinished` finds, read in small pages."""
    found: list[UnfinishedRun] = []
    cursor: str | None = None
    while True:
        runs, cursor = await store.unfinished(cursor, page, asleep=asleep, due_by=due_by)
        assert len(runs) <= page
        found += runs
        if cursor is None:
            return found

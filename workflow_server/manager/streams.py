"""Opening a stream of a run's events."""

from __future__ import annotations

from workflow_server.api.commands import StreamEvents
from workflow_server.api.outcomes import EventsExist, EventsOpened, NothingLeft
from workflow_server.runtime.feed import EventFeed, News
from workflow_server.stores.base import AbstractWorkflowStore
from workflow_server.wire.records import HandlerRecord


async def open_stream(
    command: StreamEvents, store: AbstractWorkflowStore, news: News, heartbeat: float | None
) -> EventsOpened | EventsExist | NothingLeft | None:
    """Return the stream that `command` asks for, or `None` if there is no such run.

    Args:
        command: What is asked.
        store: Where the events are.
        news: Wakes the stream.
        heartbeat: Seconds of silence between heartbeats, `None` for none.
    """
    record = await _run_of(command, store)
    if record is None:
        return None
    after = command.after
    if after == "now":
        after = await store.next_sequence(record.run_id) - 1
    if record.status != "running" and not await store.events(record.run_id, after, 1):
        return NothingLeft()
    if command.head_only:
        return EventsExist(command.sse)
    return EventsOpened(
        source=EventFeed(store, news, record.run_id, after),
        sse=command.sse,
        include_internal=command.include_internal,
        include_qualified_name=command.include_qualified_name,
        include_timestamp=command.include_timestamp,
        include_attempts=command.include_attempts,
        heartbeat=heartbeat,
    )


async def _run_of(command: StreamEvents, store: AbstractWorkflowStore) -> HandlerRecord | None:
    """Return the run whose events are asked for: the handler's current one, or an earlier one by id."""
    if command.run_id is None:
        return await store.handler(command.handler_id)
    run = await store.run(command.run_id)
    return run if run is not None and run.handler_id == command.handler_id else None

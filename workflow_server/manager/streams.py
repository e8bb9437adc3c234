"""Opening a stream of the events of a run, or of several."""

from __future__ import annotations

from workflow_server.api.commands import StreamEvents, StreamSeveral
from workflow_server.api.outcomes import EventsExist, EventsOpened, NothingLeft, Refused
from workflow_server.manager.refusals import NO_HANDLER, invalid
from workflow_server.runtime.feed import EventFeed, News
from workflow_server.runtime.several import Bookmark, SeveralFeed, read_bookmark
from workflow_server.stores.base import AbstractWorkflowStore, HandlerQuery
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
        now=after if command.after == "now" else None,
    )


async def _run_of(command: StreamEvents, store: AbstractWorkflowStore) -> HandlerRecord | None:
    """Return the run whose events are asked for: the handler's current one, or an earlier one by id."""
    if command.run_id is None:
        return await store.handler(command.handler_id)
    run = await store.run(command.run_id)
    return run if run is not None and run.handler_id == command.handler_id else None


async def open_several(
    command: StreamSeveral, store: AbstractWorkflowStore, news: News, heartbeat: float | None, now: float
) -> EventsOpened | EventsExist | NothingLeft | Refused:
    """Return the stream over several runs that `command` asks for.

    Args:
        command: What is asked.
        store: Where the events are.
        news: Wakes the stream.
        heartbeat: Seconds of silence between heartbeats, `None` for none.
        now: The time, in seconds since the epoch.
    """
    try:
        bookmark = None if command.cursor is None else read_bookmark(command.cursor)
    except ValueError as error:
        return invalid(f"Invalid cursor: {error}")
    if bookmark is None:
        bookmark = await _begin_several(command, store, now)
    if bookmark is None:
        return NO_HANDLER
    if not bookmark.runs and not command.workflow_names:
        return NothingLeft()
    if command.head_only:
        return EventsExist(command.sse)
    return EventsOpened(
        source=SeveralFeed(store, news, bookmark, command.workflow_names or None),
        sse=command.sse,
        include_internal=command.include_internal,
        include_qualified_name=command.include_qualified_name,
        include_attempts=command.include_attempts,
        several=True,
        heartbeat=heartbeat,
    )


async def _begin_several(command: StreamSeveral, store: AbstractWorkflowStore, now: float) -> Bookmark | None:
    """Return where the stream begins; `None` if there is no such handler."""
    bookmark = Bookmark(since=now if command.workflow_names else None)
    if command.workflow_names:
        records = await _running(command.workflow_names, store)
    else:
        found = [await store.handler(handler_id) for handler_id in command.handler_ids]
        records = [record for record in found if record is not None]
        if len(records) < len(found):
            return None
    for record in records:
        after = -1 if command.from_beginning else await store.next_sequence(record.run_id) - 1
        if record.status == "running" or await store.events(record.run_id, after, 1):
            bookmark.runs[record.run_id] = after
    return bookmark


async def _running(names: tuple[str, ...], store: AbstractWorkflowStore) -> list[HandlerRecord]:
    query = HandlerQuery(workflow_name_in=names, status_in=("running",))
    found: list[HandlerRecord] = []
    cursor: str | None = None
    while True:
        page, cursor = await store.handlers(query, cursor, 100)
        found += page
        if cursor is None:
            return found

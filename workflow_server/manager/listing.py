"""Listing handlers: all of them as a stream, for old clients, or a page."""

from __future__ import annotations

from workflow_server.api.commands import ListHandlers
from workflow_server.api.outcomes import HandlersListed, HandlersPage, Refusal, Refused
from workflow_server.runtime.feed import HandlerListing
from workflow_server.stores.base import AbstractWorkflowStore, HandlerQuery


async def list_handlers(command: ListHandlers, store: AbstractWorkflowStore) -> HandlersListed | HandlersPage | Refused:
    """Return the handlers that `command` asks for.

    Args:
        command: What is asked.
        store: Where they are.
    """
    query = HandlerQuery(
        workflow_name_in=command.workflow_name,
        status_in=command.status,
        phase_in=command.phase,
        started_after=command.started_after,
        started_before=command.started_before,
        id_prefix=command.id_prefix,
    )
    if command.limit is None:
        return HandlersListed(await HandlerListing(store, query).begin())
    try:
        page, cursor = await store.handlers(query, command.cursor, command.limit, newest_first=True)
    except ValueError:
        detail = f"Invalid cursor: {command.cursor!r}. Expected the next_cursor of an earlier page"
        return Refused(Refusal.INVALID, detail)
    return HandlersPage(tuple(page), cursor)

"""From a request to a command: everything a client can get wrong short of asking for what isn't there.

Each parser takes the request and the name in its path (decoded by `path_name`, empty where the path has none)
and returns a command. What is wrong with the request leaves as `queries.Invalid`, which `routes` turns
into a refusal: the text says what and where. JSON values of events are handed on as they are;
only the manager knows their classes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

from workflow_server.api.commands import (
    MISSING,
    CancelHandler,
    Command,
    GetHandler,
    ListHandlers,
    SendEvent,
    StartRun,
    StreamEvents,
    StreamSeveral,
)
from workflow_server.api.idempotency import event_keys, start_key
from workflow_server.api.names import objection_to
from workflow_server.api.queries import Invalid, Query, unquote
from workflow_server.http.messages import Request
from workflow_server.wire.records import Phase, Status
from workflow_server.wire.strict_json import read_json

Parser = Callable[[Request, str], Command]
"""Makes a command of a request and the name in its path; raises `Invalid`."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
"""Fits a 64-bit column with a digit to spare."""

PAGE = 100
"""How many handlers a page holds, unless the client says otherwise."""
MAX_PAGE = 1000
"""How many it may ask for."""

MAX_STREAMED = 100
"""How many handlers one stream may follow."""

LONGEST_WAIT = 3600
"""Seconds that a client may have the answer about a handler wait."""


# ------------------------------------------------------------------------------------------------- paths and queries


@lru_cache(maxsize=256)
def path_name(segment: str, what: str) -> str:
    """Return the name that a path segment stands for, percent-decoded once.

    Args:
        segment: As on the wire.
        what: What it names ("workflow name"), for the refusal.

    Raises:
        Invalid: It is badly encoded, or can't be a name.
    """
    try:
        name = unquote(segment)
    except ValueError:
        raise Invalid(f"Invalid {what} in the path: it must be percent-encoded UTF-8") from None
    if (objection := objection_to(name)) is not None:
        raise Invalid(f"Invalid {what} in the path: it {objection}")
    return name


# ------------------------------------------------------------------------------------------------------------ bodies


def _kind(value: Any) -> str:
    """Name the JSON type of `value`."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return "a number"


def _need_object(value: Any, name: str, context: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Invalid(f"{context}: {name} must be an object, not {_kind(value)}")
    return cast("dict[str, Any]", value)


def _need_event(value: Any, context: str) -> Any:
    """Refuse what can hold no event: all but an object or a string."""
    if type(value) not in (dict, str):
        wrong = f"it must be a JSON object, or the JSON text of one, not {_kind(value)}"
        raise Invalid(f"{context}Failed to deserialize event: {wrong}")
    return value


def _read_run_body(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        value = read_json(body)
    except ValueError as error:
        raise Invalid(f"Invalid JSON body: {error}") from None
    return _need_object(value, "the body", "Error processing request body")


def _handler_id(value: Any) -> str | None:
    if value is None or value == "":
        return None  # an empty id asks for a fresh one, as no id does
    if not isinstance(value, str):
        raise Invalid(f"Error processing request body: 'handler_id' must be a string, not {_kind(value)}")
    if (objection := objection_to(value)) is not None:
        raise Invalid(f"Error processing request body: 'handler_id' {objection}")
    return value


# ---------------------------------------------------------------------------------------------------------- commands


def plain(make: Callable[[], Command]) -> Parser:
    """Return the parser of a command that needs nothing from its request."""
    return lambda _request, _name: make()


def by_name(make: Callable[[str], Command]) -> Parser:
    """Return the parser of a command that needs the name in the path."""
    return lambda _request, name: make(name)


def run(request: Request, name: str) -> StartRun:
    """Parse `POST /workflows/{name}/run`."""
    return _start_run(request, name, wait=True)


def run_nowait(request: Request, name: str) -> StartRun:
    """Parse `POST /workflows/{name}/run-nowait`."""
    return _start_run(request, name, wait=False)


def _start_run(request: Request, name: str, wait: bool) -> StartRun:
    body = _read_run_body(request.body)
    context = body.get("context")
    start_event = MISSING
    # An explicit null `start_event` still wins over `kwargs`; both nulls mean no input.
    for key in ("kwargs", "start_event"):
        if key in body:
            value = body[key]
            start_event = MISSING if value is None else _need_event(value, "Validation error for 'start_event': ")
    handler_id = _handler_id(body.get("handler_id"))
    context = {} if context is None else _need_object(context, "'context'", "Error processing request body")
    payload = [name, None if start_event is MISSING else start_event, handler_id, context]
    try:
        # Whether the client waits makes no other request of it.
        keys = start_key(request.header("idempotency-key"), payload)
    except ValueError as error:
        raise Invalid(f"Invalid Idempotency-Key: it {error}") from None
    return StartRun(name, start_event, handler_id, context, wait, keys)


def get_handler(request: Request, name: str) -> GetHandler:
    """Parse `GET /handlers/{handler_id}`."""
    if not request.query:
        return GetHandler(name)
    query = Query(request.query)
    outcome = query.one("outcome")
    if outcome not in (None, "body", "status"):
        raise Invalid(f"Invalid outcome: {outcome!r}. Expected one of body, status")
    return GetHandler(name, wait=query.seconds("wait", LONGEST_WAIT), outcome_in_body=outcome == "body")


def list_handlers(request: Request, name: str) -> ListHandlers:  # noqa: ARG001
    """Parse `GET /handlers`: all handlers, or with `limit` or `cursor` a page of them."""
    query = Query(request.query)
    limit, cursor = query.number("limit", MAX_PAGE), query.filled("cursor")
    return ListHandlers(
        status=query.among("status", Status),
        workflow_name=query.several("workflow_name"),
        phase=query.among("phase", Phase),
        started_after=query.moment("started_after"),
        started_before=query.moment("started_before"),
        id_prefix=query.filled("q"),
        cursor=cursor,
        limit=PAGE if limit is None and cursor is not None else limit,
    )


def stream_events(request: Request, name: str) -> StreamEvents:
    """Parse `GET /events/{handler_id}`."""
    query = Query(request.query)
    given = query.one("after_sequence")
    after: Any = "now"
    if given is not None and given.strip().lower() != "now":
        after = _sequence(given)
        if after is None:
            raise Invalid(f"Invalid after_sequence: {given!r}")
    sse = query.flag("sse", default=True)
    # HTML Living Standard, 9.2.4: a client that comes back names the last event it saw.
    seen = _sequence(request.header("last-event-id") or "") if sse else None
    return StreamEvents(
        handler_id=name,
        after=after if seen is None else seen,
        sse=sse,
        include_internal=query.flag("include_internal", default=False),
        include_qualified_name=query.flag("include_qualified_name", default=True),
        include_timestamp=query.flag("include_timestamp", default=False),
        include_attempts=query.flag("include_attempts", default=False),
        run_id=_run_id(query.one("run_id")),
        head_only=request.method == "HEAD",
    )


def stream_several(request: Request, name: str) -> StreamSeveral:  # noqa: ARG001
    """Parse `GET /events`."""
    query = Query(request.query)
    handlers, workflows = query.several("handler_id") or (), query.several("workflow_name") or ()
    if bool(handlers) == bool(workflows):
        raise Invalid("Say whose events are wanted: either handler_id or workflow_name, as often as needed")
    if len(handlers) > MAX_STREAMED:
        raise Invalid(f"Invalid query: handler_id is given {len(handlers)} times, {MAX_STREAMED} at most are streamed")
    after = (query.one("after_sequence") or "now").strip().lower()
    if after not in ("now", "-1"):
        raise Invalid(f"Invalid after_sequence: {after!r}; a stream over several runs begins with 'now' or -1")
    sse = query.flag("sse", default=True)
    return StreamSeveral(
        handler_ids=tuple(dict.fromkeys(handlers)),
        workflow_names=workflows,
        from_beginning=after == "-1",
        cursor=(request.header("last-event-id") if sse else None) or query.filled("cursor"),
        sse=sse,
        include_internal=query.flag("include_internal", default=False),
        include_qualified_name=query.flag("include_qualified_name", default=True),
        include_attempts=query.flag("include_attempts", default=False),
        head_only=request.method == "HEAD",
    )


def _sequence(text: str) -> int | None:
    text = text.strip()
    return max(-1, int(text)) if _INTEGER.fullmatch(text) else None


def _run_id(value: str | None) -> str | None:
    if value is not None and (objection := objection_to(value)) is not None:
        raise Invalid(f"Invalid run_id: it {objection}")
    return value


def send_event(request: Request, name: str) -> SendEvent:
    """Parse `POST /events/{handler_id}`."""
    try:
        value = read_json(request.body)
    except ValueError as error:
        raise Invalid(f"Error processing request: {error}") from None
    body = _need_object(value, "the body", "Error processing request")
    event = body.get("event")
    if event is None or event in ("", {}):
        raise Invalid("Event data is required")
    step = body.get("step")
    if step is not None and not isinstance(step, str):
        raise Invalid(f"Error processing request: 'step' must be a string, not {_kind(step)}")
    waiter_id = body.get("waiter_id")
    if waiter_id is not None and not isinstance(waiter_id, str):
        raise Invalid(f"Error processing request: 'waiter_id' must be a string, not {_kind(waiter_id)}")
    try:
        keys = event_keys(request.header("idempotency-key"), name, waiter_id, [event, step or None, waiter_id])
    except ValueError as error:
        raise Invalid(f"Invalid Idempotency-Key: it {error}") from None
    return SendEvent(name, _need_event(event, ""), step or None, waiter_id, keys)


def cancel_handler(request: Request, name: str) -> CancelHandler:
    """Parse `POST /handlers/{handler_id}/cancel`."""
    return CancelHandler(name, purge=Query(request.query).flag("purge", default=False))


def delete_handler(request: Request, name: str) -> CancelHandler:  # noqa: ARG001
    """Parse `DELETE /handlers/{handler_id}`."""
    return CancelHandler(name, purge=True)

"""From an outcome to a response.

Events and results arrive as JSON text (`EventRecord.value`), so answers are joined from texts, not
encoded again. Whatever half of a surrogate pair a user's exception text may hold leaves as `?`: every
answer is valid UTF-8. Bodies are rendered for HEAD as for GET; transports don't send them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, assert_never

from pydantic_core import from_json, to_json

from workflow_server.api.outcomes import (
    ApiDescribed,
    Cancelled,
    Deleted,
    EventAccepted,
    EventSchemas,
    EventsExist,
    EventsOpened,
    Graph,
    HandlerFound,
    HandlersListed,
    HandlersPage,
    Health,
    InputFound,
    NothingLeft,
    Outcome,
    Question,
    QuestionsFound,
    Readiness,
    Refused,
    ResultFound,
    RunAccepted,
    RunFinished,
    Schemas,
    StateFound,
    WorkflowNames,
)
from workflow_server.http.frames import ndjson_line, sse_comment, sse_frame, sse_id, sse_retry
from workflow_server.http.messages import Headers, Response, Source, Stream
from workflow_server.wire.records import STEP_EXTRAS, EventRecord, HandlerRecord, LocatedEvent

RETRY_MILLISECONDS = 2000
"""How soon a client should come back when its stream breaks."""

_JSON: Headers = (("content-type", "application/json"),)
_UNBUFFERED: Headers = (("cache-control", "no-cache, no-transform"), ("x-accel-buffering", "no"))
"""Proxies must hand on each event when it comes."""
_NDJSON: Headers = (("content-type", "application/x-ndjson"), *_UNBUFFERED)
_SSE: Headers = (("content-type", "text/event-stream; charset=utf-8"), *_UNBUFFERED)
_STATUS = {"running": 202, "completed": 200, "failed": 500, "cancelled": 500}
_quote: Callable[[str], str] = json.encoder.encode_basestring  # what `json.dumps` comes down to for text


def render(outcome: Outcome, unread: Source) -> Response:
    """Return the response that tells a client of `outcome`.

    Args:
        outcome: What came of the command.
        unread: An empty source, for the body that an answer to HEAD only seems to have: it has no known
            length, as the stream it stands for.
    """
    match outcome:
        case RunAccepted(handler):
            return _json(200, handler_json(handler))
        case HandlerFound(handler, outcome_in_body=True):
            return _json(200, handler_json(handler))
        case RunFinished(handler) | HandlerFound(handler):
            return _handler(handler, handler_json)
        case ResultFound(handler):
            return _handler(handler, _flat_handler_json)
        case EventsOpened():
            return _events(outcome)
        case EventsExist(sse):
            return Response(200, _SSE if sse else _NDJSON, Stream(unread, bytes))
        case NothingLeft():
            return Response(204)
        case EventAccepted():
            return _json(200, '{"status":"sent"}')
        case Cancelled(unstopped):
            return _stopped("cancelled", unstopped)
        case Deleted(unstopped):
            return _stopped("deleted", unstopped)
        case StateFound(values, kind):
            return _value(200, {"state": values, "type": kind})
        case InputFound(event):
            return _json(200, f'{{"start_event":{envelope_json(event)}}}')
        case QuestionsFound(questions):
            return _json(200, f'{{"waiting":[{",".join(map(_question_json, questions))}]}}')
        case HandlersListed(source):
            return Response(200, _JSON, Stream(source, _ListItem(), opening=b'{"handlers":[', closing=b"]}"))
        case HandlersPage(handlers, cursor):
            listed = ",\n".join(map(handler_json, handlers))
            following = "null" if cursor is None else _quote(cursor)
            return _json(200, f'{{"handlers":[{listed}],"next_cursor":{following}}}')
        case Refused():
            return _refused(outcome)
        case Health(healthy):
            return _json(200, '{"status":"healthy"}') if healthy else _json(503, '{"status":"unhealthy"}')
        case Readiness(ready, reasons):
            return (
                _value(200, {"status": "ready"}) if ready else _value(503, {"status": "not ready", "reasons": reasons})
            )
        case WorkflowNames(names):
            return _value(200, {"workflows": names})
        case Schemas(start, stop):
            return _value(200, {"start": start, "stop": stop})
        case EventSchemas(events):
            return _value(200, {"events": events})
        case Graph(graph):
            return _value(200, {"graph": graph})
        case ApiDescribed(document):
            return _value(200, document)
        case _:
            assert_never(outcome)


def internal_error(error_id: str) -> Response:
    """Return the answer to a request that failed for no fault of the client; the log tells more under `error_id`."""
    return _json(500, f'{{"detail":"Internal server error","error_id":{_quote(error_id)}}}')


def _json(status: int, text: str) -> Response:
    return Response(status, _JSON, _utf8(text))


def _value(status: int, value: dict[str, Any]) -> Response:
    return Response(status, _JSON, to_json(value))


def _utf8(text: str) -> bytes:
    return text.encode(errors="replace")


def _stopped(status: str, unstopped: Sequence[str]) -> Response:
    return _value(200, {"status": status, "unstopped": unstopped} if unstopped else {"status": status})


def _refused(refused: Refused) -> Response:
    headers = _JSON
    if refused.allow:
        headers += (("allow", ", ".join(refused.allow)),)
    if refused.retry_after is not None:
        headers += (("retry-after", str(refused.retry_after)),)
    return Response(refused.why.value, headers, _utf8(f'{{"detail":{_quote(refused.detail)}}}'))


# ---------------------------------------------------------------------------------------------------------- handlers


def handler_json(handler: HandlerRecord) -> str:
    """Return `handler` as the JSON text that clients see."""
    return _join_handler(handler, None if handler.result is None else envelope_json(handler.result))


def _handler(handler: HandlerRecord, to_text: Callable[[HandlerRecord], str]) -> Response:
    if handler.result_unreadable:
        return _json(422, '{"detail":"Stored handler result cannot be decoded"}')
    return _json(_STATUS[handler.status], to_text(handler))


def _flat_handler_json(handler: HandlerRecord) -> str:
    """As `handler_json`, with the bare result of a plain stop event, and the fields of another, for `result`."""
    result = handler.result
    if result is None:
        return _join_handler(handler, None)
    if result.type != "StopEvent":
        return _join_handler(handler, result.value)
    return _join_handler(handler, to_json(from_json(result.value).get("result")).decode())


def _join_handler(handler: HandlerRecord, result: str | None) -> str:
    return (
        f'{{"handler_id":{_quote(handler.handler_id)},"workflow_name":{_quote(handler.workflow_name)},'
        f'"run_id":{_quote(handler.run_id)},'
        f'"error":{"null" if handler.error is None else _quote(handler.error)},'
        f'"result":{result or "null"},"result_unreadable":{"true" if handler.result_unreadable else "false"},'
        f'"status":"{handler.status}","phase":"{handler.phase}","started_at":{_time(handler.started_at)},'
        f'"updated_at":{_time(handler.updated_at)},"completed_at":{_time(handler.completed_at)}}}'
    )


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "null"
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return f'"{_second(whole)}.{micros:06}+00:00"'


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    """Return a second as ISO 8601. Dates are slow to make, and handlers tend to be asked for when they are young."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class _ListItem:
    """Frames the handlers of one list. The comma is the one thing it remembers: JSON allows none before the first."""

    def __init__(self) -> None:
        self._comma = ""

    def __call__(self, handler: HandlerRecord) -> bytes:
        comma, self._comma = self._comma, ",\n"
        return _utf8(comma + handler_json(handler))


def _question_json(question: Question) -> str:
    prompt = "null"
    if question.prompt is not None:
        name, value = question.prompt
        kind = _quote(name.rpartition(".")[2])
        prompt = f'{{"value":{value},"qualified_name":{_quote(name)},"type":{kind}}}'
    return (
        f'{{"waiter_id":{_quote(question.waiter_id)},"step":{_quote(question.step)},"prompt":{prompt},'
        f'"qualified_name":{_quote(question.qualified_name)},"type":{_quote(question.qualified_name.rpartition(".")[2])},'
        f'"schema":{to_json(question.schema).decode()},"deadline":{_time(question.due)}}}'
    )


# ------------------------------------------------------------------------------------------------------------ events


def envelope_json(
    event: EventRecord,
    include_qualified_name: bool = True,
    include_timestamp: bool = False,
    include_attempts: bool = False,
) -> str:
    """Return `event` in its envelope, as the JSON text that clients see."""
    name = _quote(event.qualified_name) if include_qualified_name else "null"
    types = f"[{','.join(map(_quote, event.types))}]" if event.types else "null"
    value, more = event.value, ""
    if event.tells_step:
        value, more = _split_step(value, include_attempts)
    if include_attempts:
        more += f',"item":{"null" if event.item is None else event.item}'
    if include_timestamp:
        more += f',"timestamp":{_time(event.timestamp)},"sequence":{event.sequence}'
    return f'{{"value":{value},"qualified_name":{name},"type":{_quote(event.type)},"types":{types}{more}}}'


def _split_step(value: str, wanted: bool) -> tuple[str, str]:
    """Return the value of a `StepStateChanged` as old clients know it, and its attempt and failure for the envelope."""
    known, found, extras = value.partition(STEP_EXTRAS)
    if not found:
        return value, ',"attempt":1,"failure":null' if wanted else ""
    return known + "}", f",{extras[1:-2]}" if wanted else ""


def _events(opened: EventsOpened) -> Response:
    frame = partial(
        _frame_located if opened.several else _frame_event,
        sse=opened.sse,
        include_internal=opened.include_internal,
        include_qualified_name=opened.include_qualified_name,
        include_timestamp=opened.include_timestamp,
        include_attempts=opened.include_attempts,
    )
    if not opened.sse:
        return Response(200, _NDJSON, Stream(opened.source, frame))
    stream = Stream(
        opened.source,
        frame,
        opening=sse_retry(RETRY_MILLISECONDS) + (b"" if opened.now is None else sse_id(str(opened.now))),
        heartbeat=opened.heartbeat,
        heartbeat_bytes=sse_comment("heartbeat"),
        farewell=sse_comment("the server is stopping; come back with the last id"),
    )
    return Response(200, _SSE, stream)


def _frame_located(
    located: LocatedEvent,
    *,
    sse: bool,
    include_internal: bool,
    include_timestamp: bool,  # noqa: ARG001  # sequences alone would not tell what came first
    **included: bool,
) -> bytes:
    """As `_frame_event`; whose event it is stands in the envelope, and where the stream stands in the frame's id."""
    if located.event.internal and not include_internal:
        return b""
    whose = f',"handler_id":{_quote(located.handler_id)},"run_id":{_quote(located.run_id)}'
    envelope = envelope_json(located.event, include_timestamp=True, **included)[:-1] + whose
    if sse:
        return sse_frame(envelope + "}", located.cursor)
    return ndjson_line(f'{envelope},"cursor":{_quote(located.cursor)}}}')


def _frame_event(event: EventRecord, *, sse: bool, include_internal: bool, **included: bool) -> bytes:
    if event.internal and not include_internal:
        return b""
    envelope = envelope_json(event, **included)
    return sse_frame(envelope, str(event.sequence)) if sse else ndjson_line(envelope)

"""Outcomes become responses, byte by byte as old clients know them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from workflow_server.api.outcomes import (
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
    NothingLeft,
    Outcome,
    Readiness,
    Refusal,
    Refused,
    ResultFound,
    RunAccepted,
    RunFinished,
    Schemas,
    WorkflowNames,
)
from workflow_server.api.render import envelope_json, handler_json, internal_error, render
from workflow_server.http.messages import Response, Stream
from workflow_server.wire.records import EventRecord, HandlerRecord

STOP = EventRecord(3, 1.5, "StopEvent", "workflows.events.StopEvent", (), '{"result":"Hello"}')
TYPED = EventRecord(4, 1.5, "Out", "app.Out", ("StopEvent",), '{"z":3}')
PROGRESS = EventRecord(1, 1.5, "Progress", "app.Progress", ("Base", "Root"), '{"i":1}')
INTERNAL = EventRecord(
    2, 1.5, "WorkflowIdleEvent", "workflows.events.WorkflowIdleEvent", ("InternalDispatchEvent",), "{}"
)
RUNNING = HandlerRecord("h1", "greet", "r1", "running", "idle", started_at=1795356000.0, updated_at=1795356000.25)
DONE = replace(RUNNING, status="completed", phase="done", completed_at=1795356001.000001, result=STOP)
FAILED = replace(RUNNING, status="failed", phase="done", completed_at=1795356001.5, error='boom "quoted"\n\u00e9')

RUNNING_JSON = {
    "handler_id": "h1",
    "workflow_name": "greet",
    "run_id": "r1",
    "error": None,
    "result": None,
    "result_unreadable": False,
    "status": "running",
    "phase": "idle",
    "started_at": "2026-11-22T14:00:00.000000+00:00",
    "updated_at": "2026-11-22T14:00:00.250000+00:00",
    "completed_at": None,
}
DONE_JSON = {
    **RUNNING_JSON,
    "status": "completed",
    "phase": "done",
    "completed_at": "2026-11-22T14:00:01.000001+00:00",
    "result": {
        "value": {"result": "Hello"},
        "qualified_name": "workflows.events.StopEvent",
        "type": "StopEvent",
        "types": None,
    },
}
FAILED_JSON = {
    **RUNNING_JSON,
    "status": "failed",
    "phase": "done",
    "completed_at": "2026-11-22T14:00:01.500000+00:00",
    "error": 'boom "quoted"\n\u00e9',
}


class Pages:
    """A source that nobody reads here."""

    async def pull(self) -> Sequence[Any] | None:
        raise AssertionError

    def close(self) -> None:
        raise AssertionError


def rendered(outcome: Outcome) -> Response:
    return render(outcome, Pages())


def body(outcome: Outcome) -> bytes:
    content = rendered(outcome).body
    assert isinstance(content, bytes)
    return content


@pytest.mark.parametrize(
    ("outcome", "status", "value"),
    [
        (Health(True), 200, {"status": "healthy"}),
        (Health(False), 503, {"status": "unhealthy"}),
        (Readiness(True), 200, {"status": "ready"}),
        (Readiness(False, ("It stops.",)), 503, {"status": "not ready", "reasons": ["It stops."]}),
        (WorkflowNames(("a", "\u00e9")), 200, {"workflows": ["a", "\u00e9"]}),
        (Schemas({"title": "A"}, {"title": "B"}), 200, {"start": {"title": "A"}, "stop": {"title": "B"}}),
        (EventSchemas(({"title": "A"},)), 200, {"events": [{"title": "A"}]}),
        (Graph({"name": "G", "nodes": []}), 200, {"graph": {"name": "G", "nodes": []}}),
        (EventAccepted(), 200, {"status": "sent"}),
        (Cancelled(), 200, {"status": "cancelled"}),
        (Cancelled(("slow",)), 200, {"status": "cancelled", "unstopped": ["slow"]}),
        (Deleted(), 200, {"status": "deleted"}),
        (Deleted(("slow",)), 200, {"status": "deleted", "unstopped": ["slow"]}),
        (RunAccepted(RUNNING), 200, RUNNING_JSON),
        (RunFinished(DONE), 200, DONE_JSON),
        (RunFinished(FAILED), 500, FAILED_JSON),
        (RunFinished(replace(FAILED, status="cancelled")), 500, {**FAILED_JSON, "status": "cancelled"}),
        (HandlerFound(RUNNING), 202, RUNNING_JSON),
        (HandlerFound(DONE), 200, DONE_JSON),
        (HandlerFound(FAILED), 500, FAILED_JSON),
        (
            HandlerFound(replace(DONE, result_unreadable=True)),
            422,
            {"detail": "Stored handler result cannot be decoded"},
        ),
        (HandlerFound(FAILED, outcome_in_body=True), 200, FAILED_JSON),
        (HandlerFound(RUNNING, outcome_in_body=True), 200, RUNNING_JSON),
        (
            HandlerFound(replace(DONE, result=None, result_unreadable=True), outcome_in_body=True),
            200,
            {**DONE_JSON, "result": None, "result_unreadable": True},
        ),
        (ResultFound(RUNNING), 202, RUNNING_JSON),
        (ResultFound(FAILED), 500, FAILED_JSON),
        (ResultFound(DONE), 200, {**DONE_JSON, "result": "Hello"}),
        (ResultFound(replace(DONE, result=replace(STOP, value="{}"))), 200, {**DONE_JSON, "result": None}),
        (
            ResultFound(replace(DONE, result=replace(STOP, value='{"_data":{"a":1},"result":{"n":[0.5]}}'))),
            200,
            {**DONE_JSON, "result": {"n": [0.5]}},
        ),
        (ResultFound(replace(DONE, result=TYPED)), 200, {**DONE_JSON, "result": {"z": 3}}),
        (
            ResultFound(replace(DONE, result_unreadable=True)),
            422,
            {"detail": "Stored handler result cannot be decoded"},
        ),
        (Refused(Refusal.NOT_FOUND, 'No "x"'), 404, {"detail": 'No "x"'}),
    ],
)
def test_an_outcome_becomes_json(outcome: Outcome, status: int, value: Any) -> None:
    response = rendered(outcome)
    assert (response.status, response.headers) == (status, (("content-type", "application/json"),))
    assert json.loads(body(outcome)) == value


def test_refusals_carry_what_their_status_asks_for() -> None:
    response = rendered(Refused(Refusal.METHOD_NOT_ALLOWED, "no", allow=("GET", "HEAD")))
    assert response.headers == (("content-type", "application/json"), ("allow", "GET, HEAD"))
    response = rendered(Refused(Refusal.UNAVAILABLE, "later", retry_after=0))
    assert response.headers == (("content-type", "application/json"), ("retry-after", "0"))


@pytest.mark.parametrize("why", Refusal)
def test_every_refusal_has_its_status(why: Refusal) -> None:
    assert rendered(Refused(why, "d")).status == why.value


def test_an_unexpected_error_tells_an_id_and_nothing_else() -> None:
    response = internal_error("e1")
    assert response.status == 500
    assert response.body == b'{"detail":"Internal server error","error_id":"e1"}'


def test_nothing_left_has_no_body() -> None:
    assert rendered(NothingLeft()) == Response(204)


def test_half_a_surrogate_pair_in_an_error_leaves_as_a_question_mark() -> None:
    assert json.loads(body(HandlerFound(replace(FAILED, error="a\ud800b"))))["error"] == "a?b"
    assert json.loads(body(Refused(Refusal.INVALID, "a\ud800b")))["detail"] == "a?b"


@pytest.mark.parametrize("seconds", [0.0, 0.0000005, 0.1, 1795356000.9999996, 1795356000.123456, 4102444799.999999])
def test_times_are_iso_8601_with_microseconds(seconds: float) -> None:
    told = datetime.fromisoformat(json.loads(handler_json(replace(RUNNING, started_at=seconds)))["started_at"])
    assert told.utcoffset() == timedelta()
    assert abs(told.timestamp() - seconds) < 0.000001


def test_the_value_of_an_event_is_joined_as_it_is() -> None:
    record = replace(PROGRESS, value='{"i": 1.0e2, "big": 12345678901234567890}')
    assert envelope_json(record) == (
        '{"value":{"i": 1.0e2, "big": 12345678901234567890},"qualified_name":"app.Progress",'
        '"type":"Progress","types":["Base","Root"]}'
    )
    assert '"qualified_name":null' in envelope_json(record, include_qualified_name=False)


# ----------------------------------------------------------------------------------------------------------- streams


def opened(**options: Any) -> tuple[Response, Stream]:
    settings: dict[str, Any] = {
        "sse": True,
        "include_internal": False,
        "include_qualified_name": True,
        "heartbeat": 15.0,
        **options,
    }
    response = rendered(EventsOpened(Pages(), **settings))
    assert isinstance(response.body, Stream)
    return response, response.body


def test_server_sent_events() -> None:
    response, stream = opened()
    assert response.status == 200
    assert dict(response.headers) == {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
    }
    assert stream.opening == b"retry: 2000\n\n"
    assert (stream.heartbeat, stream.heartbeat_bytes) == (15.0, b": heartbeat\n\n")
    assert stream.closing == b""
    assert stream.farewell.startswith(b": the server is stopping")
    assert stream.farewell.endswith(b"\n\n")
    assert stream.frame(PROGRESS) == (
        b'id: 1\ndata: {"value":{"i":1},"qualified_name":"app.Progress","type":"Progress","types":["Base","Root"]}\n\n'
    )


def test_heartbeats_may_be_off() -> None:
    assert opened(heartbeat=None)[1].heartbeat is None


def test_newline_delimited_json_has_nothing_beside_its_lines() -> None:
    response, stream = opened(sse=False)
    assert dict(response.headers)["content-type"] == "application/x-ndjson"
    assert (stream.opening, stream.closing, stream.farewell, stream.heartbeat) == (b"", b"", b"", None)
    assert stream.frame(STOP) == (
        b'{"value":{"result":"Hello"},"qualified_name":"workflows.events.StopEvent","type":"StopEvent","types":null}\n'
    )


@pytest.mark.parametrize("sse", [True, False])
def test_internal_events_are_hidden_unless_asked_for(sse: bool) -> None:
    assert opened(sse=sse)[1].frame(INTERNAL) == b""
    assert b"WorkflowIdleEvent" in opened(sse=sse, include_internal=True)[1].frame(INTERNAL)


def test_qualified_names_are_left_out_when_not_wanted() -> None:
    assert b'"qualified_name":null' in opened(include_qualified_name=False)[1].frame(PROGRESS)


@pytest.mark.parametrize("sse", [True, False])
def test_head_of_a_stream_is_told_as_for_get(sse: bool) -> None:
    response = rendered(EventsExist(sse))
    assert (response.status, response.headers) == (200, opened(sse=sse)[0].headers)
    assert isinstance(response.body, Stream)


@pytest.mark.parametrize("handlers", [[], [RUNNING], [RUNNING, DONE, FAILED, replace(DONE, result_unreadable=True)]])
def test_a_list_of_handlers_is_one_document(handlers: list[HandlerRecord]) -> None:
    response = rendered(HandlersListed(Pages()))
    stream = response.body
    assert isinstance(stream, Stream)
    assert (response.status, response.headers) == (200, (("content-type", "application/json"),))
    document = stream.opening + b"".join(map(stream.frame, handlers)) + stream.closing
    assert json.loads(document) == {"handlers": [json.loads(handler_json(handler)) for handler in handlers]}


@pytest.mark.parametrize(("cursor", "told"), [(None, "null"), ('a"b', '"a\\"b"')])
@pytest.mark.parametrize("handlers", [(), (RUNNING,), (RUNNING, DONE)])
def test_a_page_of_handlers(handlers: tuple[HandlerRecord, ...], cursor: str | None, told: str) -> None:
    response = rendered(HandlersPage(handlers, cursor))
    assert response.status == 200
    assert isinstance(response.body, bytes)
    assert json.loads(response.body) == {
        "handlers": [json.loads(handler_json(handler)) for handler in handlers],
        "next_cursor": json.loads(told),
    }


def test_two_lists_do_not_share_their_commas() -> None:
    first, second = rendered(HandlersListed(Pages())).body, rendered(HandlersListed(Pages())).body
    assert isinstance(first, Stream)
    assert isinstance(second, Stream)
    assert first.frame(RUNNING).startswith(b"{")
    assert second.frame(RUNNING).startswith(b"{")
    assert first.frame(RUNNING).startswith(b",")

"""Requests become commands, and whatever is wrong with one is refused with what and where."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_server.api import routes
from workflow_server.api.commands import (
    MISSING,
    CancelHandler,
    CheckHealth,
    CheckReadiness,
    Command,
    DescribeEvents,
    DescribeGraph,
    DescribeSchema,
    GetHandler,
    GetResult,
    ListHandlers,
    ListWorkflows,
    SendEvent,
    StartRun,
    StreamEvents,
)
from workflow_server.api.outcomes import Refusal, Refused
from workflow_server.http.messages import Request
from workflow_server.wire.records import IdempotencyKey


def read(method: str, target: str, body: Any = b"", **headers: str) -> Command | Refused:
    """Read one request as the application does."""
    path, _, query = target.partition("?")
    found = routes.find(path)
    assert found is not None, f"no route for {path}"
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return routes.read(Request(method, path, query, named, raw), *found)


def refused(detail: str) -> Refused:
    return Refused(Refusal.INVALID, detail)


# ------------------------------------------------------------------------------------------------------ what is right


@pytest.mark.parametrize(
    ("method", "target", "command"),
    [
        ("GET", "/health", CheckHealth()),
        ("HEAD", "/health", CheckHealth()),
        ("GET", "/ready", CheckReadiness()),
        ("GET", "/workflows", ListWorkflows()),
        ("GET", "/workflows/greet/schema", DescribeSchema("greet")),
        ("GET", "/workflows/greet/events", DescribeEvents("greet")),
        ("GET", "/workflows/greet/representation", DescribeGraph("greet")),
        ("GET", "/workflows/gr%C3%BC%C3%9F%20dich/schema", DescribeSchema("gr\u00fc\u00df dich")),
        ("GET", "/workflows/gr\u00c3\u00bc/schema", DescribeSchema("gr\u00fc")),
        ("GET", "/workflows/100%25/schema", DescribeSchema("100%")),
        ("GET", "/workflows/a%2520b/schema", DescribeSchema("a%20b")),
        ("GET", "/workflows/a+b/schema", DescribeSchema("a+b")),
        ("GET", "/handlers", ListHandlers()),
        ("GET", "/handlers?", ListHandlers()),
        ("GET", "/handlers?status=&workflow_name=", ListHandlers()),
        ("GET", "/handlers?status=%20&status", ListHandlers()),
        ("GET", "/handlers?status=running&status=failed", ListHandlers(status=("running", "failed"))),
        (
            "GET",
            "/handlers?workflow_name=a+b&workflow_name=c%26d&workflow_name=",
            ListHandlers(workflow_name=("a b", "c&d")),
        ),
        ("GET", "/handlers?unknown=1&unknown=2", ListHandlers()),
        ("GET", "/handlers?limit=&cursor=%20&q=&started_after=&phase=", ListHandlers()),
        ("GET", "/handlers?limit=1000", ListHandlers(limit=1000)),
        ("GET", "/handlers?cursor=7", ListHandlers(cursor="7", limit=100)),
        ("GET", "/handlers?cursor=7&limit=2&q=a%25", ListHandlers(cursor="7", limit=2, id_prefix="a%")),
        ("GET", "/handlers?phase=idle&phase=done", ListHandlers(phase=("idle", "done"))),
        ("GET", "/handlers?started_after=1970-01-02", ListHandlers(started_after=86400.0)),
        ("GET", "/handlers?started_after=1970-01-01T00:00:01.5Z", ListHandlers(started_after=1.5)),
        ("GET", "/handlers?started_before=1970-01-01T02:00:01%2B02:00", ListHandlers(started_before=1.0)),
        # "+" is a space here; who forgets to encode it is understood.
        ("GET", "/handlers?started_before=1970-01-01T02:00:01+02:00", ListHandlers(started_before=1.0)),
        ("GET", "/handlers/h1", GetHandler("h1")),
        ("GET", "/handlers/user@example.org:1", GetHandler("user@example.org:1")),
        ("GET", "/results/h1", GetResult("h1")),
        ("POST", "/handlers/h1/cancel", CancelHandler("h1")),
        ("POST", "/handlers/h1/cancel?purge=true", CancelHandler("h1", purge=True)),
        ("POST", "/handlers/h1/cancel?purge=TRUE", CancelHandler("h1", purge=True)),
        ("POST", "/handlers/h1/cancel?purge=1", CancelHandler("h1")),
        ("POST", "/handlers/h1/cancel?purge=", CancelHandler("h1")),
        ("GET", "/events/h1", StreamEvents("h1")),
        ("GET", "/events/h1?after_sequence=now", StreamEvents("h1")),
        ("GET", "/events/h1?after_sequence=NOW", StreamEvents("h1")),
        ("GET", "/events/h1?after_sequence=-1", StreamEvents("h1", after=-1)),
        ("GET", "/events/h1?after_sequence=-7", StreamEvents("h1", after=-1)),
        ("GET", "/events/h1?after_sequence=+5", StreamEvents("h1", after=5)),
        ("GET", "/events/h1?after_sequence=%2B5", StreamEvents("h1", after=5)),
        ("GET", "/events/h1?sse=false", StreamEvents("h1", sse=False)),
        ("GET", "/events/h1?sse=True", StreamEvents("h1", sse=True)),
        ("GET", "/events/h1?sse=yes", StreamEvents("h1", sse=False)),
        (
            "GET",
            "/events/h1?include_internal=true&include_qualified_name=false",
            StreamEvents("h1", include_internal=True, include_qualified_name=False),
        ),
        ("GET", "/events/h1?run_id=r1", StreamEvents("h1", run_id="r1")),
        ("HEAD", "/events/h1", StreamEvents("h1", head_only=True)),
    ],
)
def test_a_request_becomes_its_command(method: str, target: str, command: Command) -> None:
    assert read(method, target) == command


@pytest.mark.parametrize(
    ("body", "command"),
    [
        (b"", StartRun("greet")),
        (b" \r\n", StartRun("greet")),
        ({}, StartRun("greet")),
        ({"start_event": None, "kwargs": None, "handler_id": None, "context": None}, StartRun("greet")),
        ({"start_event": {"name": "k"}}, StartRun("greet", start_event={"name": "k"})),
        ({"start_event": '{"name": "k"}'}, StartRun("greet", start_event='{"name": "k"}')),
        ({"start_event": {}}, StartRun("greet", start_event={})),
        ({"kwargs": {"name": "k"}}, StartRun("greet", start_event={"name": "k"})),
        ({"start_event": {"a": 1}, "kwargs": {"b": 2}}, StartRun("greet", start_event={"a": 1})),
        ({"start_event": None, "kwargs": {"b": 2}}, StartRun("greet")),
        ({"handler_id": "h 1"}, StartRun("greet", handler_id="h 1")),
        ({"handler_id": "\u00e9" * 256}, StartRun("greet", handler_id="\u00e9" * 256)),
        ({"context": {"state": {}}}, StartRun("greet", context={"state": {}})),
        ({"unknown": [1]}, StartRun("greet")),
    ],
)
def test_a_body_becomes_the_start_of_a_run(body: Any, command: StartRun) -> None:
    assert read("POST", "/workflows/greet/run-nowait", body) == command


def test_run_waits_and_run_nowait_does_not() -> None:
    assert read("POST", "/workflows/greet/run") == StartRun("greet", wait=True)
    assert read("POST", "/workflows/greet/run-nowait") == StartRun("greet", wait=False)


@pytest.mark.parametrize(
    ("query", "command"),
    [
        ("?wait=30", GetHandler("h1", wait=30.0)),
        ("?wait=0.5&outcome=body", GetHandler("h1", wait=0.5, outcome_in_body=True)),
        ("?wait=0&outcome=status", GetHandler("h1")),
        ("?more=1", GetHandler("h1")),
        ("?wait=-1", refused("Invalid wait: '-1' must be a number of seconds from 0 to 3600")),
        ("?wait=3601", refused("Invalid wait: '3601' must be a number of seconds from 0 to 3600")),
        ("?wait=soon", refused("Invalid wait: 'soon' must be a number of seconds from 0 to 3600")),
        ("?wait=nan", refused("Invalid wait: 'nan' must be a number of seconds from 0 to 3600")),
        ("?wait=1&wait=2", refused("Invalid query: wait is given 2 times")),
        ("?outcome=head", refused("Invalid outcome: 'head'. Expected one of body, status")),
    ],
)
def test_how_a_handler_is_asked_for(query: str, command: Any) -> None:
    assert read("GET", f"/handlers/h1{query}") == command


def keys_of(method: str, target: str, body: Any = b"", **headers: str) -> tuple[IdempotencyKey, ...]:
    command = read(method, target, body, **headers)
    assert isinstance(command, StartRun | SendEvent), command
    return command.keys


def test_a_key_goes_with_what_the_request_asks_for() -> None:
    body = {"start_event": {"a": 1, "b": [2]}, "handler_id": "h"}
    (key,) = keys_of("POST", "/workflows/greet/run", body, idempotency_key=' "k 1" ')
    assert (key.scope, key.text) == ("", '"k 1"')
    spaced = b'{ "handler_id": "h", "kwargs": null,\n "start_event": {"b":[2], "a":1} }'
    assert keys_of("POST", "/workflows/greet/run-nowait", spaced, idempotency_key='"k 1"') == (key,)
    others = [{**body, "handler_id": "g"}, {**body, "start_event": {"a": 1}}, {**body, "context": {"x": 1}}, {}]
    digests = {keys_of("POST", "/workflows/greet/run", other, idempotency_key="k")[0].payload for other in others}
    digests |= {key.payload, keys_of("POST", "/workflows/other/run", body, idempotency_key="k")[0].payload}
    assert len(digests) == 6


def test_the_key_of_an_event_belongs_to_its_handler() -> None:
    body = {"event": {"type": "A", "value": {}}, "step": "s"}
    (key,) = keys_of("POST", "/events/h1", body, idempotency_key="k")
    assert (key.scope, key.text) == ("h1", "k")
    (same,) = keys_of("POST", "/events/h1", {**body, "waiter_id": None}, idempotency_key="k")
    assert same == key
    both = keys_of("POST", "/events/h1", {**body, "waiter_id": "w"}, idempotency_key="k")
    assert [(key.scope, key.text) for key in both] == [("h1", "k"), ("h1/waits", "w")]
    assert keys_of("POST", "/events/h1", body) == ()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (" ", "must not be empty"),
        ("x" * 257, "must not be longer than 256 characters"),
        ("a\x00b", "must not contain control characters or invisible ones"),
    ],
)
def test_what_is_no_key(text: str, wrong: str) -> None:
    for target, body in (("/workflows/w/run", {}), ("/events/h", {"event": {"type": "A"}})):
        assert read("POST", target, body, idempotency_key=text) == refused(f"Invalid Idempotency-Key: it {wrong}")


def test_a_waiter_id_is_a_string() -> None:
    found = read("POST", "/events/h", {"event": {"type": "A"}, "waiter_id": 7})
    assert found == refused("Error processing request: 'waiter_id' must be a string, not a number")
    command = read("POST", "/events/h", {"event": {"type": "A"}, "waiter_id": "r/7/x"})
    assert isinstance(command, SendEvent)
    assert command.waiter_id == "r/7/x"


def test_what_was_not_sent_differs_from_null() -> None:
    command = read("POST", "/workflows/greet/run")
    assert isinstance(command, StartRun)
    assert command.start_event is MISSING
    assert repr(MISSING) == "MISSING"


@pytest.mark.parametrize(
    ("body", "command"),
    [
        ({"event": {"type": "A", "value": {}}}, SendEvent("h1", {"type": "A", "value": {}})),
        ({"event": '{"type": "A", "data": {}}'}, SendEvent("h1", '{"type": "A", "data": {}}')),
        ({"event": {"a": 1}, "step": "ask"}, SendEvent("h1", {"a": 1}, "ask")),
        ({"event": {"a": 1}, "step": None}, SendEvent("h1", {"a": 1})),
        ({"event": {"a": 1}, "step": ""}, SendEvent("h1", {"a": 1})),
    ],
)
def test_a_body_becomes_an_event_for_a_run(body: Any, command: SendEvent) -> None:
    assert read("POST", "/events/h1", body) == command


@pytest.mark.parametrize(
    ("query", "last_event_id", "after"),
    [
        ("", "41", 41),
        ("?after_sequence=7", "41", 41),
        ("?after_sequence=7", " 41 ", 41),
        ("?after_sequence=7", "", 7),
        ("?after_sequence=7", "41, 42", 7),
        ("?after_sequence=7", "abc", 7),
        ("?after_sequence=7", "4_1", 7),
        ("?after_sequence=7", "9" * 30, 7),
        ("?after_sequence=7&sse=false", "41", 7),
        ("?sse=false", "41", "now"),
    ],
)
def test_a_client_that_comes_back_goes_on_after_the_last_event_it_saw(
    query: str, last_event_id: str, after: Any
) -> None:
    command = read("GET", f"/events/h1{query}", last_event_id=last_event_id)
    assert isinstance(command, StreamEvents)
    assert command.after == after


# ------------------------------------------------------------------------------------------------------ what is wrong

RUNS = ("/workflows/greet/run", "/workflows/greet/run-nowait")
BODY = "Error processing request body: "
START = (
    "Validation error for 'start_event': Failed to deserialize event: it must be a JSON object, or the JSON text of one"
)
NOT_JSON: list[Any] = [
    (b"{", "EOF while parsing an object at line 1 column 1"),
    (b"nope", "expected ident at line 1 column 2"),
    (b"\xff", "expected value at line 1 column 1"),
    (b'{"start_event": {"x": NaN}}', "expected value at line 1 column 23"),
    (b'{"start_event": {"x": 1e999}}', "a number is too large"),
    (rb'{"handler_id": "\ud800"}', "unexpected end of hex escape at line 1 column 23"),
    (b'{"start_event": ' + b"[" * 300, "recursion limit exceeded at line 1 column 217"),
    (b"{} {}", "trailing characters at line 1 column 4"),
]
KINDS: list[Any] = [
    (1, "a number"),
    (1.5, "a number"),
    (True, "a boolean"),
    ("x", "a string"),
    ([], "a list"),
    ({}, "an object"),
]


def all_but(*kinds: str) -> list[Any]:
    return [pair for pair in KINDS if pair[1] not in kinds]


@pytest.mark.parametrize("path", RUNS)
@pytest.mark.parametrize(
    ("body", "detail"),
    [
        *((body, f"Invalid JSON body: {reason}") for body, reason in NOT_JSON),
        *((value, f"{BODY}the body must be an object, not {kind}") for value, kind in all_but("an object")),
        (b"null", f"{BODY}the body must be an object, not null"),
        *(({"start_event": v}, f"{START}, not {kind}") for v, kind in all_but("an object", "a string")),
        *(({"kwargs": v}, f"{START}, not {kind}") for v, kind in all_but("an object", "a string")),
        *(({"kwargs": v, "start_event": {}}, f"{START}, not {kind}") for v, kind in all_but("an object", "a string")),
        *(({"context": v}, f"{BODY}'context' must be an object, not {kind}") for v, kind in all_but("an object")),
        *(({"handler_id": v}, f"{BODY}'handler_id' must be a string, not {kind}") for v, kind in all_but("a string")),
        ({"handler_id": "a/b"}, f"{BODY}'handler_id' must not contain '/'"),
        ({"handler_id": ".."}, f"{BODY}'handler_id' must not be '..', which a path can't carry"),
        ({"handler_id": "x" * 257}, f"{BODY}'handler_id' must not be longer than 256 characters"),
        ({"handler_id": "a\nb"}, f"{BODY}'handler_id' must not contain control characters or invisible ones"),
        ({"handler_id": "a\u200bb"}, f"{BODY}'handler_id' must not contain control characters or invisible ones"),
    ],
)
def test_a_wrong_start_is_refused(path: str, body: Any, detail: str) -> None:
    assert read("POST", path, body) == refused(detail)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "Error processing request: EOF while parsing a value at line 1 column 0"),
        *((body, f"Error processing request: {reason}") for body, reason in NOT_JSON),
        *(
            (value, f"Error processing request: the body must be an object, not {kind}")
            for value, kind in all_but("an object")
        ),
        *((body, "Event data is required") for body in ({}, {"event": None}, {"event": ""}, {"event": {}})),
        *(
            (
                {"event": value},
                f"Failed to deserialize event: it must be a JSON object, or the JSON text of one, not {kind}",
            )
            for value, kind in all_but("an object", "a string")
        ),
        ({"event": 0}, "Failed to deserialize event: it must be a JSON object, or the JSON text of one, not a number"),
        *(
            ({"event": {"a": 1}, "step": value}, f"Error processing request: 'step' must be a string, not {kind}")
            for value, kind in all_but("a string")
        ),
    ],
)
def test_a_wrong_event_is_refused(body: Any, detail: str) -> None:
    assert read("POST", "/events/h1", body) == refused(detail)


@pytest.mark.parametrize(
    ("method", "target", "detail"),
    [
        (
            "GET",
            "/handlers?status=done",
            "Invalid status: 'done'. Expected one of running, completed, failed, cancelled",
        ),
        (
            "GET",
            "/handlers?phase=asleep",
            "Invalid phase: 'asleep'. Expected one of queued, running, waiting, idle, blocked, done",
        ),
        *(
            ("GET", f"/handlers?limit={value}", f"Invalid limit: '{value}'. Expected a whole number from 1 to 1000")
            for value in ("0", "1001", "-1", "1.5", "x", "9" * 30, "1e2")
        ),
        *(
            (
                "GET",
                f"/handlers?started_after={value}",
                f"Invalid started_after: '{value}'. Expected a time like 2026-01-31T12:00:00Z or 2026-01-31",
            )
            for value in ("yesterday", "2026-13-01", "12", "2026-01-01T25:00:00Z", "-")
        ),
        ("GET", "/handlers?limit=1&limit=2", "Invalid query: limit is given 2 times"),
        ("GET", "/handlers?cursor=1&cursor=1", "Invalid query: cursor is given 2 times"),
        (
            "GET",
            "/handlers?status=running&status=RUNNING",
            "Invalid status: 'RUNNING'. Expected one of running, completed, failed, cancelled",
        ),
        (
            "GET",
            "/handlers?workflow_name=%zz",
            "Invalid query parameter: 'workflow_name=%zz' must be percent-encoded UTF-8",
        ),
        ("GET", "/handlers?x=%ff", "Invalid query parameter: 'x=%ff' must be percent-encoded UTF-8"),
        ("GET", "/handlers?%=1", "Invalid query parameter: '%=1' must be percent-encoded UTF-8"),
        ("GET", "/handlers?\u4e16=1", "Invalid query parameter: '\u4e16=1' must be percent-encoded UTF-8"),
        ("POST", "/handlers/h1/cancel?purge=true&purge=false", "Invalid query: purge is given 2 times"),
        ("POST", "/handlers/h1/cancel?purge=%e9", "Invalid query parameter: 'purge=%e9' must be percent-encoded UTF-8"),
        ("GET", "/events/h1?after_sequence=zz", "Invalid after_sequence: 'zz'"),
        ("GET", "/events/h1?after_sequence=", "Invalid after_sequence: ''"),
        ("GET", "/events/h1?after_sequence", "Invalid after_sequence: ''"),
        ("GET", "/events/h1?after_sequence=1.5", "Invalid after_sequence: '1.5'"),
        ("GET", "/events/h1?after_sequence=1_0", "Invalid after_sequence: '1_0'"),
        ("GET", "/events/h1?after_sequence=%D9%A3", "Invalid after_sequence: '\u0663'"),
        ("GET", f"/events/h1?after_sequence={'9' * 19}", f"Invalid after_sequence: '{'9' * 19}'"),
        ("GET", "/events/h1?after_sequence=1&after_sequence=2", "Invalid query: after_sequence is given 2 times"),
        *(
            ("GET", f"/events/h1?{name}=true&{name}=true&{name}=true", f"Invalid query: {name} is given 3 times")
            for name in ("sse", "include_internal", "include_qualified_name", "run_id")
        ),
        ("GET", "/events/h1?run_id=", "Invalid run_id: it must not be empty"),
        ("GET", "/events/h1?run_id=a/b", "Invalid run_id: it must not contain '/'"),
    ],
)
def test_a_wrong_query_is_refused(method: str, target: str, detail: str) -> None:
    assert read(method, target) == refused(detail)


@pytest.mark.parametrize(
    ("method", "pattern", "what"),
    [
        (route.method, route.path, route.path.partition("{")[2].partition("}")[0])
        for route in routes.ROUTES
        if "{" in route.path
    ],
)
@pytest.mark.parametrize(
    ("segment", "reason"),
    [
        ("%", "must be percent-encoded UTF-8"),
        ("a%2", "must be percent-encoded UTF-8"),
        ("%GG", "must be percent-encoded UTF-8"),
        ("%ff", "must be percent-encoded UTF-8"),
        ("\u4e16", "must be percent-encoded UTF-8"),
        ("%ED%A0%80", "must be percent-encoded UTF-8"),
        ("a%2Fb", "must not contain '/'"),
        (".", "must not be '.', which a path can't carry"),
        ("%2e%2E", "must not be '..', which a path can't carry"),
        ("a%00b", "must not contain control characters or invisible ones"),
        ("a%0Ab", "must not contain control characters or invisible ones"),
        ("x" * 257, "must not be longer than 256 characters"),
    ],
)
def test_a_wrong_name_in_a_path_is_refused(method: str, pattern: str, what: str, segment: str, reason: str) -> None:
    outcome = read(method, pattern.replace(f"{{{what}}}", segment))
    assert outcome == refused(f"Invalid {what} in the path: it {reason}")


# --------------------------------------------------------------------------------------------------------- whatever


@given(
    target=st.sampled_from([route.path for route in routes.ROUTES]),
    name=st.text(st.characters(max_codepoint=255, exclude_characters="/"), min_size=1, max_size=8),
    query=st.text(st.sampled_from("=&%+aszue1-_ \xe9"), max_size=20),
    body=st.binary(max_size=20) | st.sampled_from([b"{}", b'{"event": {"a": 1}}', b'{"handler_id": 1}']),
)
def test_no_request_breaks_a_parser(target: str, name: str, query: str, body: bytes) -> None:
    path = target.partition("{")[0] + name + target.partition("}")[2] if "{" in target else target
    found = routes.find(path)
    assert found is not None
    for method in found[0].routes:
        outcome = routes.read(Request(method, path, query, (), body), *found)
        assert not isinstance(outcome, Refused) or outcome.why is Refusal.INVALID

"""The same requests to the peer's server and to ours: statuses, bodies and streams are the same.

A conversation is a list of exchanges; every exchange is compared, apart from times and ids that
the server made up. Where ours answers otherwise on purpose, `OURS` says what it must answer.
"""

from __future__ import annotations

import functools
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.environment import PEER, Unavailable, clean, interpreter
from tests_support.served import Answer, Served, process, serving, until

pytestmark = pytest.mark.interop

PROGRAMS = Path(__file__).parent / "programs"

OURS: dict[str, tuple[str, int, str]] = {
    "no body": ("an empty body on run means no input", 400, "Validation error for 'start_event'"),
    "no body, no fields needed": ("an empty body on run means no input", 200, "Hello, World!"),
    "start event null": ("the client's mistake is 400", 400, "Validation error for 'start_event'"),
    "handler_id is a number": ("the client's mistake is 400", 400, "handler_id"),
    "handler_id with a slash": ("ids in paths are validated", 400, "handler_id"),
    "event body is a list": ("the client's mistake is 400", 400, "Error processing request: "),
    "event to an unknown step": ("an unknown step is 400", 400, "Step zzz does not exist"),
    "event to a step that does not take it": ("a wrong step is 400", 400, "does not accept event of type"),
    "step is a number": ("the client's mistake is 400", 400, "step"),
    "unknown status": ("a bad status filter is 400", 400, "status"),
    "stream that is over": ("204 carries no body", 204, ""),
    "stream from now that is over": ("204 carries no body", 204, ""),
    "stream from beyond the end": ("204 carries no body", 204, ""),
}
"""What ours answers otherwise on purpose: why, the status, and a fragment of the body."""

_START = "Validation error for 'start_event': "
_NO_EVENT = "Failed to deserialize event"

SENTENCES: dict[str, str] = {
    "a context": "Context API is disabled",
    "body is a list": "Error processing request body: ",
    "body is a number": "Error processing request body: ",
    "body is null": "Error processing request body: ",
    "body breaks off": "Invalid JSON body: ",
    "no start event": _START + _NO_EVENT,
    "start event is a number": _START + _NO_EVENT,
    "start event is a list": _START + _NO_EVENT,
    "start event is broken text": _START + _NO_EVENT,
    "start event is text of a number": _START + _NO_EVENT,
    "start event has no type": _START,
    "start event of the base class": _START,
    "wrong type of a field": _START + _NO_EVENT,
    "undeclared qualified name": "os.path",
    "type alone": _START + _NO_EVENT,
    "event body breaks off": "Error processing request: ",
    "event body is empty": "Error processing request: ",
    "event is a number": _NO_EVENT,
    "event is broken text": _NO_EVENT,
    "event without value": _NO_EVENT,
    "event without type": _NO_EVENT,
    "event lacks a field": _NO_EVENT,
    "event with a wrong field": _NO_EVENT,
    "method": "Method Not Allowed",
}
"""Errors whose sentence is our own, with the fragment of it that programs match; the status is the same."""

_EXPECTED = re.compile(r"(?<=Expected one of ).*")


class Talk:
    """One conversation with one server."""

    def __init__(self, server: Served) -> None:
        self.server = server
        self.heard: dict[str, Any] = {}

    def ask(self, label: str, method: str, path: str, body: Any = None, **headers: str) -> None:
        """Ask and note the answer under `label`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        assert label not in self.heard, label
        self.heard[label] = _plain(self.server.ask(method, path, body, headers=sent))

    def run(self, label: str, workflow: str, body: Any) -> None:
        """Run a workflow, waiting for its end."""
        self.ask(label, "POST", f"/workflows/{workflow}/run", body)


def _plain(answer: Answer) -> list[Any]:
    kind = answer.headers.get("content-type", "")
    if kind.startswith("application/json") and answer.text:
        return [answer.status, kind, _without_chance(answer.json)]
    return [answer.status, kind, re.sub(r'"elapsed_seconds": ?[^,}]+', '"elapsed_seconds":0', answer.text)]


def _without_chance(value: Any) -> Any:
    """Replace what differs from run to run, and drop what only ours adds."""
    if isinstance(value, list):
        return [_without_chance(item) for item in value]
    if isinstance(value, str):
        # The peer lists classes in the order of a set.
        return _EXPECTED.sub(lambda found: ", ".join(sorted(found.group().split(", "))), value)
    if not isinstance(value, dict):
        return value
    made_up = ("run_id", "started_at", "updated_at", "completed_at", "elapsed_seconds")
    kept = {key: _without_chance(item) for key, item in value.items() if key not in {"phase", "description"}}
    kept |= {key: "made up" for key in made_up if kept.get(key) is not None}
    if re.fullmatch(r"[A-Za-z0-9]{10}", str(kept.get("handler_id"))):
        kept["handler_id"] = "made up"
    if isinstance(kept.get("events"), list):
        kept["events"].sort(key=lambda schema: schema["title"])
    return kept


def starting(talk: Talk) -> None:
    """Ways to start a run, right and wrong."""
    for label, body in {
        "bare fields": {"start_event": {"a": 1}},
        "envelope by type": {"start_event": {"type": "Input", "value": {"a": 1}}},
        "envelope by qualified name": {"start_event": {"qualified_name": "served.Input", "value": {"a": 1}}},
        "text": {"start_event": '{"a": 1}'},
        "kwargs": {"kwargs": {"a": 2}},
        "start_event wins over kwargs": {"start_event": {"a": 1}, "kwargs": {"a": 2}},
        "extra fields": {"start_event": {"a": 1, "b": 2}},
        "unknown keys": {"start_event": {"a": 1}, "zzz": 3},
        "empty handler_id": {"start_event": {"a": 1}, "handler_id": ""},
        "handler_id null": {"start_event": {"a": 1}, "handler_id": None},
        "empty context": {"start_event": {"a": 1}, "context": {}},
        "a context": {"start_event": {"a": 1}, "context": {"x": 1}},
        "no start event": {},
        "start event null": {"start_event": None},
        "start event is a number": {"start_event": 3},
        "start event is a list": {"start_event": []},
        "start event is broken text": {"start_event": "{"},
        "start event is text of a number": {"start_event": "3"},
        "wrong type of a field": {"start_event": {"a": "q"}},
        "start event of the base class": {"start_event": {"type": "StartEvent", "value": {}}},
        "another event": {"start_event": {"type": "Output", "value": {"x": 1}}},
        "unknown event": {"start_event": {"type": "Nope", "value": {}}},
        "undeclared qualified name": {"start_event": {"qualified_name": "os.path", "value": {}}},
        "start event has no type": {"start_event": {"value": {"a": 1}}},
        "type alone": {"start_event": {"type": "Input"}},
        "handler_id is a number": {"start_event": {"a": 1}, "handler_id": 3},
        "handler_id with a slash": {"start_event": {"a": 1}, "handler_id": "a/b"},
        "no body": b"",
        "body is a list": b"[]",
        "body is a number": b"3",
        "body is null": b"null",
        "body breaks off": b"{",
    }.items():
        talk.run(label, "typed", body)
    talk.run("no body, no fields needed", "greet", b"")
    talk.run("extras", "greet", {"start_event": {"name": "Ada"}})
    talk.run("extras in an envelope", "greet", {"start_event": {"type": "StartEvent", "value": {"name": "Ada"}}})
    talk.run("extras as dumped", "greet", {"start_event": {"type": "StartEvent", "value": {"_data": {"name": "A"}}}})
    talk.ask("in the background", "POST", "/workflows/sleeps/run-nowait", {"handler_id": "busy"})
    talk.ask("running already", "POST", "/workflows/sleeps/run-nowait", {"handler_id": "busy"})
    talk.run("running already, run and wait", "greet", {"handler_id": "busy"})
    # A step that sleeps on would hold up the end of the server.
    talk.server.ask("POST", "/handlers/busy/cancel")


def ending(talk: Talk) -> None:
    """What a finished handler looks like from every side."""
    for workflow in ("greet", "nothing", "typed", "fails", "silent", "late"):
        start = {"a": 1} if workflow == "typed" else {}
        talk.run(f"{workflow}: run", workflow, {"handler_id": workflow, "start_event": start})
        for place in ("handlers", "results"):
            talk.ask(f"{workflow}: {place}", "GET", f"/{place}/{workflow}")
        talk.ask(f"{workflow}: stream", "GET", f"/events/{workflow}?after_sequence=-1&sse=false")
        talk.ask(f"{workflow}: event afterwards", "POST", f"/events/{workflow}", {"event": {"type": "Answer"}})
        talk.ask(f"{workflow}: cancel afterwards", "POST", f"/handlers/{workflow}/cancel")
    talk.ask("purge", "POST", "/handlers/greet/cancel?purge=true")
    talk.ask("purge again", "POST", "/handlers/greet/cancel?purge=true")
    talk.ask("purged", "GET", "/handlers/greet")


def streaming(talk: Talk) -> None:
    """Cursors and forms of a finished stream."""
    talk.ask("start", "POST", "/workflows/asks/run-nowait", {"handler_id": "stream"})
    talk.server.seen("stream", "WorkflowIdleEvent")
    talk.ask("answer", "POST", "/events/stream", {"event": {"type": "Answer", "value": {"text": "x"}}})
    talk.server.finished("stream")
    for label, query in {
        "without qualified names": "after_sequence=-1&sse=false&include_qualified_name=false",
        "lines": "after_sequence=-1&sse=FALSE",
        "far below zero": "after_sequence=-9&sse=false",
        "after the question": "after_sequence=2&sse=false",
        "only true is true": "after_sequence=-1&sse=1",
        "stream that is over": "",
        "stream from now that is over": "after_sequence=NOW",
        "stream from beyond the end": "after_sequence=99",
        "bad cursor": "after_sequence=zz",
        "fractional cursor": "after_sequence=1.5",
        "empty cursor": "after_sequence=",
    }.items():
        talk.ask(label, "GET", f"/events/stream?{query}")
    talk.ask("last id of lines", "GET", "/events/stream?after_sequence=-1&sse=false", last_event_id="99")


def _frames(answer: Answer) -> list[list[Any]]:
    """The events of an SSE answer with their ids; comments and hints left out."""
    found = []
    for frame in answer.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.splitlines() if not line.startswith(":"))
        if "data" in fields:
            found.append([fields.get("id"), json.loads(fields["data"])])
    return found


def server_sent_events(talk: Talk) -> None:
    """Ids and cursors of SSE; ours adds comments and a hint, the events are the same."""
    talk.ask("run", "POST", "/workflows/asks/run-nowait", {"handler_id": "sse"})
    talk.server.seen("sse", "WorkflowIdleEvent")
    talk.ask("answer", "POST", "/events/sse", {"event": {"type": "Answer", "value": {"text": "x"}}})
    talk.server.finished("sse")
    for label, query, last in (
        ("all", "after_sequence=-1", ""),
        ("after 2", "after_sequence=2", ""),
        ("last id wins", "after_sequence=-1", "2"),
        ("last id that is no number", "after_sequence=-1", "zz"),
    ):
        headers = {"last-event-id": last} if last else {}
        answer = talk.server.ask("GET", f"/events/sse?{query}", headers=headers)
        talk.heard[label] = [answer.status, answer.headers["content-type"], _frames(answer)]


def _internal(value: Any) -> Any:
    return [[event["type"], event["types"]] for event in map(json.loads, value.splitlines())]


def internal_events(talk: Talk) -> None:
    """Internal events in a stream, by type; their contents are compared by the engine's parity tests."""
    talk.run("run", "greet", {"handler_id": "internal"})
    answer = talk.server.ask("GET", "/events/internal?after_sequence=-1&sse=false&include_internal=true")
    talk.heard["stream"] = _internal(answer.text)


def posting(talk: Talk) -> None:
    """Events for a running handler, right and wrong."""
    talk.ask("start", "POST", "/workflows/asks/run-nowait", {"handler_id": "posting"})
    talk.server.seen("posting", "WorkflowIdleEvent")
    answer = {"type": "Answer", "value": {"text": "x"}}
    for label, body in {
        "event body is empty": b"",
        "event body breaks off": b"{",
        "event body is a list": b"[]",
        "no event": {},
        "event null": {"event": None},
        "event is a number": {"event": 3},
        "event is empty": {"event": {}},
        "event is broken text": {"event": "{"},
        "event without value": {"event": {"type": "Answer"}},
        "event without type": {"event": {"text": "x"}},
        "event lacks a field": {"event": {"type": "Answer", "value": {}}},
        "event with a wrong field": {"event": {"type": "Answer", "value": {"text": 3}}},
        "unknown event": {"event": {"type": "Nope", "value": {}}},
        "undeclared qualified name": {"event": {"qualified_name": "os.path", "value": {}}},
        "event to an unknown step": {"event": answer, "step": "zzz"},
        "event to a step that does not take it": {"event": answer, "step": "go"},
        "step is a number": {"event": answer, "step": 3},
        "the answer, in old spelling, to its step": {"event": {"type": "Answer", "data": {"text": "y"}}, "step": "end"},
    }.items():
        talk.ask(label, "POST", "/events/posting", body)
    talk.server.finished("posting")
    talk.ask("result", "GET", "/results/posting")
    talk.ask("again", "POST", "/workflows/asks/run-nowait", {"handler_id": "posting"})
    talk.server.seen("posting", "WorkflowIdleEvent")
    talk.ask("answer as text", "POST", "/events/posting", {"event": json.dumps(answer)})
    talk.server.finished("posting")
    talk.ask("result with the state kept", "GET", "/results/posting")
    talk.ask("stream of the new run alone", "GET", "/events/posting?after_sequence=-1&sse=false")


def cancelling(talk: Talk) -> None:
    """Cancel, cancel again, purge."""
    talk.ask("start", "POST", "/workflows/sleeps/run-nowait", {"handler_id": "cancelling"})
    talk.server.seen("cancelling", "Note")
    talk.ask("while it runs", "GET", "/handlers/cancelling")
    talk.ask("cancel", "POST", "/handlers/cancelling/cancel")
    for place in ("handlers", "results"):
        talk.ask(place, "GET", f"/{place}/cancelling")
    talk.ask("stream", "GET", "/events/cancelling?after_sequence=-1&sse=false")
    talk.ask("cancel again", "POST", "/handlers/cancelling/cancel")
    talk.ask("start another", "POST", "/workflows/sleeps/run-nowait", {"handler_id": "purged"})
    talk.ask("purge while it runs", "POST", "/handlers/purged/cancel?purge=true")
    talk.ask("purged", "GET", "/handlers/purged")


def describing(talk: Talk) -> None:
    """Lists and descriptions."""
    talk.ask("health", "GET", "/health")
    talk.ask("workflows", "GET", "/workflows")
    for workflow in ("typed", "asks"):
        for part in ("schema", "events", "representation"):
            talk.ask(f"{workflow}: {part}", "GET", f"/workflows/{workflow}/{part}")


def listing(talk: Talk) -> None:
    """Filters of the list of handlers."""
    talk.run("one", "greet", {"handler_id": "list-1"})
    talk.run("two", "fails", {"handler_id": "list-2"})
    talk.run("three", "typed", {"handler_id": "list-3", "start_event": {"a": 1}})
    for label, query in {
        "all": "",
        "completed": "status=completed",
        "two statuses": "status=failed&status=completed",
        "blank": "status=&workflow_name=",
        "one workflow": "workflow_name=greet",
        "unknown workflow": "workflow_name=zzz",
        "both filters": "workflow_name=greet&workflow_name=fails&status=failed",
        "unknown status": "status=zzz",
    }.items():
        talk.ask(label, "GET", f"/handlers?{query}")


def losing(talk: Talk) -> None:
    """What is not there."""
    for label, method, path in (
        ("workflow to run", "POST", "/workflows/zzz/run"),
        ("workflow to start", "POST", "/workflows/zzz/run-nowait"),
        ("schema", "GET", "/workflows/zzz/schema"),
        ("events of a workflow", "GET", "/workflows/zzz/events"),
        ("representation", "GET", "/workflows/zzz/representation"),
        ("handler", "GET", "/handlers/zzz"),
        ("result", "GET", "/results/zzz"),
        ("stream", "GET", "/events/zzz"),
        ("handler to cancel", "POST", "/handlers/zzz/cancel"),
        ("handler to purge", "POST", "/handlers/zzz/cancel?purge=true"),
        ("route", "GET", "/workflows/greet/zzz"),
        ("method", "POST", "/health"),
    ):
        talk.ask(label, method, path, {} if method == "POST" else None)
    event = {"event": {"type": "Answer", "value": {"text": "x"}}}
    talk.ask("handler for an event", "POST", "/events/zzz", event)
    talk.ask("event and handler", "POST", "/events/zzz", {})


# `listing` comes first: its lists hold nobody else's handlers then.
CONVERSATIONS = (
    listing, starting, ending, streaming, server_sent_events, internal_events, posting, cancelling, describing, losing,
)  # fmt: skip


@contextmanager
def _serving(who: str) -> Iterator[Served]:
    if who != "peer":
        with serving(PROGRAMS / "served.py", "--backend", who, cwd=PROGRAMS) as server:
            yield server
        return
    try:
        python = interpreter(PEER)
    except Unavailable as error:
        pytest.skip(f"the peer is not to be had: {error}")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [str(python), "-m", "uvicorn", "served:app", "--port", str(port)]
    with process(command, cwd=PROGRAMS, env=clean()) as server:
        server.url = f"http://127.0.0.1:{port}"
        until(lambda: any("Uvicorn running" in line for line in server.lines))
        yield server


@functools.cache
def hear(who: str) -> dict[str, dict[str, Any]]:
    """Hold all conversations with a server of `peer`, or of ours on a loop, and return what was heard in each."""
    with _serving(who) as server:
        talks = {conversation: Talk(server) for conversation in CONVERSATIONS}
        for conversation, talk in talks.items():
            conversation(talk)
    return {conversation.__name__: talk.heard for conversation, talk in talks.items()}


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize("name", [conversation.__name__ for conversation in CONVERSATIONS])
def test_it_answers_as_the_peer_does(name: str, loop: str) -> None:
    expected, heard = hear("peer")[name], hear(loop)[name]
    assert heard.keys() == expected.keys()
    different = OURS.keys() | SENTENCES.keys()
    same = {label: answer for label, answer in heard.items() if label not in different}
    assert same == {label: answer for label, answer in expected.items() if label not in different}
    for label in heard.keys() & OURS.keys():
        _, status, fragment = OURS[label]
        assert [label, heard[label][0], fragment in str(heard[label][2])] == [label, status, True]
    for label in heard.keys() & SENTENCES.keys():
        assert [label, *_pinned(heard[label], label)] == [label, *_pinned(expected[label], label)]
        assert SENTENCES[label] in heard[label][2]["detail"]


def _pinned(answer: list[Any], label: str) -> list[Any]:
    status, kind, body = answer
    return [status, kind, SENTENCES[label] in body["detail"]]

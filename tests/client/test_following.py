"""The rules of the client that need no server: frames, cursors, pauses, arguments, and what it sends."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_server.client import WorkflowClient
from workflow_server.client.calls import Calls
from workflow_server.client.following import Follower, Frames
from workflow_server.client.patience import Breaks, Patience
from workflow_server.client.polling import Polls
from workflow_server.events import Event, StartEvent
from workflow_server.http.frames import sse_comment, sse_frame, sse_id, sse_retry

RUNNING = {
    "handler_id": "h", "workflow_name": "w", "run_id": "r", "error": None, "result": None, "status": "running",
    "started_at": "2026-01-01T00:00:00+00:00", "updated_at": None, "completed_at": None,
}  # fmt: skip


def frame(sequence: int, type: str = "A", **value: Any) -> bytes:
    envelope = {"value": value, "type": type, "qualified_name": f"m.{type}", "types": None}
    return sse_frame(json.dumps(envelope), str(sequence))


def follower(after: Any = -1, **patience: Any) -> Follower:
    return Follower(Calls("raise"), "h", False, after, None, Breaks(Patience(**patience), Random(1)))


def fed(one: Follower, data: bytes) -> list[Any]:
    return [(one.after, event.type) for event in one.feed(data)]


def broken_off(one: Follower) -> float:
    assert one.opened(200)
    return one.broken()


TEXTS = st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.integers(0, 99)), max_size=4)


@given(TEXTS, st.lists(st.integers(0, 400), max_size=8), st.sampled_from([b"\n", b"\r\n", b"\r"]), st.booleans())
def test_frames_are_read_however_they_are_split(
    texts: list[tuple[str, int]], cuts: list[int], line_end: bytes, bom: bool
) -> None:
    whole = sse_retry(2000) + b"".join(sse_frame(text, str(id)) + sse_comment("heartbeat") for text, id in texts)
    whole = (b"\xef\xbb\xbf" if bom else b"") + whole.replace(b"\n", line_end) + b": last\n"
    frames = Frames()
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    read = [found for a, b in pairwise(places) for found in frames.feed(whole[a:b])]
    assert read == [(str(id), text.replace("\r\n", "\n").replace("\r", "\n")) for text, id in texts]


def test_a_long_event_in_many_pieces_costs_in_proportion() -> None:
    whole = sse_frame("x" * 2_000_000, "1")
    frames = Frames()
    before = time.process_time()
    read = [found for begin in range(0, len(whole), 1000) for found in frames.feed(whole[begin : begin + 1000])]
    assert time.process_time() - before < 2, "it was 15 seconds when each piece had all before it searched again"
    assert read == [("1", "x" * 2_000_000)]


def test_what_comes_twice_is_dropped_and_what_is_cut_comes_again() -> None:
    one = follower()
    assert one.opened(200)
    assert fed(one, frame(0) + frame(2)[:-5]) == [(0, "A")]
    one.broken()
    assert dict(one.call().query)["after_sequence"] == "0"
    assert one.opened(200)
    assert fed(one, frame(0) + frame(2) + frame(2) + frame(1)) == [(2, "A")]
    assert fed(one, frame(5, "StopEvent") + frame(6)) == [(5, "StopEvent")]
    assert one.over


def test_204_is_the_end_and_a_body_that_ends_is_not() -> None:
    one = follower(7)
    assert one.opened(200)
    one.broken()
    assert not one.over
    assert not one.opened(204)
    assert one.over


def test_now_becomes_a_number_when_the_server_tells_it() -> None:
    one = follower("now")
    one.opened(200)
    assert fed(one, sse_id("-1") + frame(0)[:9]) == []
    assert one.after == -1
    other = follower("now")
    other.opened(200)
    assert fed(other, frame(4)) == [(4, "A")]


def test_pauses_grow_until_an_event_comes_and_tries_are_counted() -> None:
    one = follower(first=1.0, longest=4.0, attempts=2)
    pauses = [broken_off(one) for _ in range(9)]
    assert all(0 <= pause <= bound for pause, bound in zip(pauses, [1, 2, 4, 4, 4, 4, 4, 4, 4], strict=True))
    assert len(set(pauses)) == 9, "drawn by lot"
    one.opened(200)
    fed(one, frame(1))
    assert one.broken() <= 1
    one.broken()
    one.broken()
    with pytest.raises(ConnectionError, match="Failed to connect to event stream after 2 attempts"):
        one.broken()
    one.opened(200)
    one.broken()
    one.broken()


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ({"timeout": -1}, "timeout must be non-negative or None"),
        ({"poll_interval": -1}, "poll_interval must be non-negative"),
        ({"max_poll_interval": -1}, "max_poll_interval must be non-negative"),
        ({"poll_interval": 9}, "max_poll_interval must be greater than or equal to poll_interval"),
        ({"backoff": "random"}, "invalid backoff strategy: random"),
    ],
)
async def test_arguments_of_a_wait(arguments: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        await WorkflowClient(base_url="http://127.0.0.1:1").wait_for_handler("h", **arguments)


@pytest.mark.parametrize(
    ("backoff", "pauses"),
    [("constant", [1, 1, 1, 1]), ("linear", [1, 2, 3, 3]), ("exponential", [1, 2, 3, 3])],
)
def test_how_a_server_without_a_wait_is_asked(backoff: Any, pauses: list[float]) -> None:
    polls = Polls("h", 100.0, 1.0, 3.0, backoff, Breaks(), now=0.0)
    assert polls.ask(0.0) == 30.0
    assert [polls.pause(0.1) for _ in range(4)] == pauses
    assert polls.ask(90.0) == 10.0
    assert polls.pause(99.5) == 0.0, "it waited"
    with pytest.raises(TimeoutError, match=r"Handler 'h' did not complete within 100\.0 seconds"):
        polls.pause(100.0)


# ------------------------------------------------------------------------------- as the documented client


class Ask(Event):
    x: int


class Recorder:
    """A server that says yes to everything and remembers what it was asked."""

    def __init__(self, status: int = 200, body: Any = RUNNING) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.status, self.body = status, body
        transport = httpx.MockTransport(self._answer)
        self.client = WorkflowClient(httpx_client=httpx.AsyncClient(transport=transport, base_url="http://t"))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, str(request.url).removeprefix("http://t"), body))
        return httpx.Response(self.status, json=self.body)


async def test_what_it_sends() -> None:
    server = Recorder()
    client = server.client
    await client.run_workflow("a b/c")
    await client.run_workflow("w", start_event={"a": 1}, handler_id="h")
    await client.run_workflow("w", start_event=StartEvent(a=1))
    await client.run_workflow_nowait("w")
    await client.run_workflow_nowait("w", start_event={"a": 1}, context={"s": 1})
    server.body = {"status": "sent"}
    await client.send_event("h", Ask(x=1))
    await client.send_event("h", {"a": 1}, step="s")
    server.body = {"status": "cancelled"}
    await client.cancel_handler("h")
    server.body = {"handlers": [RUNNING]}
    await client.get_handlers(status=["running", "failed"], workflow_name=["w"])
    envelope = {"value": {}, "type": "StartEvent", "qualified_name": None}
    assert server.asked == [
        ("POST", "/workflows/a%20b%2Fc/run", {"start_event": {}, "context": {}}),
        ("POST", "/workflows/w/run", {"start_event": {"a": 1}, "context": {}, "handler_id": "h"}),
        ("POST", "/workflows/w/run", {"start_event": StartEvent(a=1).model_dump(), "context": {}}),
        ("POST", "/workflows/w/run-nowait", {"start_event": envelope, "context": {}}),
        ("POST", "/workflows/w/run-nowait", {"start_event": {"a": 1}, "context": {"s": 1}}),
        ("POST", "/events/h", {"event": {"value": {"x": 1}, "type": "Ask", "qualified_name": None}}),
        ("POST", "/events/h", {"event": {"a": 1}, "step": "s"}),
        ("POST", "/handlers/h/cancel?purge=false", None),
        ("GET", "/handlers?status=running&status=failed&workflow_name=w", None),
    ]


async def test_what_it_can_not_send() -> None:
    client = Recorder().client
    for run in (client.run_workflow, client.run_workflow_nowait):
        with pytest.raises(ValueError, match="Impossible to serialize the start event because of: "):
            await run("w", start_event=StartEvent(a=object()))
        with pytest.raises(ValueError, match="Impossible to serialize the start event because of: "):
            await run("w", start_event=3)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="Impossible to serialize the context because of: "):
            await run("w", context=object())
    with pytest.raises(ValueError, match="Error while serializing the provided event: "):
        await client.send_event("h", StartEvent(a=object()))


async def test_a_filter_that_there_is_not_is_a_mistake() -> None:
    server = Recorder(body={"handlers": [RUNNING]})
    with pytest.raises(TypeError, match="handlers can't be filtered by colour"):
        await server.client.get_handlers(colour="red")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="handlers can't be filtered by colour"):
        WorkflowClient.sync(base_url="http://t").get_handlers(colour="red")  # type: ignore[call-arg]
    assert server.asked == []


async def test_an_error_shows_the_beginning_of_the_answer() -> None:
    with pytest.raises(httpx.HTTPStatusError) as raised:
        await Recorder(503, "x" * 300).client.is_healthy()
    expected = '503 Service Unavailable for GET http://t/health. Response: "' + "x" * 199
    assert str(raised.value) == expected
    assert raised.value.response.status_code == 503


def test_where_the_server_is_must_be_said_once() -> None:
    with pytest.raises(ValueError, match="Either httpx_client or base_url must be provided"):
        WorkflowClient()
    with pytest.raises(ValueError, match="Only one of httpx_client or base_url must be provided"):
        WorkflowClient(base_url="http://t", httpx_client=httpx.AsyncClient())
    with pytest.raises(ValueError, match="failures must be 'raise' or 'return'"):
        WorkflowClient(base_url="http://t", failures="ignore")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (httpx.ConnectError("no"), ConnectionError, "Failed to connect to event stream after 1 attempts"),
        (httpx.ReadTimeout("slow"), TimeoutError, "Timeout waiting for events from handler h"),
    ],
)
async def test_streams_that_can_not_be_had(error: Exception, kind: type[Exception], text: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    client = WorkflowClient(httpx_client=httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://t"))
    stream = aiter(client.get_workflow_events("h", max_reconnect_attempts=1))
    with pytest.raises(kind, match=text):
        await anext(stream)

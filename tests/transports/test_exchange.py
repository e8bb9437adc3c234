"""From a request to its answer: bodies, streams, heartbeats, a client that leaves, a server that stops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests_support.exchange_parts import App, MemorySink, Pages, app_of, stream_of
from tests_support.facts import counting_turns
from workflow_server.http.messages import Request, Response
from workflow_server.transports.exchange import PIECE, exchange
from workflow_server.transports.lookout import UNWATCHED_SECONDS

GET = Request("GET", "/")
WAIT = Request("GET", "/wait")


async def owned_exchange(app: App, request: Request, sink: MemorySink) -> None:
    with sink.scope:
        await exchange(app, request, sink)


async def test_a_short_answer_is_one_part() -> None:
    sink = MemorySink()
    await exchange(app_of(Response(201, (("x", "y"),), b"hello")), GET, sink)
    assert (sink.status, sink.headers, sink.length) == (201, (("x", "y"),), 5)
    assert sink.parts == [b"hello"]
    assert sink.finished == 1


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("request_", "seconds", "watched"),
    [(GET, 2 * UNWATCHED_SECONDS, False), (WAIT, UNWATCHED_SECONDS / 4, False), (WAIT, 2 * UNWATCHED_SECONDS, True)],
)
async def test_only_long_waits_are_watched(request_: Request, seconds: float, watched: bool) -> None:
    sink = MemorySink()

    async def answer(request: Request) -> Response:
        await anyio.sleep(seconds)
        return Response(200)

    await exchange(App(answer), request_, sink)
    assert sink.watched is watched
    assert sink.finished == 1


@pytest.mark.parametrize("path", ["/", "/wait"])
async def test_head_and_bodiless_answers_send_nothing_and_open_no_feed(path: str) -> None:
    source = Pages([[b"never"]])
    sink = MemorySink()
    await exchange(app_of(stream_of(source, opening=b"hi")), Request("HEAD", path), sink)
    assert (source.pulls, source.closed) == (0, 1)
    assert (sink.parts, sink.length, sink.finished) == ([], None, 1)

    for request, response in ((Request("HEAD", path), Response(200, (), b"12")), (GET, Response(304, (), b"12"))):
        sink = MemorySink()
        await exchange(app_of(response), request, sink)
        assert (sink.parts, sink.length, sink.finished) == ([], 2, 1)


@pytest.mark.parametrize("request_", [GET, WAIT])
async def test_a_stream_is_opening_items_and_closing(request_: Request) -> None:
    source = Pages([[b"a", b"b"], [], [b"c"]])
    sink = MemorySink()
    await exchange(app_of(stream_of(source, opening=b"<", closing=b">", farewell=b"!")), request_, sink)
    assert sink.parts == [b"<", b"ab", b"c", b">"]
    assert (source.closed, sink.finished, sink.length) == (1, 1, None)


async def test_the_head_of_a_stream_leaves_before_its_first_item() -> None:
    source = Pages([], ends=False)
    sink = MemorySink()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(exchange, app_of(stream_of(source)), WAIT, sink)
        with anyio.fail_after(5):
            await source.waiting.wait()
        assert sink.parts == [b""]
        tasks.cancel_scope.cancel()
    assert source.closed == 1


async def test_a_large_page_is_handed_on_in_bounded_pieces() -> None:
    item = b"x" * (PIECE // 4 + 1)
    sink = MemorySink()
    await exchange(app_of(stream_of(Pages([[item] * 10]))), WAIT, sink)
    assert sink.body == item * 10
    assert max(map(len, sink.parts)) < PIECE + len(item)
    assert len(sink.parts) == 4


async def test_heartbeats_fill_the_silence_and_stop_when_there_is_news() -> None:
    class Quiet(Pages):
        async def pull(self) -> Sequence[Any] | None:
            if sink.body.count(b":") < 3:
                await anyio.sleep_forever()
            return await super().pull()

    sink, source = MemorySink(), Quiet([[b"a"], [b"b"]])
    with anyio.fail_after(5):
        await exchange(app_of(stream_of(source, heartbeat=0.01, heartbeat_bytes=b":")), WAIT, sink)
    assert sink.body == b":::ab"
    assert source.closed == 1


async def test_items_that_are_filtered_out_are_silence() -> None:
    class Noise(Pages):
        async def pull(self) -> Sequence[Any] | None:
            return None if sink.body.count(b":") >= 2 else [b"", b""]

    sink = MemorySink()
    with anyio.fail_after(5):
        await exchange(app_of(stream_of(Noise([]), heartbeat=0.01, heartbeat_bytes=b":")), WAIT, sink)
    assert sink.body == b"::"


async def test_a_source_of_nothing_does_not_hold_the_loop() -> None:
    class Noise(Pages):
        async def pull(self) -> Sequence[Any] | None:
            self.pulls += 1
            return None if self.pulls > 10 else [b""]

    async with counting_turns() as turns:
        await exchange(app_of(stream_of(Noise([]))), GET, MemorySink())
    assert turns.count >= 10


async def test_a_client_that_leaves_cancels_the_waiting_answer() -> None:
    began, cancelled = anyio.Event(), False

    async def answer(request: Request) -> Response:
        nonlocal cancelled
        began.set()
        try:
            await anyio.sleep_forever()
        except BaseException:
            cancelled = True
            raise
        raise AssertionError

    sink = MemorySink()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(owned_exchange, App(answer), WAIT, sink)
            await began.wait()
            sink.left.set()
    assert cancelled
    assert (sink.status, sink.finished) == (None, 0)


async def test_a_client_that_leaves_ends_its_stream() -> None:
    sink, source = MemorySink(), Pages([[b"a"]], ends=False)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(exchange, app_of(stream_of(source, closing=b">", farewell=b"!")), WAIT, sink)
            await source.waiting.wait()
            sink.left.set()
    assert sink.body == b"a"
    assert (source.closed, sink.finished) == (1, 0)


async def test_a_stopping_server_says_farewell_instead_of_closing() -> None:
    sink, source = MemorySink(), Pages([[b"a"]], ends=False)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(exchange, app_of(stream_of(source, closing=b">", farewell=b"!")), WAIT, sink)
            await source.waiting.wait()
            sink.drain.set()
    assert sink.body == b"a!"
    assert (source.closed, sink.finished) == (1, 1)


async def test_a_stream_opened_while_the_server_stops_ends_at_once() -> None:
    sink, source = MemorySink(), Pages([], ends=False)
    sink.drain.set()
    with anyio.fail_after(5):
        await exchange(app_of(stream_of(source)), WAIT, sink)
    assert (source.closed, sink.finished) == (1, 1)


async def test_a_stopping_server_finishes_a_stream_that_does_not_wait() -> None:
    sink, source = MemorySink(), Pages([[b"a"], [b"b"]])
    sink.drain.set()
    await exchange(app_of(stream_of(source, closing=b">", farewell=b"!")), GET, sink)
    assert sink.body == b"ab>"


@pytest.mark.parametrize("request_", [GET, WAIT])
async def test_an_error_of_the_application_comes_out_as_it_is(request_: Request) -> None:
    async def answer(request: Request) -> Response:
        raise LookupError("boom")

    sink = MemorySink()
    with pytest.raises(LookupError, match="boom"):
        await exchange(App(answer), request_, sink)
    assert sink.status is None


@pytest.mark.parametrize("request_", [GET, WAIT])
@pytest.mark.parametrize("where", ["frame", "pull", "send"])
async def test_an_error_after_the_head_leaves_the_answer_unfinished_and_closes_the_source(
    request_: Request, where: str
) -> None:
    class Broken(Pages):
        async def pull(self) -> Sequence[Any] | None:
            if where == "pull":
                raise LookupError("boom")
            return await super().pull()

    class BrokenSink(MemorySink):
        async def send(self, data: bytes) -> None:
            if where == "send":
                raise LookupError("boom")
            await super().send(data)

    source: Any = Broken([[b"a" if where != "frame" else "not bytes"]])
    sink = BrokenSink()
    with pytest.raises(TypeError if where == "frame" else LookupError):
        await exchange(app_of(stream_of(source)), request_, sink)
    assert (sink.status, sink.finished, source.closed) == (200, 0, 1)


async def test_an_outer_cancellation_closes_the_source_once() -> None:
    sink, source = MemorySink(), Pages([], ends=False)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(exchange, app_of(stream_of(source)), GET, sink)
        with anyio.fail_after(5):
            await source.waiting.wait()
        tasks.cancel_scope.cancel()
    assert (source.closed, sink.finished) == (1, 0)

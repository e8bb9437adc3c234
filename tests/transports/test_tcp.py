"""The TCP server on real sockets: answers, clients that leave, errors, and connections beside each other."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import anyio
import h11
import pytest

from tests_support.exchange_parts import App, Pages, app_of, stream_of
from tests_support.tcp_server import LONG, serving
from workflow_server.http.limits import Limits
from workflow_server.http.messages import Request, Response


async def echo(request: Request) -> Response:
    return Response(200, (("content-type", "text/plain"),), f"{request.method} {request.path} ".encode() + request.body)


ECHO = App(echo)


class Waiting:
    """An application whose waiting routes answer when told, and which sees how waits end."""

    def __init__(self) -> None:
        self.began = anyio.Event()
        self.go = anyio.Event()
        self.cancelled = anyio.Event()

    def may_wait(self, request: Request) -> bool:
        return request.path == "/wait"

    async def respond(self, request: Request) -> Response:
        if request.path == "/wait":
            self.began.set()
            try:
                await self.go.wait()
            except BaseException:
                self.cancelled.set()
                raise
        return await echo(request)


async def soon(event: anyio.Event) -> None:
    with anyio.fail_after(LONG):
        await event.wait()


# ---------------------------------------------------------------------------------------------------- answers


async def test_a_connection_serves_many_requests() -> None:
    async with serving(ECHO) as served:
        wire = await served.connect()
        for number in range(3):
            await wire.ask(f"/{number}", method="POST", body=b"body")
            answer = await wire.answer()
            assert (answer.status, answer.body) == (200, f"POST /{number} body".encode())
            assert abs(parsedate_to_datetime(answer.headers["date"]).timestamp()) > 0


async def test_connections_do_not_wait_for_each_other() -> None:
    app = Waiting()
    async with serving(app) as served:
        slow, quick = await served.connect(), await served.connect()
        await slow.ask("/wait")
        await soon(app.began)
        await quick.ask("/quick")
        assert (await quick.answer()).body == b"GET /quick "
        app.go.set()
        assert (await slow.answer()).body == b"GET /wait "


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving(ECHO) as served:
        wire = await served.connect()
        await wire.send(b"".join(f"GET /{number} HTTP/1.1\r\nhost: x\r\n\r\n".encode() for number in range(5)))
        for number in range(5):
            assert (await wire.answer()).body == f"GET /{number} ".encode()


async def test_head_has_no_body_and_the_connection_goes_on() -> None:
    async with serving(ECHO) as served:
        wire = await served.connect()
        await wire.ask("/", method="HEAD")
        answer = await wire.answer("HEAD")
        assert (answer.status, answer.headers["content-length"], answer.body) == (200, "7", b"")
        await wire.ask("/after")
        assert (await wire.answer()).body == b"GET /after "


async def test_a_body_is_asked_for_with_100() -> None:
    async with serving(ECHO) as served:
        wire = await served.connect()
        await wire.ask("/", "expect: 100-continue", "content-length: 5", method="POST")
        await wire.until(lambda data: data == b"HTTP/1.1 100 \r\n\r\n")
        await wire.send(b"hello")
        assert (await wire.answer()).body == b"POST / hello"


async def test_a_large_answer_arrives_whole() -> None:
    body = bytes(range(256)) * 20_000
    async with serving(app_of(Response(200, (), body))) as served:
        wire = await served.connect()
        await wire.ask()
        assert (await wire.answer()).body == body


async def test_a_body_of_tiny_chunks_is_served_too() -> None:
    async with serving(ECHO) as served:
        wire = await served.connect()
        await wire.ask("/", "transfer-encoding: chunked", method="POST")
        await wire.send(b"1\r\na\r\n" * 1000 + b"0\r\n\r\n")
        assert (await wire.answer()).body == b"POST / " + b"a" * 1000


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 100_000 + b"\r\n\r\n", 431),
    ],
)
async def test_what_is_no_request_is_told_so_and_ends(
    data: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(ECHO) as served:
        wire, other = await served.connect(), await served.connect()
        await wire.send(data)
        answer = await wire.answer()
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert isinstance(json.loads(answer.body)["detail"], str)
        assert await wire.is_closed()
        await other.ask()
        assert (await other.answer()).status == 200
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


async def test_a_refusal_is_readable_while_the_body_is_still_being_sent() -> None:
    """Closing a socket with unread bytes resets it, and the client would lose the answer."""
    async with serving(ECHO, Limits(body_bytes=1000)) as served:
        wire = await served.connect()
        await wire.ask("/", "content-length: 200000", method="POST")
        await wire.send(b"x" * 200_000)
        answer = await wire.answer()
        assert answer.status == 413
        assert "1000 bytes" in answer.body.decode()
        assert await wire.is_closed()


# --------------------------------------------------------------------------------------------- clients that leave


async def test_a_wait_ends_when_the_client_leaves() -> None:
    app = Waiting()
    async with serving(app) as served:
        wire = await served.connect()
        await wire.ask("/wait")
        await soon(app.began)
        await wire.close()
        await soon(app.cancelled)


async def test_a_wait_ends_at_a_half_close() -> None:
    app = Waiting()
    async with serving(app) as served:
        wire = await served.connect()
        await wire.ask("/wait")
        await soon(app.began)
        await wire.stream.send_eof()
        await soon(app.cancelled)


async def test_a_wait_ends_when_the_client_resets() -> None:
    app = Waiting()
    async with serving(app) as served:
        stream = await anyio.connect_tcp("127.0.0.1", served.port)
        await stream.send(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
        await soon(app.began)
        reset(stream)
        await stream.aclose()
        await soon(app.cancelled)


async def test_what_arrives_during_a_wait_is_served_after_it() -> None:
    app = Waiting()
    async with serving(app) as served:
        wire = await served.connect()
        await wire.ask("/wait")
        await soon(app.began)
        await wire.ask("/first")
        await wire.ask("/second", method="POST", body=b"x" * 1000)
        app.go.set()
        assert [(await wire.answer()).body[:11] for _ in range(3)] == [b"GET /wait ", b"GET /first ", b"POST /secon"]


async def test_a_client_that_leaves_is_noticed_behind_what_it_sent_ahead() -> None:
    app = Waiting()
    async with serving(app) as served:
        wire = await served.connect()
        await wire.ask("/wait")
        await soon(app.began)
        await wire.ask("/first")
        await wire.close()
        await soon(app.cancelled)


async def test_a_short_answer_reaches_a_client_that_has_closed_its_side() -> None:
    async with serving(ECHO) as served:
        wire = await served.connect()
        await wire.ask("/a")
        await wire.ask("/b")
        await wire.stream.send_eof()
        assert (await wire.answer()).body == b"GET /a "
        assert (await wire.answer()).body == b"GET /b "
        assert await wire.is_closed()


async def test_a_client_that_leaves_at_any_byte_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    data = b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody"
    async with serving(ECHO) as served:
        other = await served.connect()
        for size in range(0, len(data) + 1, 3):
            stream = await anyio.connect_tcp("127.0.0.1", served.port)
            await stream.send(data[:size] or b"\r\n")
            reset(stream)
            await stream.aclose()
        await other.ask()
        assert (await other.answer()).status == 200
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


def reset(stream: Any) -> None:
    """Let closing `stream` send a reset."""
    import socket
    import struct

    raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# ---------------------------------------------------------------------------------------------------- streams


async def test_a_stream_arrives_piece_by_piece() -> None:
    source = Pages([[b"one "], [b"two "]], ends=False)
    async with serving(app_of(stream_of(source, opening=b"retry "))) as served:
        wire = await served.connect()
        await wire.ask("/wait")
        data = await wire.until(lambda data: b"two " in data)
        assert b"Transfer-Encoding: chunked\r\n" in data
        assert data.endswith(b"6\r\nretry \r\n4\r\none \r\n4\r\ntwo \r\n")


async def test_a_stream_ends_when_the_client_leaves() -> None:
    closed = anyio.Event()

    class Told(Pages):
        def close(self) -> None:
            super().close()
            closed.set()

    source = Told([], ends=False)
    async with serving(app_of(stream_of(source))) as served:
        wire = await served.connect()
        await wire.ask("/wait")
        await soon(source.waiting)
        await wire.close()
        await soon(closed)
    assert source.closed == 1


async def test_a_client_of_http_1_0_reads_a_stream_until_the_end() -> None:
    async with serving(app_of(stream_of(Pages([[b"one "], [b"two "]])))) as served:
        wire = await served.connect()
        await wire.send(b"GET /wait HTTP/1.0\r\n\r\n")
        assert (await wire.rest()).endswith(b"\r\n\r\none two ")


# ---------------------------------------------------------------------------------------------------- errors


def failing(answer: Callable[[], Awaitable[Response]]) -> App:
    async def respond(request: Request) -> Response:
        return await answer() if request.path.endswith("fail") else await echo(request)

    return App(respond)


def logged_errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("path", ["/fail", "/wait/fail"])
async def test_an_unexpected_error_is_500_logged_once_and_touches_nobody_else(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def boom() -> Response:
        raise OSError("a secret")

    async with serving(failing(boom)) as served:
        wire, other = await served.connect(), await served.connect()
        await wire.ask(path)
        answer = await wire.answer()
        assert (answer.status, answer.headers["connection"]) == (500, "close")
        assert b"secret" not in answer.body
        assert await wire.is_closed()
        await other.ask()
        assert (await other.answer()).status == 200
    (record,) = logged_errors(caplog)
    assert record.exc_info


@pytest.mark.parametrize("path", ["/fail", "/wait/fail"])
async def test_an_error_after_the_head_breaks_the_answer_off(path: str, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Pages):
        async def pull(self) -> Sequence[Any] | None:
            if not self.pages:
                raise OSError("boom")
            return await super().pull()

    async def broken() -> Response:
        return stream_of(Broken([[b"one "]]))

    async with serving(failing(broken)) as served:
        wire = await served.connect()
        await wire.ask(path)
        with pytest.raises(h11.RemoteProtocolError, match="incomplete chunked read"):
            await wire.answer()
        await wire.close()
        old = await served.connect()
        await old.send(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        with pytest.raises(anyio.BrokenResourceError):  # a reset: without chunks the end would look like the end
            await old.rest()
        await old.close()
    assert len(logged_errors(caplog)) == 2


async def test_a_head_that_cannot_be_sent_is_500() -> None:
    async with serving(app_of(Response(200, (("x", "a\nb"),), b""))) as served:
        wire = await served.connect()
        await wire.ask()
        assert (await wire.answer()).status == 500

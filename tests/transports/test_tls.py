"""TLS by a standard context: handshakes hold up nobody, and clients that don't speak it are no noise."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.streams.tls import TLSStream

from tests_support.exchange_parts import App, Pages, app_of, stream_of
from tests_support.tcp_server import LONG, Served, Wire, serving
from workflow_server.http.limits import Limits
from workflow_server.http.messages import Application, Request, Response
from workflow_server.transports.tcp import Binding

FOLDER = Path(__file__).parent / "tls"
OK = app_of(Response(200, (), b"ok"))


@asynccontextmanager
async def serving_tls(app: Application, limits: Limits | None = None) -> AsyncGenerator[Served, None]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(FOLDER / "cert.pem", FOLDER / "key.pem")
    async with serving(app, limits, Binding("127.0.0.1", 0, ssl_context=context)) as served:
        yield served


async def connect_tls(served: Served, *, polite: bool = True) -> Wire:
    context = ssl.create_default_context(cafile=str(FOLDER / "cert.pem"))
    with anyio.fail_after(LONG):
        raw = await anyio.connect_tcp("127.0.0.1", served.port)
        stream = await TLSStream.wrap(raw, hostname="localhost", ssl_context=context, standard_compatible=polite)
    wire = Wire(stream)
    served.wires.append(wire)
    return wire


def noise(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG]


async def test_requests_are_answered_over_tls() -> None:
    async with serving_tls(OK) as served:
        assert served.urls[0].startswith("https://127.0.0.1:")
        wire = await connect_tls(served)
        for _ in range(2):
            await wire.ask()
            assert (await wire.answer()).body == b"ok"


@pytest.mark.parametrize("head", ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"])
async def test_the_end_of_a_connection_is_said_in_tls(head: str) -> None:
    """A client that checks for truncation sees the end of the answer as meant."""
    async with serving_tls(app_of(stream_of(Pages([[b"all"]])))) as served:
        wire = await connect_tls(served)
        await wire.send(head.encode())
        assert b"all" in await wire.rest()


async def test_a_refusal_is_readable_while_the_body_is_still_being_sent() -> None:
    async with serving_tls(OK, Limits(body_bytes=1000)) as served:
        wire = await connect_tls(served, polite=False)
        await wire.ask("/", "content-length: 100000", method="POST")
        await wire.send(b"x" * 100_000)
        assert (await wire.answer()).status == 413


async def test_a_wait_ends_when_the_client_leaves() -> None:
    began, cancelled = anyio.Event(), anyio.Event()

    async def answer(request: Request) -> Response:
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with serving_tls(App(answer)) as served:
        wire = await connect_tls(served)
        await wire.ask("/wait")
        with anyio.fail_after(LONG):
            await began.wait()
            await anyio.aclose_forcefully(wire.stream)
            await cancelled.wait()


async def test_what_arrives_during_a_wait_is_served_after_it() -> None:
    began, go = anyio.Event(), anyio.Event()

    async def answer(request: Request) -> Response:
        if request.path == "/wait":
            began.set()
            await go.wait()
        return Response(200, (), request.path.encode())

    async with serving_tls(App(answer)) as served:
        wire = await connect_tls(served)
        await wire.ask("/wait")
        with anyio.fail_after(LONG):
            await began.wait()
        await wire.ask("/next")
        go.set()
        assert [(await wire.answer()).body for _ in range(2)] == [b"/wait", b"/next"]


async def test_a_handshake_that_hangs_holds_up_nobody_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    async with serving_tls(OK, Limits(head_seconds=0.3)) as served:
        hanging = await served.connect()
        await hanging.send(b"\x16\x03")
        wire = await connect_tls(served)
        await wire.ask()
        assert (await wire.answer()).body == b"ok"
        assert await hanging.is_closed()
    assert noise(caplog) == []


async def test_plain_http_and_silence_are_closed_without_noise(caplog: pytest.LogCaptureFixture) -> None:
    async with serving_tls(OK) as served:
        plain, silent = await served.connect(), await served.connect()
        await silent.close()
        await plain.ask()
        assert b"HTTP" not in await plain.rest()
    assert noise(caplog) == []


async def test_a_stopping_server_does_not_wait_for_handshakes() -> None:
    async with serving_tls(OK) as served:
        hanging, wire = await served.connect(), await connect_tls(served)
        await hanging.send(b"\x16\x03")
        await wire.ask()
        assert (await wire.answer()).body == b"ok"
        served.drain.set()
        assert await hanging.is_closed()


async def test_a_client_beyond_the_limit_is_dropped_without_a_handshake() -> None:
    async with serving_tls(OK, Limits(connections=1)) as served:
        first = await connect_tls(served)
        await first.ask()
        await first.answer()
        second = await served.connect()
        assert await second.is_closed()

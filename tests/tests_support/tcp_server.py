"""A server on loopback in the test's own loop, and a client that speaks in bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import anyio
import h11
from anyio.abc import ByteStream

from workflow_server.http.limits import Limits
from workflow_server.http.messages import Application
from workflow_server.transports.tcp import Binding, serve

LONG = 10
"""Seconds after which a test that waits for a fact has failed."""


@dataclass
class Served:
    """A running server."""

    urls: tuple[str, ...] = ()
    drain: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)
    wires: list[Wire] = field(default_factory=list)

    @property
    def port(self) -> int:
        port = urlsplit(self.urls[0]).port
        assert port is not None
        return port

    async def connect(self) -> Wire:
        """Connect a client; it is closed at the end of the block, if the test does not close it."""
        wire = Wire(await anyio.connect_tcp("127.0.0.1", self.port))
        self.wires.append(wire)
        return wire


@asynccontextmanager
async def serving(
    app: Application, limits: Limits | None = None, binding: Binding | None = None
) -> AsyncGenerator[Served, None]:
    """Serve `app` while the block runs; then stop, and check that the server ends."""
    served = Served()
    listening = anyio.Event()

    def tell(urls: tuple[str, ...]) -> None:
        assert not served.urls
        served.urls = urls
        listening.set()

    async def run() -> None:
        await serve(
            app,
            binding or Binding("127.0.0.1", 0),
            limits or Limits(),
            drain=served.drain,
            listening=tell,
        )
        served.ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        with anyio.fail_after(LONG):
            await listening.wait()
        try:
            yield served
        finally:
            for wire in served.wires:
                await anyio.aclose_forcefully(wire.stream)
        served.drain.set()
        with anyio.fail_after(LONG):
            await served.ended.wait()


@dataclass
class Answer:
    """An answer as a client reads it."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


@dataclass
class Wire:
    """The client's end of a connection."""

    stream: ByteStream
    pending: bytes = b""

    async def send(self, data: bytes) -> None:
        with anyio.fail_after(LONG):
            await self.stream.send(data)

    async def ask(self, path: str = "/", *headers: str, method: str = "GET", body: bytes = b"") -> None:
        """Send a request."""
        lines = [f"{method} {path} HTTP/1.1", "host: x", *headers]
        if body:
            lines.append(f"content-length: {len(body)}")
        await self.send("\r\n".join([*lines, "", ""]).encode() + body)

    async def until(self, fact: Callable[[bytes], bool]) -> bytes:
        """Return everything received and not yet taken, once `fact` is true of it."""
        with anyio.fail_after(LONG):
            while not fact(self.pending):
                self.pending += await self.stream.receive()
        return self.pending

    async def answer(self, method: str = "GET") -> Answer:
        """Read one whole answer."""
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        client.send(h11.EndOfMessage())
        if self.pending:
            client.receive_data(self.pending)
        answer = Answer()
        with anyio.fail_after(LONG):
            while True:
                event = client.next_event()
                if event is h11.NEED_DATA:
                    try:
                        client.receive_data(await self.stream.receive())
                    except anyio.EndOfStream:
                        client.receive_data(b"")
                elif isinstance(event, h11.Response):
                    answer.status = event.status_code
                    answer.headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
                elif isinstance(event, h11.Data):
                    answer.body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    self.pending = client.trailing_data[0]
                    return answer

    async def rest(self) -> bytes:
        """Return everything until the server closes."""
        with anyio.fail_after(LONG):
            try:
                while True:
                    self.pending += await self.stream.receive()
            except anyio.EndOfStream:
                return self.pending

    async def is_closed(self) -> bool:
        """Wait for the server to close, having said nothing more."""
        return await self.rest() == b""

    async def close(self) -> None:
        await self.stream.aclose()

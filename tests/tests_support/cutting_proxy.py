"""A proxy that cuts event streams: after every event, in the middle of frames, or ending the body as if all were well.

It answers each request on a connection of its own. What is no event stream passes whole.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
import httpx
from anyio.abc import SocketStream

Style = Callable[[int, bytes], int | None]
"""Given the number of the connection and the body so far, returns how much of it passes before the cut, or `None`."""


def after_each_event(_connection: int, body: bytes) -> int | None:
    """Cut after the first event."""
    end = body.find(b"\n\n", max(0, body.find(b"data:")))
    return None if b"data:" not in body or end < 0 else end + 2


def in_the_middle_of_frames(connection: int, body: bytes) -> int | None:
    """Cut a little further on each connection, so that every place of a frame is hit; now and then an event passes."""
    data = body.find(b"id:")
    length = connection * 157 % 600 + 3
    return None if data < 0 or len(body) < data + length else data + length


@dataclass
class CuttingProxy:
    """What the proxy did."""

    url: str = ""
    connections: int = 0
    """How many event streams it has begun."""
    asked: list[str] = field(default_factory=list[str])
    """Where each began: its query, or its `Last-Event-ID`."""


@asynccontextmanager
async def cutting_proxy(upstream: str, style: Style, *, clean: bool = False) -> AsyncGenerator[CuttingProxy]:
    """Run a proxy before `upstream` for the length of the block.

    Args:
        upstream: The server's URL.
        style: Where to cut.
        clean: Whether the cut looks like the regular end of the body.
    """
    proxy = CuttingProxy()

    async def serve(wire: SocketStream) -> None:
        async with wire:
            head = b""
            while b"\r\n\r\n" not in head:
                head += await wire.receive()
            await _answer(proxy, client, style, clean, head.decode("latin-1"), wire)

    async def guarded(wire: SocketStream) -> None:
        with suppress(anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError, httpx.TransportError):
            await serve(wire)  # until one of the two ends has left

    async with (
        httpx.AsyncClient(base_url=upstream, timeout=20, verify=False) as client,
        await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener,
    ):
        proxy.url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, guarded)
            yield proxy
            tasks.cancel_scope.cancel()


async def _answer(
    proxy: CuttingProxy, client: httpx.AsyncClient, style: Style, clean: bool, head: str, wire: SocketStream
) -> None:
    request, *fields = head.partition("\r\n\r\n")[0].split("\r\n")
    method, target, _ = request.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
    assert method == "GET", "the proxy is for streams"
    passed = {name: headers[name] for name in ("accept", "last-event-id") if name in headers}
    async with client.stream("GET", target, headers=passed) as got:
        if not got.headers.get("content-type", "").startswith("text/event-stream"):
            body = await got.aread()
            length = "" if got.status_code == 204 else f"content-length: {len(body)}\r\n"
            await wire.send(f"HTTP/1.1 {got.status_code} x\r\n{length}connection: close\r\n\r\n".encode() + body)
            return
        proxy.connections += 1
        proxy.asked.append(headers.get("last-event-id") or target.partition("after_sequence=")[2].partition("&")[0])
        kind = got.headers["content-type"]
        await wire.send(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        async with _given_up(got) as chunks:
            number, body = proxy.connections, b""
            async for data in chunks:
                sent = len(body)
                body += data
                cut = style(number, body)
                piece = body[sent : len(body) if cut is None else max(sent, cut)]
                if piece:
                    await wire.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                if cut is not None:
                    break
            if clean or style(number, body) is None:
                await wire.send(b"0\r\n\r\n")
            await wire.aclose()


@asynccontextmanager
async def _given_up(got: httpx.Response) -> AsyncGenerator[AsyncIterator[bytes]]:
    """Yield the body, and let go of it whatever happens, a client that leaves first included."""
    chunks = got.aiter_bytes()
    try:
        yield chunks
    finally:
        with anyio.CancelScope(shield=True), suppress(Exception):
            await got.aclose()
            await anext(chunks)  # generators that httpx nests: trio complains when they are left in the middle

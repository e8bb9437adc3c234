"""What is possible here at all: `bare.py h11-asyncio|h11-trio|bytes PORT` answers every request like `/health`.

`h11-…` parses and writes with h11 on anyio and does nothing else; `bytes` does not even parse, and
shows how fast the load generator is.
"""

from __future__ import annotations

import asyncio
import sys

import anyio
import h11
from anyio.abc import SocketStream

BODY = b'{"status":"healthy"}'
HEADERS = [("content-type", "application/json"), ("content-length", str(len(BODY)))]
READY_MADE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)


async def answer(stream: SocketStream) -> None:
    """Serve one connection until it closes."""
    connection = h11.Connection(h11.SERVER)
    async with stream:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                try:
                    connection.receive_data(await stream.receive(65536))
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return
            elif isinstance(event, h11.EndOfMessage):
                pieces = (h11.Response(status_code=200, headers=HEADERS), h11.Data(data=BODY), h11.EndOfMessage())
                await stream.send(b"".join(connection.send(piece) or b"" for piece in pieces))
                connection.start_next_cycle()
            elif isinstance(event, h11.ConnectionClosed):
                return


async def serve_h11(port: int) -> None:
    """Accept connections for ever."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    await listener.serve(answer)


class ReadyMade(asyncio.Protocol):
    """Answers whatever arrives, at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 (the protocol gives it)
        self.transport.write(READY_MADE)


async def serve_bytes(port: int) -> None:
    """Accept connections for ever."""
    server = await asyncio.get_running_loop().create_server(ReadyMade, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    kind, given_port = sys.argv[1], int(sys.argv[2])
    if kind == "bytes":
        asyncio.run(serve_bytes(given_port))
    else:
        anyio.run(serve_h11, given_port, backend=kind.removeprefix("h11-"))

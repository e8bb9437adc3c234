"""An accepted socket as a stream of bytes, the same on every loop.

It asks the loop for one thing only: whether the socket is ready. anyio's own stream hands each read and each
write through a buffering transport on asyncio, which costs four times as much (measured: 62 against 16 µs of
processor time for one exchange, 30 against 14 on trio), and keeps bytes that the client hasn't taken in memory.
"""

from __future__ import annotations

import socket
import struct

import anyio
from anyio.abc import ByteStream

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for 0 seconds


class ClientSocket(ByteStream):
    """A client's socket; one task at a time reads from it, and one writes to it.

    Args:
        raw: Connected; owned from now on.
    """

    def __init__(self, raw: socket.socket) -> None:
        raw.setblocking(False)
        self._raw = raw

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return the next bytes, at most `max_bytes`.

        It waits before it takes anything, even if something is there: other tasks get their turn, and nothing is
        lost when it is cancelled.

        Raises:
            EndOfStream: The client has closed its side.
            BrokenResourceError: The client is lost.
        """
        while True:
            await anyio.wait_readable(self._raw)
            try:
                data = self._raw.recv(max_bytes)
            except BlockingIOError:  # it was ready for nothing
                continue
            except OSError as error:
                raise anyio.BrokenResourceError from error
            if not data:
                raise anyio.EndOfStream
            return data

    async def send(self, item: bytes) -> None:
        """Hand `item` to the operating system; waits only while that takes no more.

        Whoever sends on and on without end must let others have their turn.

        Raises:
            BrokenResourceError: The client is lost.
        """
        try:
            sent = self._send(item)
            if sent == len(item):
                return
            rest = memoryview(item)[sent:]
            while rest:
                await anyio.wait_writable(self._raw)
                rest = rest[self._send(rest) :]
        except OSError as error:
            raise anyio.BrokenResourceError from error

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self._raw.send(data)
        except BlockingIOError:
            return 0

    async def send_eof(self) -> None:
        """End our side; the client's may go on.

        Raises:
            BrokenResourceError: The client is lost.
        """
        try:
            self._raw.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise anyio.BrokenResourceError from error

    def reset_on_close(self) -> None:
        """Let closing tell the client, by a reset, that what it has is not whole.

        Raises:
            OSError: It is closed already.
        """
        self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    async def aclose(self) -> None:
        """Close both sides. Harmless when repeated."""
        self._raw.close()

"""Closing a socket so that the client can still read what was sent (RFC 9112, 9.6).

A socket that is closed with unread bytes is reset, and a reset takes away what has been sent. So
our side is closed first, and what the client still sends is read and thrown away, for a while.
"""

from __future__ import annotations

from contextlib import suppress

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from workflow_server.transports.client_socket import ClientSocket

LINGER_SECONDS = 1.0
"""Time the caller should allow."""

_BYTES = 256 * 1024
_READ = 64 * 1024


async def linger(stream: ByteStream, raw: ClientSocket) -> None:
    """End our side of `stream` and wait for the client to end its own, or for too many bytes.

    Args:
        stream: `raw`, or the TLS stream around it.
        raw: The socket; the caller closes it afterwards, and limits the time.
    """
    ended = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)
    if isinstance(stream, TLSStream):
        with suppress(*ended):  # a client that is still sending makes the closing handshake fail
            await stream.unwrap()
    with suppress(*ended):
        await raw.send_eof()
        drained = 0
        while drained < _BYTES:
            drained += len(await raw.receive(_READ))

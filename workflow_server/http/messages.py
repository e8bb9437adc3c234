"""Requests and responses as plain values, shared by every transport.

A transport makes a `Request`, the application answers with a `Response`, and neither knows
whether TCP, a Unix socket or an ASGI server lies between. A body is bytes, or a `Stream`:
a source of pages that the edge pulls, one page at a time, framed by a pure function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any, Protocol

from workflow_server.valueclass import dataclass

Headers = tuple[tuple[str, str], ...]
"""Name and value pairs; names in lower case; values decoded as latin-1."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, whole: its body has been received."""

    method: str
    """As sent, upper case for the known ones."""
    path: str
    """The path as on the wire, still percent-encoded, without authority, query or a mount's prefix."""
    query: str = ""
    """What follows `?`, still percent-encoded."""
    headers: Headers = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Return the values of header `name` (lower case) joined by `", "`, or `None` if it is absent."""
        found: str | None = None
        for key, value in self.headers:
            if key == name:
                found = value if found is None else f"{found}, {value}"
        return found


class Source(Protocol):
    """Where a stream's pages come from."""

    async def pull(self) -> Sequence[Any] | None:
        """Return the next page of items, waiting for one; `None` at the end.

        Cancelling a `pull` loses nothing: the next one returns the same items.
        """
        ...

    def close(self) -> None:
        """Let go of what the source holds. Called exactly once, whatever happened."""
        ...


@dataclass(frozen=True, slots=True)
class Stream:
    """A body that grows while the client reads it."""

    source: Source
    frame: Callable[[Any], bytes]
    """Turns one item into its bytes; pure."""
    opening: bytes = b""
    """Sent at once with the head."""
    heartbeat: float | None = None
    """Seconds of silence after which `heartbeat_bytes` are sent; `None` for never."""
    heartbeat_bytes: bytes = b""
    closing: bytes = b""
    """Sent when the source ends by itself."""
    farewell: bytes = b""
    """Sent instead of `closing` when the server stops before the source has ended."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. Framing headers (length, transfer coding, connection, date) are the transport's."""

    status: int
    headers: Headers = ()
    body: bytes | Stream = field(default=b"")


@dataclass(frozen=True, slots=True)
class Refused:
    """What arrived can't be a request of this server; answering it ends the connection."""

    status: int
    detail: str
    """A sentence that says what is wrong and where."""
    headers: Headers = ()


class Application(Protocol):
    """What a transport serves."""

    def may_wait(self, request: Request) -> bool:
        """Tell whether the answer may take long (a wait or a stream); the transport then watches the client."""
        ...

    async def respond(self, request: Request) -> Response:
        """Answer `request`. Never raises for anything the client sent; cancelling it harms nothing."""
        ...

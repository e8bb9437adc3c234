"""Every number that bounds what a client may cost, in one frozen value.

Each limit is on by default and can be changed; exceeding one gives its status and a sentence.
Seconds are time without the awaited progress, bytes are counted as received (chunk framing has
a limit of its own, see `http.connection`). `BodyBudget` is the one limit that connections share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from workflow_server.errors import ServerUsageError


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a server; all must be positive numbers.

    Raises:
        ServerUsageError: A limit is not a positive, finite number.
    """

    head_bytes: int = 64 * 1024
    """Request line and headers together (431)."""
    body_bytes: int = 10 * 1024 * 1024
    """Body of one request (413)."""
    bodies_bytes: int = 256 * 1024 * 1024
    """Request bodies held in memory by all connections together (503)."""
    head_seconds: float = 10.0
    """From the first byte of a head to its last, and for a TLS handshake (408)."""
    body_seconds: float = 60.0
    """From the end of the head to the end of the body (408)."""
    keep_alive_seconds: float = 75.0
    """A connection without a request is closed after this."""
    write_stall_seconds: float = 30.0
    """A client that does not take 64 KiB in this time is cut off; its run goes on."""
    connections: int = 10_000
    """Open connections (503 with Retry-After)."""
    drain_seconds: float = 10.0
    """How long a stopping server waits for its connections before it cuts them off."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (value > 0 and math.isfinite(value)):
                raise ServerUsageError(f"The limit {field.name} must be a positive number, not {value!r}.")


class BodyBudget:
    """Bytes of request bodies that all connections of a server may hold together.

    Bytes are counted as they arrive, not as announced: a client that promises a large body
    and sends nothing takes nothing from the others.

    Args:
        limit: Bytes.
    """

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def take(self, size: int) -> bool:
        """Reserve `size` bytes; `False`, and nothing reserved, if they are not left."""
        if self.used + size > self.limit:
            return False
        self.used += size
        return True

    def give_back(self, size: int) -> None:
        """Return `size` bytes taken before."""
        self.used -= size

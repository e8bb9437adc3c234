"""Following the events of a run over connections that break: bytes in, events out, and when to connect again.

    connect(call) -> opened() -> feed(bytes)* -> broken() -> seconds to wait -> connect …

The cursor is the sequence of the last event: the server is asked for what comes after it, and what it sends twice all
the same is dropped. A body that ends says nothing about the run; only its terminal event, or 204, is the end. A frame
that was cut off has no blank line behind it and is forgotten with its connection, so its event comes again, whole.
Source of the framing: HTML Living Standard, 9.2.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from workflow_server.client.calls import Call, Calls
from workflow_server.wire.envelopes import EventEnvelopeWithMetadata

Cursor = int | Literal["now"]

_LINE_END = re.compile(rb"\r\n|\n|\r")
_SEQUENCE = re.compile(r"-?[0-9]{1,18}")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Patience:
    """How a broken stream is taken up again. Times are seconds.

    Attributes:
        attempts: How many tries to connect may fail in a row.
        first: The longest pause before the first try; each pause is drawn by lot, so that clients don't come in step.
        longest: The longest pause of all; before that each one is up to twice as long as the one before.
        silence: A connection without a byte for so long counts as broken; `None` for never. A server of ours
            sends a heartbeat every 15 seconds.
        errors_break: Whether timeouts, and answers of proxies that have no server for now, count as broken
            connections; else they are errors at once.
    """

    attempts: int = 10
    first: float = 0.25
    longest: float = 5.0
    silence: float | None = 60.0
    errors_break: bool = True


class Follower:
    """Follows one run.

    Args:
        calls: Makes the request.
        handler_id: The run's handler.
        include_internal: Whether internal events are wanted.
        after: The sequence after which to begin.
        patience: How to go on after a break.
        random: Draws the pauses.
    """

    def __init__(
        self,
        calls: Calls,
        handler_id: str,
        include_internal: bool,
        after: Cursor,
        patience: Patience,
        random: Random,
    ) -> None:
        self.handler_id = handler_id
        self.after: Cursor = after
        """The sequence of the last event that was read."""
        self.patience = patience
        self.over = False
        """Whether nothing more comes."""
        self._calls = calls
        self._include_internal = include_internal
        self._random = random
        self._frames = Frames()
        self._failed = 0
        """Tries to connect that failed in a row."""
        self._barren = 0
        """Breaks without an event between them."""

    def call(self) -> Call[bytes]:
        """Return what to ask for next."""
        return self._calls.events(self.handler_id, self._include_internal, self.after)

    def opened(self, status: int) -> bool:
        """Take the status of the answer; return whether there is a body to read.

        Raises:
            ValueError: There is no such handler.
        """
        self._frames = Frames()
        if status == 404:
            raise ValueError("Handler not found")
        self.over = status == 204
        if status == 200:
            self._failed = 0
        return status == 200

    def is_break(self, status: int) -> bool:
        """Tell whether an answer says no more than that the server is away for now."""
        return self.patience.errors_break and status in (429, 502, 503, 504)

    def feed(self, data: bytes) -> Iterator[tuple[int | None, EventEnvelopeWithMetadata]]:
        """Take bytes of the body and yield the events that are complete with them, each with its sequence."""
        for id, text in self._frames.feed(data):
            sequence = int(id) if id and _SEQUENCE.fullmatch(id) else None
            if text is None:
                # Where "now" was, as told by the server: whoever comes back from a break has missed nothing.
                self.after = sequence if self.after == "now" and sequence is not None else self.after
                continue
            if self.over or (sequence is not None and self.after != "now" and sequence <= self.after):
                continue
            event = EventEnvelopeWithMetadata.model_validate_json(text)
            self.after = self.after if sequence is None else sequence
            self.over = event.type == "StopEvent" or "StopEvent" in (event.types or ())
            self._barren = 0
            yield sequence, event

    def broken(self, *, connected: bool) -> float:
        """Take it that a connection has ended, or could not be made; return how many seconds to wait before the next.

        Raises:
            ConnectionError: It has been tried often enough.
        """
        if not connected:
            self._failed += 1
            if self._failed > self.patience.attempts:
                raise ConnectionError(f"Failed to connect to event stream after {self.patience.attempts} attempts")
        most = min(self.patience.longest, self.patience.first * 2.0 ** min(self._barren, 30))
        self._barren += 1
        return self._random.uniform(0.0, most)


class Frames:
    """Reads the frames of one body of `text/event-stream`."""

    def __init__(self) -> None:
        self._pending = b""
        self._begun = False
        self._id: str | None = None
        self._data: list[str] = []
        self._fields = False

    def feed(self, data: bytes) -> Iterator[tuple[str | None, str | None]]:
        """Take bytes and yield the frames that are complete with them: an id and data, each `None` if not given."""
        self._pending += data
        if not self._begun:
            if len(self._pending) < len(_BOM) and _BOM.startswith(self._pending):
                return
            self._begun, self._pending = True, self._pending.removeprefix(_BOM)
        begin = 0
        for end in _LINE_END.finditer(self._pending):
            if end.group() == b"\r" and end.end() == len(self._pending):
                break  # the other half of a line end may be still to come
            line, begin = self._pending[begin : end.start()], end.end()
            if line:
                self._take(line.decode(errors="replace"))
            elif self._fields:
                yield self._id, "\n".join(self._data) if self._data else None
                self._id, self._data, self._fields = None, [], False
        self._pending = self._pending[begin:]

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        self._fields = self._fields or name in ("data", "id")

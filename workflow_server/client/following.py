"""Following the events of a run over connections that break: bytes in, events out, and when to connect again.

    connect(call) -> opened() -> feed(bytes)* -> broken() -> seconds to wait -> connect …

The cursor is the sequence of the last event: the server is asked for what comes after it, and what it sends twice all
the same is dropped. A body that ends says nothing about the run; only its terminal event, or 204, is the end. A frame
that was cut off has no blank line behind it and is forgotten with its connection, so its event comes again, whole.
Source of the framing: HTML Living Standard, 9.2.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from workflow_server.client.calls import Call, Calls
from workflow_server.client.patience import Breaks
from workflow_server.client.typed import load_event
from workflow_server.events import EventType
from workflow_server.wire.envelopes import EventEnvelopeWithMetadata

Cursor = int | Literal["now"]

_LINE_END = re.compile(rb"\r\n|\n|\r")
_SEQUENCE = re.compile(r"-?[0-9]{1,18}")
_BOM = b"\xef\xbb\xbf"


class Follower:
    """Follows one run.

    Args:
        calls: Makes the request.
        handler_id: The run's handler.
        include_internal: Whether internal events are wanted.
        after: The sequence after which to begin.
        registry: Classes of events that are yielded as themselves; `None` for all events in their envelopes.
        breaks: How to go on after a break.
    """

    def __init__(
        self,
        calls: Calls,
        handler_id: str,
        include_internal: bool,
        after: Cursor,
        registry: Sequence[EventType] | None,
        breaks: Breaks,
    ) -> None:
        self.handler_id = handler_id
        self.after: Cursor = after
        """The sequence of the last event that was yielded."""
        self.patience = breaks.patience
        self.over = False
        """Whether nothing more comes."""
        self._calls = calls
        self._include_internal = include_internal
        self._registry = registry
        self._breaks = breaks
        self._frames = Frames()
        self._connected = False

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
        self._connected = status == 200
        return self._connected

    def feed(self, data: bytes) -> Iterator[Any]:
        """Take bytes of the body and yield the events that are complete with them.

        Whoever stops in the middle takes up the iterator again before the next bytes.
        """
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
            self._breaks.heard()
            yield load_event(event, self._registry)

    def broken(self) -> float:
        """Take it that the connection has ended, or could not be made; return how many seconds to wait before the next.

        Raises:
            ConnectionError: It has been tried often enough.
        """
        pause = self._breaks.pause(connected=self._connected)
        self._connected = False
        if pause is None:
            raise ConnectionError(f"Failed to connect to event stream after {self.patience.attempts} attempts")
        return pause


class Frames:
    """Reads the frames of one body of `text/event-stream`."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._searched = 0
        """How much of it holds no line end: an event of many pieces is searched once."""
        self._begun = False
        self._id: str | None = None
        self._data: list[str] = []
        self._fields = False

    def feed(self, data: bytes) -> Iterator[tuple[str | None, str | None]]:
        """Take bytes and yield the frames that are complete with them: an id and data, each `None` if not given."""
        self._pending += data
        if not self._begun:
            if len(self._pending) < len(_BOM) and _BOM.startswith(bytes(self._pending)):
                return
            self._begun, self._pending = True, self._pending.removeprefix(_BOM)
        begin = 0
        for end in _LINE_END.finditer(self._pending, self._searched):
            if end.group() == b"\r" and end.end() == len(self._pending):
                break  # the other half of a line end may be still to come
            line, begin = self._pending[begin : end.start()], end.end()
            if line:
                self._take(line.decode(errors="replace"))
            elif self._fields:
                yield self._id, "\n".join(self._data) if self._data else None
                self._id, self._data, self._fields = None, [], False
        del self._pending[:begin]
        self._searched = max(0, len(self._pending) - 1)  # the last may be the first half of a line end

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        self._fields = self._fields or name in ("data", "id")

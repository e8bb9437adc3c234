"""One connection's side of HTTP/1.1 as a pure machine around h11.

The edge that owns the socket runs this loop:

    NeedData   send `event.send` if it is not empty, then give `receive_data` what the socket yields,
               `b""` at its end; `event.phase` tells which time limit applies
    Working    let other connections run, then ask again (a body of very many very small chunks)
    Request    answer it: `start`, `data` …, `finish` return the bytes to send; then ask again
    Refused    answer it in the same way (`events.refusal` makes the response); the connection ends with that
    Closed     close the socket, lingering if `unread` (RFC 9112, 9.6)

While a request is being answered, the edge may go on reading to notice that the client leaves
(`peer_gone`), and to take requests sent ahead, as long as `may_read`. h11 buffers
whatever it is given, hence that limit; and it judges the length of a head by how
the bytes happen to arrive, hence the count of our own.

States, in the order they are passed; every path leads back to IDLE or ends in CLOSED:

    IDLE -> HEAD -> BODY -> ANSWERING -> IDLE | CLOSED
    HEAD, BODY -> ANSWERING (refused) -> CLOSED
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import h11

from workflow_server.http.events import Closed, HttpEvent, NeedData, Phase, Working
from workflow_server.http.head import BODILESS, read_head, response_head
from workflow_server.http.limits import BodyBudget, Limits
from workflow_server.http.messages import Headers, Refused, Request

READ_AHEAD = 64 * 1024
"""Bytes that are taken beyond the request being answered."""

_CHUNK_OVERHEAD = 64 * 1024  # bytes a body may need on the wire beyond twice its own size
_EVENTS_AT_ONCE = 256  # pieces of a body that are parsed (at some 14 microseconds each) before others may run


class _Closing(Enum):
    ANSWERING = "answering"
    CLOSED = "closed"


_NEED_IDLE: Final = NeedData(Phase.IDLE)
_NEED_HEAD: Final = NeedData(Phase.HEAD)
_NEED_BODY: Final = NeedData(Phase.BODY)
_WORKING: Final = Working()
_CLOSED: Final = Closed()


class Connection:
    """The machine; see the module for how it is driven.

    Args:
        limits: Sizes of heads and bodies; its times are the edge's.
        budget: Bytes of bodies shared with other connections; `close` gives back what is held of it.
    """

    __slots__ = (
        "_ahead",
        "_body",
        "_body_bytes",
        "_budget",
        "_drops_body",
        "_h11",
        "_has_body",
        "_head_bytes",
        "_limits",
        "_only_head",
        "_phase",
        "_received",
        "_request",
        "last",
        "peer_gone",
        "unread",
    )

    def __init__(self, limits: Limits, budget: BodyBudget | None = None) -> None:
        self._limits = limits
        self._budget = budget or BodyBudget(limits.bodies_bytes)
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_bytes)
        self._phase: Phase | _Closing = Phase.IDLE
        self._received = 0  # bytes since this request began, those sent ahead included
        self._head_bytes = 0
        self._request: Request | None = None
        self._has_body = False
        self._body: list[bytes | bytearray] = []
        self._body_bytes = 0
        self._ahead = 0
        self._only_head = False
        self._drops_body = False
        self.last = False
        """Set by the edge: the connection ends after the next answer that is started."""
        self.peer_gone = False
        """Whether the client will send nothing more (it may still read)."""
        self.unread = False
        """Whether the client may still be sending what nobody will read."""

    @property
    def may_read(self) -> bool:
        """Whether `receive_data` may be called: always, save when enough has been read ahead, or after the end."""
        return not self.peer_gone and (self._phase is not _Closing.ANSWERING or self._ahead < READ_AHEAD)

    @property
    def answering(self) -> bool:
        """Whether an answer is owed, or begun and not finished."""
        return self._phase is _Closing.ANSWERING

    @property
    def ends_by_closing(self) -> bool:
        """Whether only the end of the connection tells this client where an answer of unknown length ends."""
        return self._h11.their_http_version == b"1.0"

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the socket; `b""` is its end."""
        if not data:
            self.peer_gone = True
            self._h11.receive_data(b"")
            return
        if self._phase is Phase.IDLE:
            # RFC 9112, 2.2: empty lines before a request are to be ignored.
            data = data.lstrip(b"\r\n")
            if not data:
                return
            self._phase = Phase.HEAD
        self._received += len(data)
        self._ahead += len(data)
        self._h11.receive_data(data)

    def next_event(self) -> HttpEvent:
        """Return what comes next.

        Raises:
            RuntimeError: The request that was returned before has not been answered.
        """
        if self._phase is Phase.IDLE and not self.peer_gone:
            return _NEED_IDLE
        if self._phase is Phase.BODY:
            return self._read_body()
        if self._phase is _Closing.CLOSED:
            return _CLOSED
        if self._phase is _Closing.ANSWERING:
            raise RuntimeError("the request has not been answered yet")
        return self._read_head()

    def start(self, status: int, headers: Headers, length: int | None) -> bytes:
        """Begin the answer; `length` is the size of the body in bytes, `None` if unknown.

        Raises:
            h11.LocalProtocolError: `headers` can't be sent.
        """
        self._drops_body = self._only_head or status in BODILESS
        return self._h11.send(response_head(status, headers, length, self.last))

    def data(self, chunk: bytes) -> bytes:
        """Return the bytes that carry a part of the body; none if the answer has no body (HEAD)."""
        if self._drops_body or not chunk:
            return b""
        return self._h11.send(h11.Data(data=chunk))

    def finish(self) -> bytes:
        """End the answer and turn to the next request, or to the end of the connection.

        Raises:
            h11.LocalProtocolError: The body is shorter than was announced.
        """
        end = self._h11.send(h11.EndOfMessage())
        self.close()
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
            self._begin()
        else:
            self._phase = _Closing.CLOSED
            self.unread = self.unread or self._ahead > 0
        return end

    def close(self) -> None:
        """Give back what is held of the shared budget. Harmless when repeated."""
        if self._body:
            self._budget.give_back(self._body_bytes)
            self._body_bytes = 0
            self._body = []

    def refuse(self, refused: Refused) -> Refused:
        """Turn the request away, whatever has come of it; the edge does so when time is up. Answer it next."""
        self._phase = _Closing.ANSWERING
        self.last = True
        self.unread = not self.peer_gone
        return refused

    def _begin(self) -> None:
        self._phase = Phase.IDLE
        self._received = 0
        self._request = None
        self._only_head = False
        if self._ahead:
            left = self._h11.trailing_data[0]
            if left[0] in b"\r\n":
                # h11 would refuse an empty line here, and its buffer can't be edited.
                self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.head_bytes)
                left = left.lstrip(b"\r\n")
                if left:
                    self._h11.receive_data(left)
                if self.peer_gone:
                    self._h11.receive_data(b"")
            self._received = len(left)
            if left:
                self._phase = Phase.HEAD

    def _read_head(self) -> HttpEvent:
        try:
            event = self._h11.next_event()
        except h11.RemoteProtocolError as error:
            return self._malformed(error, "head")
        if isinstance(event, h11.Request):
            self._only_head = event.method == b"HEAD"
            self._ahead = len(self._h11.trailing_data[0])
            self._head_bytes = self._received - self._ahead
            if self._head_bytes > self._limits.head_bytes:
                return self.refuse(self._head_too_long())
            head = read_head(event)
            if isinstance(head, Refused):
                return self.refuse(head)
            self._request, length = head
            if length is not None and length > self._limits.body_bytes:
                return self.refuse(self._body_too_long())
            self._has_body = length != 0
            self._phase = Phase.BODY
            return self._read_body()
        if isinstance(event, h11.ConnectionClosed):
            self._phase = _Closing.CLOSED
            return _CLOSED
        return _NEED_HEAD

    def _read_body(self) -> HttpEvent:
        for _ in range(_EVENTS_AT_ONCE):
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                return self._malformed(error, "body")
            if isinstance(event, h11.Data):
                size = len(event.data)
                if self._body_bytes + size > self._limits.body_bytes:
                    return self.refuse(self._body_too_long())
                if not self._budget.take(size):
                    return self.refuse(_BODIES_FULL)
                self._body.append(event.data)
                self._body_bytes += size
            elif isinstance(event, h11.EndOfMessage):
                return self._complete()
            elif self._is_padded():
                return self.refuse(_PADDED)
            elif self._h11.they_are_waiting_for_100_continue:
                return NeedData(Phase.BODY, self._h11.send(h11.InformationalResponse(status_code=100, headers=[])))
            else:
                return _NEED_BODY
        return self.refuse(_PADDED) if self._is_padded() else _WORKING

    def _complete(self) -> HttpEvent:
        request = self._request
        assert request is not None
        if self._has_body:
            if self._is_padded():
                return self.refuse(_PADDED)
            body = b"".join(self._body)
            request = Request(request.method, request.path, request.query, request.headers, body)
        self._phase = _Closing.ANSWERING
        return request

    def _is_padded(self) -> bool:
        """Whether the body's framing costs far more than the body (one byte a chunk, long extensions)."""
        self._ahead = len(self._h11.trailing_data[0])
        wire = self._received - self._head_bytes - self._ahead
        return wire > 2 * self._body_bytes + _CHUNK_OVERHEAD

    def _malformed(self, error: h11.RemoteProtocolError, where: str) -> Refused:
        if error.error_status_hint == 431:
            # h11 says so of any line that is too long, chunk headers included.
            if where == "head":
                return self.refuse(self._head_too_long())
            return self.refuse(Refused(400, "A line of the body's chunked framing is too long."))
        what = str(error).partition(": bytearray")[0].partition(": b'")[0].rstrip(".")
        return self.refuse(Refused(error.error_status_hint, f"Malformed HTTP in the request's {where}: {what}."))

    def _head_too_long(self) -> Refused:
        return Refused(431, f"The request's head is longer than {self._limits.head_bytes} bytes.")

    def _body_too_long(self) -> Refused:
        return Refused(413, f"The request's body is longer than {self._limits.body_bytes} bytes.")


_BODIES_FULL: Final = Refused(
    503, "The server holds as many bytes of request bodies as it may; try again soon.", (("retry-after", "1"),)
)
_PADDED: Final = Refused(400, "The body's chunked framing is far longer than the body itself; use larger chunks.")

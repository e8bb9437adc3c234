"""Drives the HTTP machine as an edge does, with everything in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from workflow_server.http.connection import Connection
from workflow_server.http.events import Closed, NeedData, Working, refusal
from workflow_server.http.limits import BodyBudget, Limits
from workflow_server.http.messages import Refused, Request, Response

Answer = Callable[[Request], Response]


def echo(request: Request) -> Response:
    """Answer with what was asked."""
    return Response(200, (("content-type", "text/plain"),), f"{request.method} {request.path}".encode())


@dataclass(slots=True)
class Transcript:
    """What came of a conversation."""

    events: list[Request | Refused] = field(default_factory=list[Request | Refused])
    output: bytes = b""
    closed: bool = False
    waiting: NeedData | None = None
    """What the machine waits for, if it is not closed."""

    @property
    def statuses(self) -> list[int]:
        """200 for each request, the refusal's status for that."""
        return [event.status if isinstance(event, Refused) else 200 for event in self.events]


def converse(
    pieces: Iterable[bytes],
    *,
    end: bool = True,
    limits: Limits | None = None,
    budget: BodyBudget | None = None,
    answer: Answer = echo,
) -> Transcript:
    """Give the machine `pieces` (and its end, if `end`), answer everything, and return what came of it."""
    http = Connection(limits or Limits(), budget)
    feed = [piece for piece in pieces if piece] + ([b""] if end else [])
    feed.reverse()
    seen = Transcript()
    while True:
        event = http.next_event()
        if isinstance(event, Request | Refused):
            seen.events.append(event)
            response = refusal(event) if isinstance(event, Refused) else answer(event)
            assert isinstance(response.body, bytes)
            seen.output += http.start(response.status, response.headers, len(response.body))
            seen.output += http.data(response.body)
            seen.output += http.finish()
        elif isinstance(event, NeedData):
            seen.output += event.send
            if not feed:
                seen.waiting = event
                return seen
            http.receive_data(feed.pop())
        elif isinstance(event, Working):
            continue
        else:
            assert isinstance(event, Closed)
            seen.closed = True
            return seen


def split(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Return `data` cut at the given places (taken modulo its length)."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[begin:end] for begin, end in pairwise(places)]

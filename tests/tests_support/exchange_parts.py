"""Applications, sources and a sink in memory, for tests of what lies between requests and bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel

from workflow_server.http.messages import Headers, Request, Response, Stream
from workflow_server.transports.lookout import Lookout


@dataclass
class App:
    """An application made of a function; routes below /wait may wait."""

    answer: Callable[[Request], Awaitable[Response]]

    def may_wait(self, request: Request) -> bool:
        return request.path.startswith("/wait")

    async def respond(self, request: Request) -> Response:
        return await self.answer(request)


def app_of(response: Response) -> App:
    """Return an application that always gives `response`."""

    async def answer(request: Request) -> Response:
        return response

    return App(answer)


@dataclass
class Pages:
    """A source of given pages; after them it ends, or waits for ever."""

    pages: list[Sequence[Any]]
    ends: bool = True
    pulls: int = 0
    closed: int = 0
    waiting: anyio.Event = field(default_factory=anyio.Event)
    """Set when the source has nothing to give."""

    async def pull(self) -> Sequence[Any] | None:
        self.pulls += 1
        await anyio.lowlevel.checkpoint()
        if self.pages:
            return self.pages.pop(0)
        if self.ends:
            return None
        self.waiting.set()
        await anyio.sleep_forever()
        raise AssertionError

    def close(self) -> None:
        self.closed += 1


def stream_of(source: Any, **more: Any) -> Response:
    """Return a stream of `source` whose items are bytes already."""
    return Response(200, (("content-type", "text/event-stream"),), Stream(source, frame=bytes, **more))


@dataclass(eq=False)
class MemorySink:
    """A sink that keeps what it is told."""

    drain: anyio.Event = field(default_factory=anyio.Event)
    left: anyio.Event = field(default_factory=anyio.Event)
    """Set it to let the client leave."""
    status: int | None = None
    headers: Headers = ()
    length: int | None = None
    parts: list[bytes] = field(default_factory=list[bytes])
    finished: int = 0
    watched: bool = False
    lookout: Lookout = field(default_factory=Lookout)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    """Enter it around `exchange`, as the owner of a sink does."""
    _news: anyio.Event = field(default_factory=anyio.Event)

    async def start(self, status: int, headers: Headers, length: int | None) -> None:
        assert self.status is None
        self.status, self.headers, self.length = status, headers, length

    async def send(self, data: bytes) -> None:
        assert self.status is not None
        assert not self.finished
        await anyio.lowlevel.checkpoint()
        self.parts.append(data)
        self._news.set()
        self._news = anyio.Event()

    async def finish(self) -> None:
        self.finished += 1

    def abandon(self) -> None:
        self.scope.cancel()

    async def gone(self) -> None:
        self.watched = True
        await self.left.wait()

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    async def until(self, fact: Callable[[bytes], bool]) -> None:
        """Wait until `fact` is true of the body, at most 5 seconds."""
        with anyio.fail_after(5):
            while not fact(self.body):
                await self._news.wait()

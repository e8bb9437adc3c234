"""Streams of a run's events, as async iterators. No task is left behind: whoever iterates does the reading."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio

from workflow_server.client.connecting import Connections, build, check_break, need_httpx, status_error
from workflow_server.client.following import Cursor, Follower
from workflow_server.runtime.loop import current_port
from workflow_server.wire.envelopes import EventEnvelopeWithMetadata

if TYPE_CHECKING:
    import httpx

E = TypeVar("E")

CLOSE_SECONDS = 2.0
"""How long saying goodbye to a server may take."""


class Events(AsyncIterator[E], Generic[E]):
    """The events of a run, over as many connections as it takes; an async context manager and iterator.

    Iterating raises:
        ValueError: There is no such handler.
        ConnectionError: The server can't be reached any more.
        httpx.HTTPStatusError: The server refuses.
    """

    def __init__(self, connections: Connections[httpx.AsyncClient], follower: Follower) -> None:
        self._httpx = need_httpx()
        self._connections = connections
        self._follower = follower
        self._arrived: Iterator[Any] = iter(())
        self._client: httpx.AsyncClient | None = None
        self._own = False
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None
        self._closed = False

    async def __aenter__(self) -> Events[E]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def __anext__(self) -> E:
        try:
            while (event := next(self._arrived, None)) is None:
                if self._closed or self._follower.over:
                    raise StopAsyncIteration
                await self._read()
        except BaseException:
            await self.aclose()
            raise
        arrived: E = event
        return arrived

    @property
    def last_sequence(self) -> Cursor:
        """The sequence of the event that was returned last; whoever begins there later goes on where this ends."""
        return self._follower.after

    async def aclose(self) -> None:
        """Let go of the connection. Doing so again does nothing."""
        self._closed = True
        await self._disconnect()
        client, self._client = self._client, None
        if client is not None and self._own:
            with anyio.move_on_after(CLOSE_SECONDS, shield=True):
                await client.aclose()

    async def connect(self) -> None:
        """Connect, if there is no connection."""
        if self._response is not None or self._follower.over:
            return
        if self._client is None:
            self._client, self._own = self._connections.lend()
        request = build(self._follower.call(), self._client, self._follower.patience.silence)
        response = self._response = await self._client.send(request, stream=True)
        if self._follower.opened(response.status_code):
            self._chunks = response.aiter_bytes()
        elif not self._follower.over:
            await response.aread()
            raise status_error(response)

    async def _read(self) -> None:
        """Read a piece of the body; connect first, or again, where need be."""
        try:
            await self.connect()
            if self._chunks is not None:
                self._arrived = self._follower.feed(await anext(self._chunks))
            return
        except StopAsyncIteration:
            pass
        except self._httpx.HTTPError as error:
            check_break(error, self._follower)
        await self._disconnect()
        await anyio.sleep(self._follower.broken())

    async def _disconnect(self) -> None:
        response, self._response = self._response, None
        chunks, self._chunks = self._chunks, None
        if response is None:
            return
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await response.aclose()
            if chunks is not None:
                # Generators that httpx nests end by an error now; left in the middle, trio complains about each.
                with suppress(Exception):
                    await anext(chunks)


class EventStream:
    """What `WorkflowClient.get_workflow_events` returns: iterate over it, once.

    Iterating raises what `Events` raises, and:
        RuntimeError: It is the second time.
        TimeoutError: httpx gave up waiting.
    """

    def __init__(self, events: Events[EventEnvelopeWithMetadata]) -> None:
        self._events = events
        self._iterated = False
        self._opened: anyio.Event | None = None
        self._failure: Exception | None = None
        if events.last_sequence == "now":
            # "Now" is when the stream was asked for, not when somebody comes to read it.
            self._opened = anyio.Event()
            current_port().spawn(self._open, self._opened)

    async def _open(self, opened: anyio.Event) -> None:
        try:
            await self._events.connect()
        except Exception as error:  # whoever iterates is told
            self._failure = error
        finally:
            opened.set()

    @property
    def last_sequence(self) -> Cursor:
        """The sequence of the last event, or what was given for it to begin with."""
        return self._events.last_sequence

    def __aiter__(self) -> AsyncIterator[EventEnvelopeWithMetadata]:
        if self._iterated:
            raise RuntimeError("EventStream can only be iterated once")
        self._iterated = True
        return _Opened(self._events, self._settled)

    async def _settled(self) -> None:
        if self._opened is not None:
            await self._opened.wait()
            failure, self._failure = self._failure, None
            httpx: Any = need_httpx()
            if failure is not None and not isinstance(failure, httpx.TransportError):
                await self.aclose()
                raise failure

    async def aclose(self) -> None:
        """End it. Doing so again does nothing."""
        if self._opened is not None:
            with anyio.move_on_after(CLOSE_SECONDS, shield=True):
                await self._opened.wait()
        await self._events.aclose()


class _Opened(AsyncIterator[EventEnvelopeWithMetadata]):
    """Events, once the connection that was begun for them is there."""

    def __init__(self, events: Events[EventEnvelopeWithMetadata], settled: Callable[[], Any]) -> None:
        self._events = events
        self._settled = settled

    async def __anext__(self) -> EventEnvelopeWithMetadata:
        await self._settled()
        return await anext(self._events)

"""The one await path from a request to the bytes of its answer, shared by TCP, ASGI and tests.

What a sink must know:

- `exchange` calls `start` once, then `send` any number of times, then `finish` once. It returns without
  `finish` only if `gone` said that nobody reads the stream any more; it raises if the application, a source
  or the sink raised. Whoever owns the sink then cuts the connection without ending the body, so that the
  client can't take a broken answer for a whole one.
- A sink may hold the head back until the first `send`, which follows at once (perhaps with no bytes) for a
  stream: a short answer is one write, and the head of a stream leaves immediately.
- For HEAD, and for 204 and 304, `start` is told the same as for GET, and nothing is sent.
- `gone` is awaited only while a route waits or streams (`Application.may_wait`): at once for a stream, after a
  moment for a wait (see `lookout`). When a client goes away during a wait, `abandon` is called: it cancels
  whoever awaits `exchange`, and nothing else. The run goes on.

A stream of a route that waits would perhaps never end, so a stopping server ends it with its
farewell. Any other stream is an answer on its way and is finished.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from workflow_server.http.messages import Application, Headers, Request, Response, Stream
from workflow_server.transports.lookout import Lookout

PIECE = 64 * 1024
"""Bytes that are framed before they are handed to the sink."""

_BODILESS = (204, 304)


class Sink(Protocol):
    """Where an answer goes."""

    @property
    def drain(self) -> anyio.Event:
        """Set when the server is stopping."""
        ...

    @property
    def lookout(self) -> Lookout:
        """Watches the client while its request is executed."""
        ...

    def abandon(self) -> None:
        """Cancel whoever awaits `exchange`: the client has gone away before there was an answer."""
        ...

    async def start(self, status: int, headers: Headers, length: int | None) -> None:
        """Begin the answer; `length` is the size of its body in bytes, `None` if unknown."""
        ...

    async def send(self, data: bytes) -> None:
        """Send a part of the body; waits while the client doesn't take it, and perhaps only then."""
        ...

    async def finish(self) -> None:
        """End the answer."""
        ...

    async def gone(self) -> None:
        """Return when the client has gone away; cancelled when that no longer matters."""
        ...


async def exchange(app: Application, request: Request, sink: Sink) -> None:
    """Answer `request` through `sink`; see the module for what a sink is told.

    Raises:
        Exception: Whatever the application, a source or the sink raised.
    """
    waits = app.may_wait(request)
    response = await (_respond_watched(app, request, sink) if waits else app.respond(request))
    if not (waits and isinstance(response.body, Stream)):
        await _deliver(response, request, sink, None)
        return
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_when_gone, sink, tasks)
        try:
            await _deliver(response, request, sink, tasks)
        except Exception as error:  # a task group would wrap it
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _respond_watched(app: Application, request: Request, sink: Sink) -> Response:
    """Return the answer to a request that may take long; abandoned if the client goes away before."""
    lookout = sink.lookout
    lookout.note(sink)
    try:
        return await app.respond(request)
    finally:
        await lookout.forget(sink)


async def _cancel_when_gone(sink: Sink, tasks: TaskGroup) -> None:
    await sink.gone()
    tasks.cancel_scope.cancel()


async def _deliver(response: Response, request: Request, sink: Sink, tasks: TaskGroup | None) -> None:
    body = response.body
    silent = request.method == "HEAD" or response.status in _BODILESS
    if not isinstance(body, Stream):
        await sink.start(response.status, response.headers, len(body))
        if body and not silent:
            await sink.send(body)
        await sink.finish()
        return
    try:
        await sink.start(response.status, response.headers, None)
        if not silent:
            await _Pump(body, sink).run(tasks)
    finally:
        body.source.close()
    await sink.finish()


class _Pump:
    """Carries pages from a stream's source to its sink until the source, the server or the client ends it."""

    def __init__(self, stream: Stream, sink: Sink) -> None:
        self._stream = stream
        self._sink = sink
        self._stopping = False
        self._pulling: anyio.CancelScope | None = None

    async def run(self, tasks: TaskGroup | None) -> None:
        stream, sink = self._stream, self._sink
        if tasks is not None:
            tasks.start_soon(self._stop_on_drain)
        pause = math.inf if stream.heartbeat is None else stream.heartbeat
        await sink.send(stream.opening)
        silent_until = anyio.current_time() + pause
        while not self._stopping:
            if anyio.current_time() >= silent_until:
                await sink.send(stream.heartbeat_bytes)
                silent_until = anyio.current_time() + pause
            page, pulled = await self._pull(silent_until)
            if page is None:
                if pulled:
                    await self._send_last(stream.closing)
                    return
                continue
            if await self._send_page(page):
                silent_until = anyio.current_time() + pause
        await self._send_last(stream.farewell)

    async def _pull(self, deadline: float) -> tuple[Sequence[Any] | None, bool]:
        """Return the next page (`None` at the end) and `True`, or `False` if the time was up or the server stops."""
        with anyio.CancelScope(deadline=deadline) as self._pulling:
            return await self._stream.source.pull(), True
        return None, False

    async def _stop_on_drain(self) -> None:
        await self._sink.drain.wait()
        self._stopping = True
        if self._pulling is not None:
            self._pulling.cancel()

    async def _send_page(self, page: Sequence[Any]) -> bool:
        """Send what `page` frames to, in bounded pieces; tell whether there was anything."""
        frame, pieces, size, sent = self._stream.frame, list[bytes](), 0, False
        for item in page:
            data = frame(item)
            pieces.append(data)
            size += len(data)
            if size >= PIECE:
                await self._sink.send(b"".join(pieces))
                await anyio.lowlevel.checkpoint()
                pieces, size, sent = [], 0, True
        if size:
            await self._sink.send(b"".join(pieces))
        # Neither a source that always has more nor a client that takes all of it at once may hold the loop.
        await anyio.lowlevel.checkpoint()
        return sent or size > 0

    async def _send_last(self, data: bytes) -> None:
        if data:
            await self._sink.send(data)

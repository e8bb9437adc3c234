"""One client's connection: carries bytes between a socket and `http.Connection`, and is the sink of its answers.

Time limits are one attribute, `deadline`, that the server's sweeper looks at; the connection's only
cancel scope is opened once. What follows when the time is up depends on what was awaited: an idle
connection is closed, a slow request is told so (408), a client that does not read is cut off.

Errors of the socket become `_Lost` where they happen, so that the same kinds of error raised by the
application are still seen as errors of the application.
"""

from __future__ import annotations

import logging
import math
from contextlib import suppress
from ssl import SSLContext
from typing import Protocol

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from workflow_server.http.connection import Connection
from workflow_server.http.events import NeedData, Phase, Working, refusal
from workflow_server.http.limits import BodyBudget, Limits
from workflow_server.http.messages import Application, Headers, Refused, Request, Response
from workflow_server.transports.client_socket import ClientSocket
from workflow_server.transports.exchange import exchange
from workflow_server.transports.linger import LINGER_SECONDS, linger
from workflow_server.transports.lookout import Lookout
from workflow_server.transports.sweeper import Sweeper
from workflow_server.valueclass import dataclass

logger = logging.getLogger(__name__)

PIECE = 64 * 1024
"""Bytes written under one deadline, so that a client that reads slowly but steadily is never cut off."""

_READ = 64 * 1024

_FULL = Refused(503, "The server has as many connections as it may; try again soon.", (("retry-after", "1"),))
_BROKEN = Response(500, (("content-type", "application/json"),), b'{"detail": "Internal server error"}')


class _Lost(Exception):
    """The client is not there any more."""


class Registry(Protocol):
    """Who keeps the open connections."""

    def discard(self, connection: TcpConnection) -> None:
        """Forget a connection that has ended."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all connections of a server share."""

    app: Application
    limits: Limits
    drain: anyio.Event
    ssl_context: SSLContext | None
    sweeper: Sweeper
    registry: Registry
    budget: BodyBudget
    lookout: Lookout


class TcpConnection:
    """Serves requests from one accepted socket until either side ends it.

    Args:
        client: Its socket; owned from now on.
        server: What all connections share.
    """

    def __init__(self, client: ClientSocket, server: Surroundings) -> None:
        self.deadline = server.sweeper.after(server.limits.keep_alive_seconds)
        self._socket = client
        self._stream: ByteStream = client
        self._server = server
        self._http = Connection(server.limits, server.budget)
        self._scope = anyio.CancelScope()
        self._phase: Phase | None = Phase.IDLE
        self._head_held = b""
        self._started = False  # the current answer's head has been made
        self._writing = False
        self._late: Phase | None = None
        self._cut = False  # end without ceremony

    @property
    def drain(self) -> anyio.Event:
        """Set when the server is stopping."""
        return self._server.drain

    @property
    def lookout(self) -> Lookout:
        """Watches the client while its request is executed."""
        return self._server.lookout

    async def run(self) -> None:
        """Serve until the end. Never raises for anything that client or application do."""
        self._server.sweeper.add(self)
        try:
            await self._serve()
        except _Lost as error:
            logger.debug("A client left: %r", error.__cause__)
        except Exception:
            self._cut = True
            logger.exception("A connection is closed because of an unexpected error; others go on.")
            with suppress(Exception):  # nothing that happens while excusing may reach the other connections
                await self._excuse()
        finally:
            self._http.close()
            self._server.sweeper.discard(self)
            self._server.registry.discard(self)
            if self._cut and self._http.ends_by_closing:
                # Only a reset tells this client that the answer is not whole.
                with suppress(OSError):  # closed already
                    self._socket.reset_on_close()
            await anyio.aclose_forcefully(self._stream)

    async def turn_away(self) -> None:
        """Say that there are too many connections, and close. Never raises."""
        try:
            with anyio.move_on_after(LINGER_SECONDS):
                if self._server.ssl_context is None:  # a handshake would cost more than it tells
                    await self._answer(refusal(self._http.refuse(_FULL)))
                    await linger(self._stream, self._socket)
        except _Lost as error:
            logger.debug("A client left: %r", error.__cause__)
        finally:
            await anyio.aclose_forcefully(self._stream)

    async def drop(self) -> None:
        """Close without a word."""
        await anyio.aclose_forcefully(self._stream)

    def expire(self) -> None:
        """End what has taken too long (called by the sweeper)."""
        self.deadline = math.inf
        self._late = self._phase
        self._cut = self._writing
        self._scope.cancel()

    def stop(self) -> None:
        """End as soon as nothing is owed to the client: at once when idle, else with the current answer."""
        self._http.last = True
        if self._phase is Phase.IDLE:
            self._scope.cancel()

    # ------------------------------------------------------------------------------------------ the life of a client

    async def _serve(self) -> None:
        with self._scope:
            if self._server.ssl_context is not None and not await self._secure(self._server.ssl_context):
                return
            await self._talk()
        if self._cut:
            return
        with anyio.move_on_after(LINGER_SECONDS):
            if self._late in (Phase.HEAD, Phase.BODY):
                await self._answer(refusal(self._http.refuse(self._too_slow(self._late))))
            if self._http.unread or isinstance(self._stream, TLSStream):
                await linger(self._stream, self._socket)

    async def _secure(self, context: SSLContext) -> bool:
        self.deadline = self._server.sweeper.after(self._server.limits.head_seconds)
        try:
            self._stream = await TLSStream.wrap(
                self._socket, server_side=True, ssl_context=context, standard_compatible=False
            )
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError) as error:
            logger.debug("A TLS handshake failed: %r", error)
            return False
        self.deadline = self._server.sweeper.after(self._server.limits.keep_alive_seconds)
        return True

    async def _talk(self) -> None:
        http = self._http
        while True:
            event = http.next_event()
            if isinstance(event, Request):
                self._phase = None
                self.deadline = math.inf
                self._started = False
                await exchange(self._server.app, event, self)
                if http.answering:
                    self._cut = True  # the client left before the end
                    return
            elif isinstance(event, NeedData):
                if event.phase is Phase.IDLE and self.drain.is_set():
                    return
                await self._read(event)
            elif isinstance(event, Refused):
                await self._answer(refusal(event))
            elif isinstance(event, Working):
                await anyio.lowlevel.checkpoint()
            else:
                return

    async def _read(self, need: NeedData) -> None:
        if need.phase is not self._phase:
            self._phase = need.phase
            self.deadline = self._server.sweeper.after(self._patience(need.phase))
        if need.send:
            await self._write(need.send)
        self._http.receive_data(await self._receive())

    async def _answer(self, response: Response) -> None:
        assert isinstance(response.body, bytes)
        self._phase = None
        await self.start(response.status, response.headers, len(response.body))
        await self.send(response.body)
        await self.finish()

    async def _excuse(self) -> None:
        """Tell the client of an unexpected error if it has been told nothing yet."""
        if self._started or not self._http.answering:
            return
        self._http.last = True
        with anyio.move_on_after(LINGER_SECONDS):
            await self._answer(_BROKEN)
            self._cut = False

    def _patience(self, phase: Phase) -> float:
        limits = self._server.limits
        if phase is Phase.IDLE:
            return limits.keep_alive_seconds
        return limits.head_seconds if phase is Phase.HEAD else limits.body_seconds

    def _too_slow(self, phase: Phase) -> Refused:
        seconds = self._patience(phase)
        return Refused(408, f"The request's {phase.value} did not arrive within {seconds:g} seconds.")

    # ------------------------------------------------------------------------------------------ the sink of an answer

    async def start(self, status: int, headers: Headers, length: int | None) -> None:
        """Make the head; it leaves with the first part of the body."""
        self._head_held = self._http.start(status, (*headers, ("date", self._server.sweeper.date)), length)
        self._started = True

    async def send(self, data: bytes) -> None:
        """Write a part of the body, and the head if it has been held back."""
        held, self._head_held = self._head_held, b""
        if len(data) <= PIECE:
            if piece := held + self._http.data(data):
                await self._write(piece)
            return
        for begin in range(0, len(data), PIECE):
            await self._write(held + self._http.data(data[begin : begin + PIECE]))
            held = b""

    async def finish(self) -> None:
        """End the body."""
        held, self._head_held = self._head_held, b""
        if end := held + self._http.finish():
            await self._write(end)

    def abandon(self) -> None:
        """End without an answer: the client has gone away."""
        self._cut = True
        self._scope.cancel()

    async def gone(self) -> None:
        """Return when the client has closed its side, or is lost; keep what it sends ahead."""
        try:
            while self._http.may_read:
                self._http.receive_data(await self._receive())
        except _Lost:
            return
        if not self._http.peer_gone:
            await anyio.sleep_forever()  # enough read ahead; a client that leaves now is found by writing

    # ------------------------------------------------------------------------------------------ the socket

    async def _receive(self) -> bytes:
        try:
            return await self._stream.receive(_READ)
        except anyio.EndOfStream:
            return b""
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
            raise _Lost from error

    async def _write(self, data: bytes) -> None:
        before = self.deadline
        self.deadline = self._server.sweeper.after(self._server.limits.write_stall_seconds)
        self._writing = True
        try:
            await self._stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
            raise _Lost from error
        self._writing = False
        self.deadline = before

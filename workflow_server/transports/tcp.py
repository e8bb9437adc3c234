"""The server's own edge to the network: TCP and Unix sockets, with or without TLS, on asyncio and on trio.

`serve` owns the listeners, the connections and the sweeper. It stops in this order: accepting ends and
idle connections close; requests in flight are answered with `connection: close`, streams say
farewell; what is left after `drain_seconds` is cut off.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup

from workflow_server.http.limits import BodyBudget, Limits
from workflow_server.http.messages import Application
from workflow_server.transports.accept import accept_forever
from workflow_server.transports.client_socket import ClientSocket
from workflow_server.transports.connection import Surroundings, TcpConnection
from workflow_server.transports.listeners import Binding, Listeners, open_listeners
from workflow_server.transports.lookout import Lookout
from workflow_server.transports.sweeper import Sweeper

__all__ = ["Binding", "serve"]

_TURNED_AWAY_AT_ONCE = 64
"""Clients beyond the limit that are told so at the same time; more are dropped without a word."""


async def serve(
    app: Application,
    binding: Binding,
    limits: Limits,
    *,
    drain: anyio.Event,
    listening: Callable[[tuple[str, ...]], None],
) -> None:
    """Serve `app` until `drain` is set and the connections have ended.

    Args:
        app: What answers.
        binding: Where to listen.
        limits: What a client may cost.
        drain: Set it to stop; see the module for what follows.
        listening: Called once, when clients can connect, with the URLs that a person can open.

    Raises:
        ServerUsageError: `binding` can't be listened on; nothing has been started.
    """
    listeners = await open_listeners(binding, limits)
    try:
        listening(listeners.urls)
        async with anyio.create_task_group() as tasks:
            connections = _Connections(app, binding, limits, drain, tasks)
            await connections.accept_until_drain(listeners)
            listeners.close()
            with anyio.move_on_after(limits.drain_seconds):
                await connections.ended()
            tasks.cancel_scope.cancel()
    finally:
        listeners.close()


class _Connections:
    """The open connections of one server."""

    def __init__(
        self, app: Application, binding: Binding, limits: Limits, drain: anyio.Event, tasks: TaskGroup
    ) -> None:
        sweeper = Sweeper(limits)
        self._server = Surroundings(
            app, limits, drain, binding.ssl_context, sweeper, self, BodyBudget(limits.bodies_bytes), Lookout()
        )
        self._tasks = tasks
        self._open: set[TcpConnection] = set()
        self._turned_away = 0
        self._none_left = anyio.Event()
        tasks.start_soon(sweeper.run)

    async def accept_until_drain(self, listeners: Listeners) -> None:
        async with anyio.create_task_group() as accepting:
            for listener in listeners.sockets:
                accepting.start_soon(accept_forever, listener, self._admit)
            await self._server.drain.wait()
            accepting.cancel_scope.cancel()

    async def ended(self) -> None:
        """Ask all to end, and wait until they have."""
        for connection in tuple(self._open):
            connection.stop()
        if self._open:
            await self._none_left.wait()

    def discard(self, connection: TcpConnection) -> None:
        """Forget a connection that has ended."""
        self._open.discard(connection)
        if not self._open and self._server.drain.is_set():
            self._none_left.set()

    def _admit(self, client: ClientSocket) -> None:
        connection = TcpConnection(client, self._server)
        if len(self._open) < self._server.limits.connections:
            self._open.add(connection)
            self._tasks.start_soon(connection.run)
        else:
            self._tasks.start_soon(self._turn_away, connection)

    async def _turn_away(self, connection: TcpConnection) -> None:
        if self._turned_away >= _TURNED_AWAY_AT_ONCE:
            await connection.drop()
            return
        self._turned_away += 1
        try:
            await connection.turn_away()
        finally:
            self._turned_away -= 1

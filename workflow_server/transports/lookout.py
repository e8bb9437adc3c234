"""Whether the clients of long waits are still there.

A task that reads from the client while its request is executed costs more than most requests do. So a wait
is only noted, and a task watches the client once the wait has lasted a moment: one look at all
noted waits every few milliseconds, for as long as there are any.
"""

from __future__ import annotations

from typing import Protocol

import anyio

from workflow_server.runtime.loop import LoopPort, current_port

UNWATCHED_SECONDS = 0.05
"""How long a wait lasts at most before somebody looks whether its client is still there."""


class Client(Protocol):
    """Whose request is being executed."""

    async def gone(self) -> None:
        """Return when the client has gone away; cancelled when that no longer matters."""
        ...

    def abandon(self) -> None:
        """Cancel the execution of the request: its client has gone away."""
        ...


class Lookout:
    """Watches the clients of long waits, on the loop that makes it.

    Args:
        port: The loop.
    """

    def __init__(self, port: LoopPort | None = None) -> None:
        self._port = port or current_port()
        self._noted: dict[Client, _Watch | None] = {}
        """The waits, and how each is watched, once it is."""
        self._fresh: list[Client] = []
        """Those noted since the last look, perhaps over by now."""
        self._looking = False

    def note(self, client: Client) -> None:
        """Note that a request of `client` is being executed."""
        self._noted[client] = None
        self._fresh.append(client)
        if not self._looking:
            self._looking = True
            self._port.spawn(self._look)

    async def forget(self, client: Client) -> None:
        """Watch no longer; returns once nobody but the caller reads from `client`."""
        watch = self._noted.pop(client)
        if watch is not None:
            await watch.end()

    async def _look(self) -> None:
        try:
            while self._noted:
                before, self._fresh = self._fresh, []
                await anyio.sleep(UNWATCHED_SECONDS / 2)
                for client in before:
                    if client in self._noted and self._noted[client] is None:
                        self._noted[client] = watch = _Watch(client)
                        self._port.spawn(watch.run)
        finally:
            self._looking = False


class _Watch:
    """Abandons a request when its client goes away."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()

    async def run(self) -> None:
        try:
            with self._scope:
                await self._client.gone()
                self._client.abandon()
        except Exception:  # a task of its own must not raise; what is wrong with the client shows in writing
            self._client.abandon()
        finally:
            self._ended.set()

    async def end(self) -> None:
        self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._ended.wait()

"""A bell for whoever waits until something of a run has changed; it costs next to nothing while nobody waits."""

from __future__ import annotations

import anyio


class Stir:
    """Wakes all who wait, and is ready for the next ones."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def ring(self) -> None:
        """Wake whoever waits."""
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self) -> None:
        """Return when it rings next."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()

"""A store that fails at one call, chosen by its number, in one of the ways in which stores fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import anyio
import anyio.lowlevel

from workflow_server.errors import StoreUnavailable
from workflow_server.stores.base import AbstractWorkflowStore
from workflow_server.testing.durable_store import DurableStore

Kind = Literal["once", "outage", "always", "unsaid", "slow"]

OUTAGE_SECONDS = 7.0
SLOW_SECONDS = 4.0


@dataclass(frozen=True)
class Fault:
    """What happens to call number `at`: it fails, it and all for a while fail, it and all until the process ends, it is
    done but fails, or it is slow."""

    kind: Kind
    at: int


def _passing_on(name: str) -> Callable[..., Awaitable[Any]]:
    async def method(self: FaultyStore, *arguments: Any, **options: Any) -> Any:
        return await self.call(name, *arguments, **options)

    return method


class FaultyStore(AbstractWorkflowStore):
    """A disk behind a bad cable.

    Args:
        disk: What is really written.
        fault: What goes wrong; `None` for nothing.
    """

    keeps_parts = True

    def __init__(self, disk: DurableStore, fault: Fault | None = None) -> None:
        self.disk = disk
        self.fault = fault
        self.calls: list[str] = []
        """Names of the methods that were called."""
        self._out_until: float | None = None
        self._out = False

    async def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Have the disk do what is asked, or not."""
        await anyio.lowlevel.checkpoint()
        number, fault = len(self.calls), self.fault
        self.calls.append(name)
        hit = fault is not None and fault.at == number
        kind = fault.kind if fault is not None and hit else None
        if kind == "outage":
            self._out_until = anyio.current_time() + OUTAGE_SECONDS
        if name == "start":
            self._out = False  # another process
        if kind == "always":
            self._out = True
        if kind == "once" or self._out or (self._out_until is not None and anyio.current_time() < self._out_until):
            raise StoreUnavailable(f"the cable came loose at {name}")
        if kind == "slow":
            await anyio.sleep(SLOW_SECONDS)
        value = await getattr(self.disk, name)(*arguments, **options)
        if kind == "slow":
            await anyio.sleep(SLOW_SECONDS)
        if kind == "unsaid":
            raise StoreUnavailable(f"the answer of {name} got lost")
        return value

    async def start(self) -> None:
        await self.call("start")

    # Whatever the contract comes to hold.
    vars().update({name: _passing_on(name) for name in AbstractWorkflowStore.__abstractmethods__})

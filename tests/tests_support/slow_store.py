"""A store that takes its time, fails and refuses, as told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import anyio.lowlevel

from workflow_server.stores.base import AbstractWorkflowStore, Batch, Verdict
from workflow_server.stores.memory import MemoryWorkflowStore


def _later(name: str) -> Callable[..., Awaitable[Any]]:
    async def method(self: SlowStore, *args: Any, **options: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return await getattr(self.kept, name)(*args, **options)

    return method


class SlowStore(AbstractWorkflowStore):
    """Keeps what it is given in a memory store, but commits like a disk: later, or not at all."""

    keeps_parts = False

    def __init__(self) -> None:
        self.kept = MemoryWorkflowStore()
        self.groups: list[list[Batch]] = []
        """What was given to be committed, every try counted."""
        self.failures: list[Exception] = []
        """What the next commits raise."""
        self.refusals: dict[str, Verdict] = {}
        """What is said to batches, by handler."""
        self._gate: anyio.Event | None = None

    def shut(self) -> None:
        """Let no commit return until `open`."""
        self._gate = anyio.Event()

    def open(self) -> None:
        """Let commits return."""
        if self._gate is not None:
            self._gate.set()
            self._gate = None

    async def commit(self, group: Sequence[Batch]) -> list[Verdict]:
        self.groups.append(list(group))
        await anyio.lowlevel.checkpoint()
        if self._gate is not None:
            await self._gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        return [self.refusals.get(one.handler.handler_id) or self.kept.commit_now([one])[0] for one in group]

    # Everything else is asked of the memory store, a turn of the loop later; whatever the contract comes to hold.
    vars().update({name: _later(name) for name in AbstractWorkflowStore.__abstractmethods__ - {"commit"}})

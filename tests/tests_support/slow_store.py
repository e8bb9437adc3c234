"""A store that takes its time, fails and refuses, as told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio
import anyio.lowlevel

from workflow_server.stores.base import AbstractWorkflowStore, Batch, HandlerQuery, Verdict
from workflow_server.stores.memory import MemoryWorkflowStore
from workflow_server.wire.records import EventRecord, HandlerRecord


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

    async def handler(self, handler_id: str) -> HandlerRecord | None:
        await anyio.lowlevel.checkpoint()
        return await self.kept.handler(handler_id)

    async def run(self, run_id: str) -> HandlerRecord | None:
        await anyio.lowlevel.checkpoint()
        return await self.kept.run(run_id)

    async def handlers(
        self, query: HandlerQuery, after: str | None, limit: int
    ) -> tuple[list[HandlerRecord], str | None]:
        await anyio.lowlevel.checkpoint()
        return await self.kept.handlers(query, after, limit)

    async def events(self, run_id: str, after: int, limit: int) -> list[EventRecord]:
        await anyio.lowlevel.checkpoint()
        return await self.kept.events(run_id, after, limit)

    async def next_sequence(self, run_id: str) -> int:
        await anyio.lowlevel.checkpoint()
        return await self.kept.next_sequence(run_id)

    async def state(self, run_id: str) -> Mapping[str, str]:
        await anyio.lowlevel.checkpoint()
        return await self.kept.state(run_id)

    async def delete(self, handler_id: str) -> bool:
        await anyio.lowlevel.checkpoint()
        return await self.kept.delete(handler_id)

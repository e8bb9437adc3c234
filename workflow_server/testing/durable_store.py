"""A store in memory from which runs can be loaded again: a disk whose contents can be copied at any moment."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import chain

from workflow_server.stores.base import Batch, FirstBatch, StoredRun, UnfinishedRun, Verdict
from workflow_server.stores.memory import MemoryWorkflowStore


class DurableStore(MemoryWorkflowStore):
    """Keeps parts, too, so that runs can be loaded again.

    Attributes:
        commits: How many groups were committed.
        on_commit: Called with that number after each commit; may `copy`, to keep what a crash now would leave.
    """

    keeps_parts = True

    def __init__(self) -> None:
        super().__init__(max_completed=None)
        self.last: dict[str, Batch] = {}
        self.firsts: dict[str, FirstBatch] = {}
        self.parts: dict[str, dict[str, str]] = {}
        self.commits = 0
        self.on_commit: Callable[[int], None] | None = None

    def copy(self) -> DurableStore:
        """Return a store with the same contents."""
        hook, self.on_commit = self.on_commit, None
        # What was written never changes, and is by far the most of it.
        runs = self._runs.values()
        written = chain(self.last.values(), self.firsts.values(), *((run.record, *run.events) for run in runs))
        try:
            return copy.deepcopy(self, {id(item): item for item in written})
        finally:
            self.on_commit = hook

    def commit_now(self, group: Sequence[Batch]) -> list[Verdict]:
        """Write each batch that its guards allow, at once."""
        verdicts = [self._commit(batch) for batch in group]
        self.commits += 1
        if self.on_commit is not None:
            self.on_commit(self.commits)
        return verdicts

    def _commit(self, batch: Batch) -> Verdict:
        known = self.last.get(batch.handler.run_id)
        if known is not None and known.write_id == batch.write_id:
            return Verdict.DONE  # written before, but the answer got lost
        (verdict,) = super().commit_now([batch])
        if verdict is Verdict.DONE:
            self._keep(batch)
        return verdict

    def _keep(self, batch: Batch) -> None:
        run_id = batch.handler.run_id
        self.last[run_id] = batch
        if batch.first is not None:
            self.firsts[run_id] = batch.first
        parts = self.parts.setdefault(run_id, {})
        for key, text in batch.parts.items():
            if text is None:
                del parts[key]  # a part that was never stored must not be removed
            else:
                parts[key] = text

    async def load(self, run_id: str) -> StoredRun | None:
        batch, record = self.last.get(run_id), await self.run(run_id)
        if batch is None or record is None:
            return None
        first = self.firsts[run_id]
        return StoredRun(
            record=record,
            version=batch.version,
            next_sequence=batch.next_sequence,
            head=batch.head,
            parts=dict(self.parts[run_id]),
            state=await self.state(run_id),
            alive=batch.alive,
            start=first.start,
            shape=first.shape,
        )

    async def unfinished(
        self, after: str | None, limit: int, *, asleep: bool, due_by: float | None = None
    ) -> tuple[list[UnfinishedRun], str | None]:
        found = [
            UnfinishedRun(run_id, record.handler_id, record.workflow_name, record.phase, self.last[run_id].due)
            for run_id in self.last
            if (record := await self.run(run_id)) is not None
            and record.status == "running"
            and (record.phase in ("waiting", "idle")) == asleep
        ]
        if due_by is not None:
            found = [run for run in found if run.due is not None and run.due <= due_by]
        begin = int(after or 0)
        more = len(found) > begin + limit
        return found[begin : begin + limit], str(begin + limit) if more else None

    async def next_due(self, after: float) -> float | None:
        page, _ = await self.unfinished(None, 1_000_000, asleep=True)
        return min((run.due for run in page if run.due is not None and run.due > after), default=None)

"""The store for runs that need not outlive the process."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workflow_server.stores.base import Batch, HandlerQuery, ImmediateStore, KeptKey, StoredRun, UnfinishedRun, Verdict
from workflow_server.wire.records import EventRecord, HandlerRecord


@dataclass(slots=True)
class _StoredRun:
    record: HandlerRecord
    version: int
    next_sequence: int = 0
    events: list[EventRecord] = field(default_factory=list[EventRecord])
    state: dict[str, str] = field(default_factory=dict[str, str])
    start: EventRecord | None = None
    keys: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


@dataclass(slots=True)
class _StoredHandler:
    place: int
    """Counts handlers in the order of starting; the cursor of listings."""
    runs: list[str]
    """Ids of its runs, the current one last."""


class MemoryWorkflowStore(ImmediateStore):
    """Keeps everything in memory.

    Args:
        max_completed: How many finished handlers are kept; beyond it the oldest vanish with all that hangs on
            them. `None` keeps all. Running ones are never dropped.

    Raises:
        ValueError: `max_completed` is negative.
    """

    keeps_parts = False

    def __init__(self, max_completed: int | None = 1000) -> None:
        if max_completed is not None and max_completed < 0:
            raise ValueError(f"max_completed must be at least 0 or None, not {max_completed}")
        self.max_completed = max_completed
        self._runs: dict[str, _StoredRun] = {}
        self._handlers: dict[str, _StoredHandler] = {}
        self._finished: OrderedDict[str, None] = OrderedDict()
        """Ids of finished handlers, the one that finished first in front."""
        self._places = 0
        self._keys: dict[tuple[str, str], KeptKey] = {}

    def commit_now(self, group: Sequence[Batch]) -> list[Verdict]:
        """Write `group`; see the contract."""
        return [self._write(batch) for batch in group]

    def _write(self, batch: Batch) -> Verdict:
        record = batch.handler
        run = self._runs.get(record.run_id)
        if batch.version == 1:
            if run is not None:
                return Verdict.STALE
            if any((key.scope, key.text) in self._keys for key in batch.keys):
                return Verdict.TAKEN
            known = self._handlers.get(record.handler_id)
            if known is not None and self._runs[known.runs[-1]].record.status == "running":
                return Verdict.CONFLICT
            run = self._runs[record.run_id] = _StoredRun(record, 0, start=batch.first.start if batch.first else None)
            if known is None:
                self._handlers[record.handler_id] = _StoredHandler(self._places, [record.run_id])
                self._places += 1
            else:
                known.runs.append(record.run_id)
                self._finished.pop(record.handler_id, None)
        elif run is None or run.version != batch.version - 1:
            return Verdict.STALE
        run.record, run.version, run.next_sequence = record, batch.version, batch.next_sequence
        run.events.extend(batch.events)
        for scope, text, payload in batch.keys:
            if (scope, text) not in self._keys:
                self._keys[scope, text] = KeptKey(payload, record.run_id)
                run.keys.append((scope, text))
        for key, value in batch.state.items():
            if value is None:
                run.state.pop(key, None)
            else:
                run.state[key] = value
        if record.status != "running":
            self._finished[record.handler_id] = None
            self._drop_beyond_limit()
        return Verdict.DONE

    def _drop_beyond_limit(self) -> None:
        while self.max_completed is not None and len(self._finished) > self.max_completed:
            oldest, _ = self._finished.popitem(last=False)
            self._forget(oldest)

    def _forget(self, handler_id: str) -> bool:
        stored = self._handlers.pop(handler_id, None)
        self._finished.pop(handler_id, None)
        for run_id in stored.runs if stored else ():
            for key in self._runs.pop(run_id).keys:
                del self._keys[key]
        return stored is not None

    async def handler(self, handler_id: str) -> HandlerRecord | None:
        """Return the handler with its current run, or `None`."""
        stored = self._handlers.get(handler_id)
        return self._runs[stored.runs[-1]].record if stored else None

    async def run(self, run_id: str) -> HandlerRecord | None:
        """Return the record of one run, or `None`."""
        stored = self._runs.get(run_id)
        return stored.record if stored else None

    async def handlers(
        self, query: HandlerQuery, after: str | None, limit: int
    ) -> tuple[list[HandlerRecord], str | None]:
        """Return a page of matching handlers; see the contract."""
        if query.handler_id_in is not None:
            named = [(id, self._handlers[id]) for id in dict.fromkeys(query.handler_id_in) if id in self._handlers]
            stored = sorted(named, key=lambda pair: pair[1].place)
        else:
            # Insertion order is the order of places, so a page begins where a bisection says.
            stored = list(self._handlers.items())
        begin = 0 if after is None else bisect_right(stored, int(after), key=lambda pair: pair[1].place)
        page: list[HandlerRecord] = []
        for _, handler in stored[begin:]:
            record = self._runs[handler.runs[-1]].record
            if not query.matches(record):
                continue
            page.append(record)
            if len(page) == limit:
                return page, str(handler.place)
        return page, None

    async def events(self, run_id: str, after: int, limit: int) -> list[EventRecord]:
        """Return a page of events; see the contract."""
        stored = self._runs.get(run_id)
        # Sequences have no gaps, so an event's place is its sequence.
        return stored.events[max(after, -1) + 1 : max(after, -1) + 1 + limit] if stored else []

    async def next_sequence(self, run_id: str) -> int:
        """Return the sequence number that the next event of a run will have."""
        stored = self._runs.get(run_id)
        return stored.next_sequence if stored else 0

    async def state(self, run_id: str) -> Mapping[str, str]:
        """Return `ctx.store` of a run as JSON text by key."""
        stored = self._runs.get(run_id)
        return dict(stored.state) if stored else {}

    async def load(self, run_id: str) -> StoredRun | None:  # noqa: ARG002  # nothing outlives the process
        """Return `None`: a run that left memory is gone."""
        return None

    async def unfinished(
        self,
        after: str | None,  # noqa: ARG002
        limit: int,  # noqa: ARG002
        *,
        asleep: bool,  # noqa: ARG002
        due_by: float | None = None,  # noqa: ARG002
    ) -> tuple[list[UnfinishedRun], str | None]:
        """Return nothing: every run that is not over is in memory."""
        return [], None

    async def next_due(self, after: float) -> float | None:  # noqa: ARG002
        """Return `None`: timers of runs in memory ring there."""
        return None

    async def start_event(self, run_id: str) -> EventRecord | None:
        """Return the start event of a run, or `None`."""
        stored = self._runs.get(run_id)
        return stored.start if stored else None

    async def events_of_item(self, run_id: str, item: int, since: int) -> list[EventRecord]:
        """Return the events that one work item published, from sequence `since` on."""
        stored = self._runs.get(run_id)
        return [event for event in stored.events[max(0, since) :] if event.item == item] if stored else []

    async def key(self, scope: str, text: str) -> KeptKey | None:
        """Return an idempotency key, or `None`."""
        return self._keys.get((scope, text))

    async def delete(self, handler_id: str) -> bool:
        """Remove a handler; see the contract."""
        return self._forget(handler_id)

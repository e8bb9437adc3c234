"""The store for runs that need not outlive the process."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import field

import anyio.lowlevel

from workflow_server.stores.base import (
    Batch,
    HandlerQuery,
    ImmediateStore,
    KeptKey,
    StoredRun,
    UnfinishedRun,
    Verdict,
    place_of,
)
from workflow_server.valueclass import dataclass
from workflow_server.wire.records import EventRecord, HandlerRecord

LOOK = 500
"""How many handlers a listing looks at before it lets others run."""


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


def _place(handler: _StoredHandler) -> int:
    return handler.place


class MemoryWorkflowStore(ImmediateStore):
    """Keeps everything in memory.

    Args:
        max_completed: How many finished handlers are kept; beyond it the oldest vanish with all that hangs on
            them. As many earlier runs of handlers that were continued are kept; beyond it those vanish that were
            followed by another first. `None` keeps all. Running ones are never dropped.

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
        self._earlier: OrderedDict[str, str] = OrderedDict()
        """Handlers of the runs that were followed by another, by run; the one followed first in front."""
        self._listed: list[_StoredHandler] = []
        """All handlers in the order of places."""
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
                known = self._handlers[record.handler_id] = _StoredHandler(self._places, [record.run_id])
                self._listed.append(known)
                self._places += 1
            else:
                self._earlier[known.runs[-1]] = record.handler_id
                known.runs.append(record.run_id)
                self._finished.pop(record.handler_id, None)
                self._drop_beyond_limit()
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
        if self.max_completed is None:
            return
        while len(self._finished) > self.max_completed:
            self._forget(next(iter(self._finished)))
        while len(self._earlier) > self.max_completed:
            run_id, handler_id = next(iter(self._earlier.items()))
            self._handlers[handler_id].runs.remove(run_id)
            self._forget_run(run_id)

    def _forget(self, handler_id: str) -> bool:
        stored = self._handlers.pop(handler_id, None)
        if stored is None:
            return False
        self._finished.pop(handler_id, None)
        del self._listed[bisect_left(self._listed, stored.place, key=_place)]
        for run_id in stored.runs:
            self._forget_run(run_id)
        return True

    def _forget_run(self, run_id: str) -> None:
        for key in self._runs.pop(run_id).keys:
            del self._keys[key]
        self._earlier.pop(run_id, None)

    async def handler(self, handler_id: str) -> HandlerRecord | None:
        """Return the handler with its current run, or `None`."""
        stored = self._handlers.get(handler_id)
        return self._runs[stored.runs[-1]].record if stored else None

    async def run(self, run_id: str) -> HandlerRecord | None:
        """Return the record of one run, or `None`."""
        stored = self._runs.get(run_id)
        return stored.record if stored else None

    async def handlers(
        self, query: HandlerQuery, after: str | None, limit: int, *, newest_first: bool = False
    ) -> tuple[list[HandlerRecord], str | None]:
        """Return a page of matching handlers; see the contract."""
        place = place_of(after, self._places if newest_first else -1)
        page: list[HandlerRecord] = []
        last = place
        while looked := self._next_listed(place, newest_first):
            for handler in looked:
                record = self._runs[handler.runs[-1]].record
                if query.matches(record):
                    if len(page) == limit:
                        return page, str(last)
                    page.append(record)
                    last = handler.place
            place = looked[-1].place
            await anyio.lowlevel.checkpoint()
        return page, None

    def _next_listed(self, place: int, newest_first: bool) -> list[_StoredHandler]:
        """Return handlers from the one after `place` on, a few at a time: the list may change before the next ones."""
        if newest_first:
            end = bisect_left(self._listed, place, key=_place)
            return self._listed[max(0, end - LOOK) : end][::-1]
        begin = bisect_left(self._listed, place + 1, key=_place)
        return self._listed[begin : begin + LOOK]

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

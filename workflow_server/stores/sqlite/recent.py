"""What was committed a moment ago, at hand for those who follow a run.

Each commit wakes the readers of its run, and each of them asks for the run's record and its latest events. All of
that was here when the commit returned, so a reader that keeps up costs no visit to the database. Only what is
certainly committed is kept, and whatever isn't here is read from the database, so forgetting is always right.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import field

from workflow_server.stores.base import Batch
from workflow_server.valueclass import dataclass
from workflow_server.wire.records import EventRecord, HandlerRecord

RUNS = 1000
"""How many runs are remembered."""

EVENTS = 512
"""How many events of each, at least, if they are not large."""

CHARACTERS = 1 << 20
"""How much text of a run's events, before they are forgotten."""

ALL_CHARACTERS = 16 << 20
"""How much text of all."""


@dataclass(slots=True)
class _Run:
    record: HandlerRecord
    version: int
    next_sequence: int
    events: list[EventRecord] = field(default_factory=list[EventRecord])
    """Without a gap, up to the latest."""
    size: int = 0


class Recent:
    """Records and latest events of the runs committed last."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, _Run] = OrderedDict()
        """The one committed last is the last."""
        self._size = 0

    def note(self, batch: Batch) -> None:
        """Remember what a commit wrote."""
        run_id = batch.handler.run_id
        run = self._runs.get(run_id)
        if run is None or run.version != batch.version - 1:
            if run is not None and run.version >= batch.version:
                return
            self.forget(run_id)
            run = self._runs[run_id] = _Run(batch.handler, batch.version, batch.next_sequence)
        else:
            run.record, run.version, run.next_sequence = batch.handler, batch.version, batch.next_sequence
            self._runs.move_to_end(run_id)
        if batch.events:
            self._add(run, batch.events)
        while len(self._runs) > RUNS or self._size > ALL_CHARACTERS:
            self.forget(next(iter(self._runs)))

    def _add(self, run: _Run, events: tuple[EventRecord, ...]) -> None:
        size = sum(len(event.value) for event in events)
        run.events += events
        run.size += size
        self._size += size
        if run.size > CHARACTERS or len(run.events) > 2 * EVENTS:
            kept = [] if run.size > CHARACTERS else run.events[-EVENTS:]
            size = sum(len(event.value) for event in kept)
            self._size -= run.size - size
            run.events, run.size = kept, size

    def forget(self, run_id: str) -> None:
        """Forget a run: something happened to it that was not noted."""
        run = self._runs.pop(run_id, None)
        if run is not None:
            self._size -= run.size

    def forget_handler(self, handler_id: str) -> None:
        """Forget all runs of a handler."""
        for run_id in [id for id, run in self._runs.items() if run.record.handler_id == handler_id]:
            self.forget(run_id)

    def record(self, run_id: str) -> HandlerRecord | None:
        """Return the record of a run as last committed, or `None` if it isn't here."""
        run = self._runs.get(run_id)
        return run.record if run is not None else None

    def events(self, run_id: str, after: int, limit: int) -> list[EventRecord] | None:
        """Return a page of events, or `None` if they aren't here."""
        run = self._runs.get(run_id)
        if run is None:
            return None
        # Counted from the end, up to which all are here.
        wanted = run.next_sequence - 1 - max(after, -1)
        if wanted <= 0:
            return []
        begin = len(run.events) - wanted
        return run.events[begin : begin + limit] if begin >= 0 else None

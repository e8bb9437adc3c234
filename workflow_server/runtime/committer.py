"""Group commit: the open batches of all runs that have one are written together, then their effects performed.

    take -> open batch -> (commit of the group) -> perform effects, wake readers, wake whoever waits

With a store that commits at once there is no group and no wait: a reaction is written and its effects performed
in the same breath. With any other, one performer task for the loop writes group after group; while one is in
flight, the next gathers. The performer belongs to nobody who waits for it, so cancelling them stops nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import anyio

from workflow_server.engine.effects import Effect, Publication, Reaction
from workflow_server.engine.message import Message
from workflow_server.errors import StoreError
from workflow_server.runtime.host import Host
from workflow_server.runtime.publications import record_of
from workflow_server.runtime.runner import Runner
from workflow_server.stores.base import AbstractWorkflowStore, Batch, ImmediateStore, Verdict
from workflow_server.wire.records import EventRecord, HandlerRecord, Phase, Status

log = logging.getLogger("workflow_server")

RETRY_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Pauses between tries to reach a store that failed; the last one repeats."""

_STATUS: dict[str | None, Status] = {
    None: "running",
    "completed": "completed",
    "failed": "failed",
    "timed_out": "failed",
    "cancelled": "cancelled",
}


@dataclass(slots=True)
class _OpenBatch:
    publications: list[Publication] = field(default_factory=list[Publication])
    effects: list[Effect] = field(default_factory=list[Effect])
    changed: set[str] = field(default_factory=set[str])
    state: dict[str, str | None] = field(default_factory=dict[str, str | None])
    committed: anyio.Event | None = None


class StoredJournal:
    """The journal of a run that a store keeps.

    Args:
        committer: Writes its batches.
        runner: The run.
        record: The handler as it stands before the first commit.
    """

    encodes = True

    def __init__(self, committer: Committer, runner: Runner, record: HandlerRecord) -> None:
        self.runner = runner
        self.record = record
        """The handler as last committed, or before that as it was made."""
        self.refusal: Verdict | None = None
        """Why the store refused a batch, after which the run was dropped."""
        self._committer = committer
        self._version = 0
        self._open: _OpenBatch | None = None
        self._in_flight: _OpenBatch | None = None

    def take(self, reaction: Reaction) -> None:
        """Add a reaction to the open batch."""
        batch = self._gather()
        batch.publications += reaction.publications
        batch.effects += reaction.effects
        batch.changed |= reaction.changed
        self._committer.mark(self)

    def prepare(self, state: Mapping[str, str]) -> None:
        """Have the first batch hold the state that the run begins with."""
        self._gather().state.update(state)

    def touch(self, state: Mapping[str, str | None]) -> None:
        """Have a batch written soon, with written state (perhaps none) in it."""
        self._gather().state.update(state)
        self._committer.mark(self)

    async def write_state(self, changes: Mapping[str, str | None]) -> None:
        """Commit written state; that of a run which is over does not count any more."""
        if self.runner.run.ending is None and not self.runner.dropped:
            self.touch(changes)
        await self.settled()

    async def settled(self) -> None:
        """Return once everything taken so far is committed; see `Journal`."""
        batch = self._open or self._in_flight
        if batch is not None:
            if batch.committed is None:
                batch.committed = anyio.Event()
            await batch.committed.wait()
        if self.refusal is not None:
            raise StoreError(f"Run {self.record.run_id} was dropped: the store holds another state of it")

    def _gather(self) -> _OpenBatch:
        if self._open is None:
            self._open = _OpenBatch()
        return self._open

    # For the committer

    def close_batch(self) -> Batch | None:
        """Turn the open batch into what the store writes; `None` if there is nothing to write."""
        batch = self._open
        if batch is None or self.refusal is not None:
            return None
        self._open, self._in_flight = None, batch
        events = tuple(record_of(publication) for publication in batch.publications)
        return Batch(
            handler=self._next_record(batch, events),
            version=self._version + 1,
            next_sequence=self.runner.run.next_sequence,
            events=events,
            state=batch.state,
        )

    def _next_record(self, batch: _OpenBatch, events: tuple[EventRecord, ...]) -> HandlerRecord:
        run, record = self.runner.run, self.record
        at = events[-1].timestamp if events else self.runner.host.clock()
        status = _STATUS[run.ending]
        over = status != "running"
        completed = over and isinstance(batch.publications[-1].fact, Message)
        return HandlerRecord(
            handler_id=record.handler_id,
            workflow_name=record.workflow_name,
            run_id=record.run_id,
            status=status,
            phase="done" if over else self._phase(),
            started_at=record.started_at,
            updated_at=at,
            completed_at=at if over else None,
            error=run.error,
            result=events[-1] if completed else None,
        )

    def _phase(self) -> Phase:
        if not self.runner.run.started:
            return "queued"
        return "waiting" if self.runner.run.idle else "running"

    def committed(self, batch: Batch) -> None:
        """The store has written `batch`: perform what it was waited for with."""
        done, self._in_flight = self._in_flight, None
        self.record, self._version = batch.handler, batch.version
        assert done is not None
        if done.committed is not None:
            done.committed.set()
        self.runner.perform(done.effects)

    def refused(self, verdict: Verdict) -> None:
        """The store has refused a batch: the run is somebody else's, or gone. Nothing it does counts any more."""
        self.refusal = verdict
        for batch in (self._in_flight, self._open):
            if batch is not None and batch.committed is not None:
                batch.committed.set()
        self._in_flight = self._open = None
        self.runner.drop()


class Newsroom(Protocol):
    """Whoever wakes readers."""

    def tell(self, run_id: str) -> None:
        """Wake the readers of a run."""
        ...


class Committer:
    """Writes the batches of all stored runs of one loop.

    Args:
        host: The loop's shared means.
        store: Where to.
        news: Told of every commit that holds events.
    """

    def __init__(self, host: Host, store: AbstractWorkflowStore, news: Newsroom) -> None:
        self._host = host
        self._store = store
        self._news = news
        self._immediate = store if isinstance(store, ImmediateStore) else None
        self._marked: dict[StoredJournal, None] = {}
        self._writing = False
        self._rest: anyio.Event | None = None
        """Set when nothing is left to write."""
        self._given_up = False

    def mark(self, journal: StoredJournal) -> None:
        """Have the open batch of `journal` written soon."""
        if self._immediate is not None:
            batch = journal.close_batch()
            if batch is not None:
                self._conclude(journal, batch, self._immediate.commit_now([batch])[0])
            return
        self._marked[journal] = None
        if not self._writing:
            self._writing = True
            self._host.port.spawn(self._write_groups)

    async def finish(self, within: float) -> None:
        """Write what is left.

        Args:
            within: Seconds after which it is given up, if the store fails; nobody was told of it.
        """
        with anyio.move_on_after(within):
            while self._writing:
                self._rest = self._rest or anyio.Event()
                await self._rest.wait()
        self._given_up = self._writing

    async def _write_groups(self) -> None:
        try:
            while self._marked:
                journals, self._marked = self._marked, {}
                closed = [(journal, journal.close_batch()) for journal in journals]
                group = [(journal, batch) for journal, batch in closed if batch is not None]
                verdicts = await self._write([batch for _, batch in group]) if group else []
                for (journal, batch), verdict in zip(group, verdicts, strict=True):
                    self._conclude(journal, batch, verdict)
        finally:
            self._writing = False
            if self._rest is not None:
                self._rest.set()
                self._rest = None

    async def _write(self, group: list[Batch]) -> list[Verdict]:
        """Write a group, for as long as it takes: until then all runs hold."""
        tries = 0
        while True:
            try:
                return await self._store.commit(group)
            except Exception:
                pause = RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)]
                if tries == 0:
                    log.exception("The store failed; all runs hold until it is back")
                tries += 1
            await anyio.sleep(pause)
            if self._given_up:
                return [Verdict.STALE] * len(group)

    def _conclude(self, journal: StoredJournal, batch: Batch, verdict: Verdict) -> None:
        if verdict is not Verdict.DONE:
            journal.refused(verdict)
            return
        journal.committed(batch)
        if batch.events:
            self._news.tell(batch.handler.run_id)

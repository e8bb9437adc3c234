"""The journal of a run that a store keeps: gathers reactions in an open batch until the committer takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Protocol

import anyio

from workflow_server.engine.effects import Effect, Publication, Reaction
from workflow_server.engine.inputs import StateWritten
from workflow_server.engine.message import Message, kind_of
from workflow_server.engine.parts import encode_head, encode_part
from workflow_server.engine.state import Run
from workflow_server.errors import StoreError
from workflow_server.events import StartEvent
from workflow_server.runtime.execution import current_execution
from workflow_server.runtime.ids import new_id
from workflow_server.runtime.publications import record_of
from workflow_server.runtime.runner import Runner
from workflow_server.stores.base import Batch, FirstBatch, StoredRun, Verdict
from workflow_server.valueclass import dataclass
from workflow_server.wire.records import EventRecord, HandlerRecord, IdempotencyKey, Phase, Status

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
    keys: tuple[IdempotencyKey, ...] = ()
    committed: anyio.Event | None = None


class Writer(Protocol):
    """Who writes the batches."""

    @property
    def keeps_parts(self) -> bool:
        """Whether runs can be loaded again."""
        ...

    def mark(self, journal: StoredJournal) -> None:
        """Have the open batch of `journal` written soon."""
        ...


class StoredJournal:
    """The journal of a run that a store keeps.

    Args:
        committer: Writes its batches.
        runner: The run.
        record: The handler as it stands before the first commit of this journal.
        stored: What the store holds of the run, if it was loaded.
    """

    encodes = True

    def __init__(
        self, committer: Writer, runner: Runner, record: HandlerRecord, stored: StoredRun | None = None
    ) -> None:
        self._runner: Runner | None = runner
        self.record = record
        """The handler as last committed, or before that as it was made."""
        self.refusal: Verdict | None = None
        """Why the store refused a batch, after which the run was dropped."""
        self._committer = committer
        self._version = 0 if stored is None else stored.version
        self._stored_parts: set[str] = set() if stored is None else set(stored.parts)
        self._first: FirstBatch | None = None
        self.leaving = False
        """Whether the run is about to leave memory, if nothing happens before that is committed."""
        self.on_commit: Callable[[], None] | None = None
        """Called after each commit."""
        self._open: _OpenBatch | None = None
        self._in_flight: _OpenBatch | None = None

    def take(self, reaction: Reaction) -> None:
        """Add a reaction to the open batch."""
        self.leaving = False
        batch = self._open
        if batch is None:
            self._open = _OpenBatch(reaction.publications, reaction.effects, reaction.changed, keys=reaction.keys)
        else:
            batch.publications += reaction.publications
            batch.effects += reaction.effects
            batch.changed |= reaction.changed
            batch.keys += reaction.keys
        self._committer.mark(self)

    def prepare(self, state: Mapping[str, str], parts: Iterable[str], keys: tuple[IdempotencyKey, ...]) -> None:
        """Have the first batch hold what the run begins with, beside its start event.

        Args:
            state: Its state.
            parts: Keys of the parts that it has already, because it came out of a snapshot.
            keys: Those of the request.
        """
        assert self._runner is not None
        start, at = self._runner.start, self.record.started_at
        kind = kind_of(StartEvent) if start is None else start.kind
        value = None if start is None else start.value
        record = EventRecord(-1, at, kind.type, kind.qualified_name, kind.types, value or "{}")
        self._first = FirstBatch(record, self._runner.plan.shape.as_text)
        self._open = _OpenBatch(changed=set(parts), state=dict(state), keys=keys)

    def touch(self, state: Mapping[str, str | None]) -> None:
        """Have a batch written soon, with written state (perhaps none) in it."""
        self._gather().state.update(state)
        self._committer.mark(self)

    async def write_state(self, changes: Mapping[str, str | None]) -> None:
        """Commit written state; that of a run which is over does not count any more."""
        runner = self._runner
        if runner is not None and runner.run.ending is None and not runner.dropped:
            self._gather().state.update(changes)
            execution = current_execution()
            if execution is not None:
                # In the same batch, so that what a step said before it wrote is settled with it.
                runner.apply(StateWritten(runner.host.clock(), execution.id))
            self._committer.mark(self)
        await self.settled()
        if runner is not None:
            runner.wrote_state()

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
        batch, runner = self._open, self._runner
        if batch is None or runner is None or self.refusal is not None:
            return None
        self._open, self._in_flight = None, batch
        run, first, self._first = runner.run, self._first, None
        events = tuple(map(record_of, batch.publications))
        record, version = self._next_record(runner, batch, events), self._version + 1
        if not self._committer.keeps_parts:
            # Nothing that only a loaded run would need.
            return Batch(record, version, run.next_sequence, events, state=batch.state, first=first, keys=batch.keys)
        due = run.next_due()
        return Batch(
            handler=record,
            version=version,
            next_sequence=run.next_sequence,
            events=events,
            parts=self._encode_parts(run, batch.changed),
            state=batch.state,
            head=encode_head(run),
            alive=runner.timers.alive,
            due=None if due is None else due[0],
            write_id=new_id(),
            first=first,
            keys=batch.keys,
        )

    def _encode_parts(self, run: Run, changed: Iterable[str]) -> dict[str, str | None]:
        """Encode changed parts; one that came and went between two commits was never stored."""
        parts: dict[str, str | None] = {}
        for key in changed:
            part = run.part(key)
            if part is not None:
                parts[key] = encode_part(part)
                self._stored_parts.add(key)
            elif key in self._stored_parts:
                parts[key] = None
                self._stored_parts.discard(key)
        return parts

    def _next_record(self, runner: Runner, batch: _OpenBatch, events: tuple[EventRecord, ...]) -> HandlerRecord:
        run, record = runner.run, self.record
        at = events[-1].timestamp if events else runner.host.clock()
        status = _STATUS[run.ending]
        over = status != "running"
        completed = over and isinstance(batch.publications[-1].fact, Message)
        return HandlerRecord(
            handler_id=record.handler_id,
            workflow_name=record.workflow_name,
            run_id=record.run_id,
            status=status,
            phase="done" if over else self._phase(runner),
            started_at=record.started_at,
            updated_at=at,
            completed_at=at if over else None,
            error=run.error,
            result=events[-1] if completed else None,
        )

    def _phase(self, runner: Runner) -> Phase:
        if runner.queued or not runner.run.started:
            return "queued"
        if not runner.run.idle:
            return "running"
        return "idle" if self.leaving else "waiting"

    def committed(self, batch: Batch) -> None:
        """The store has written `batch`: perform what it was waited for with."""
        done, self._in_flight = self._in_flight, None
        self.record, self._version = batch.handler, batch.version
        assert done is not None
        if done.committed is not None:
            done.committed.set()
        if self._runner is not None:
            self._runner.perform(done.effects)
        if self.on_commit is not None:
            self.on_commit()

    @property
    def pending(self) -> bool:
        """Whether something is not committed yet."""
        return self._open is not None or self._in_flight is not None

    def refused(self, verdict: Verdict) -> None:
        """The store has refused a batch: the run is somebody else's, or gone. Nothing it does counts any more."""
        self.refusal = verdict
        for batch in (self._in_flight, self._open):
            if batch is not None and batch.committed is not None:
                batch.committed.set()
        self._in_flight = self._open = None
        if self._runner is not None:
            self._runner.drop()

    def let_go(self) -> None:
        """Let go of the run, which has ended or left memory: the two hold each other."""
        self._runner = self.on_commit = None

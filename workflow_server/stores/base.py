"""The store contract: small, because a store for a shared database is written by somebody else.

A store commits *batches*. A batch holds what one commit changes of one run: its handler record, the parts
that changed, new events, written state. A group of batches is one transaction of the store where it has
transactions; each batch is judged by itself, so that one refusal leaves the rest of the group unharmed.
Nothing is told to anybody before the batch it rests on is committed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import Enum

from workflow_server.valueclass import dataclass
from workflow_server.wire.persistent import PersistentHandler
from workflow_server.wire.records import EventRecord, HandlerRecord, IdempotencyKey, Phase, Status


@dataclass(frozen=True, slots=True)
class Batch:
    """What one commit writes for one run."""

    handler: HandlerRecord
    """The run's row as it stands after the commit."""
    version: int
    """1 for the first batch of a run, then one more each time; the store holds `version - 1`."""
    next_sequence: int
    """Sequence number that the run's next event will have."""
    events: tuple[EventRecord, ...] = ()
    parts: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """Changed parts as JSON text by key; `None` removes one. Empty if the store has `keeps_parts = False`."""
    state: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """Written keys of `ctx.store` as JSON text; `None` removes one."""
    head: str = "{}"
    """What the run has beside its parts, as JSON text."""
    alive: float = 0.0
    """Seconds that the run has been alive, over all its times in memory."""
    due: float | None = None
    """When its next timer is due (seconds since the epoch); `None` for none."""
    write_id: str = ""
    """Differs from batch to batch, also after a restart: a batch that the store holds already (it was written, but
    the answer got lost) is recognised by it and `DONE`."""
    first: FirstBatch | None = None
    """Given with the first batch of a run only."""
    keys: tuple[IdempotencyKey, ...] = ()
    """To be kept for as long as the run; one that the store holds already stays as it is."""


@dataclass(frozen=True, slots=True)
class FirstBatch:
    """What is written once for a run."""

    start: EventRecord
    """Its start event (sequence -1: it is input, and no published event)."""
    shape: str
    """The workflow's routing as JSON text; runs of one workflow share it, and a store may keep it once."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """All that is needed to go on with a run."""

    record: HandlerRecord
    version: int
    next_sequence: int
    head: str
    parts: Mapping[str, str]
    state: Mapping[str, str]
    alive: float
    start: EventRecord | None
    shape: str | None
    """Of these two, `None` is what a damaged database does not have; the run is blocked then."""


@dataclass(frozen=True, slots=True)
class KeptKey:
    """An idempotency key that a store holds."""

    payload: str
    run_id: str
    """The run whose batch brought it."""


@dataclass(frozen=True, slots=True)
class UnfinishedRun:
    """A run that is not over, as a starting server or a timer sees it."""

    run_id: str
    handler_id: str
    workflow_name: str
    phase: Phase
    due: float | None


class Verdict(Enum):
    """What became of a batch."""

    DONE = "done"
    CONFLICT = "conflict"
    """A first batch: the handler has another run that is not over."""
    TAKEN = "taken"
    """A first batch: the store holds one of its keys already. This comes before `CONFLICT`."""
    STALE = "stale"
    """The store does not hold the version before this one: the run was deleted, or somebody else moved it."""


@dataclass(frozen=True, slots=True)
class HandlerQuery:
    """Which handlers are meant. `None` is no filter, an empty list matches nothing; all filters must hold."""

    handler_id_in: Sequence[str] | None = None
    run_id_in: Sequence[str] | None = None
    workflow_name_in: Sequence[str] | None = None
    status_in: Sequence[Status] | None = None
    is_idle: bool | None = None
    phase_in: Sequence[Phase] | None = None
    started_after: float | None = None
    """The current run started then or later (seconds since the epoch)."""
    started_before: float | None = None
    """The current run started before then (likewise)."""
    id_prefix: str | None = None
    """What the handler's id begins with."""

    def matches(self, handler: HandlerRecord) -> bool:
        """Tell whether `handler` is meant."""
        return (
            (self.handler_id_in is None or handler.handler_id in self.handler_id_in)
            and (self.run_id_in is None or handler.run_id in self.run_id_in)
            and (self.workflow_name_in is None or handler.workflow_name in self.workflow_name_in)
            and (self.status_in is None or handler.status in self.status_in)
            and (self.is_idle is None or (handler.phase == "idle") == self.is_idle)
            and (self.phase_in is None or handler.phase in self.phase_in)
            and (self.started_after is None or handler.started_at >= self.started_after)
            and (self.started_before is None or handler.started_at < self.started_before)
            and (self.id_prefix is None or handler.handler_id.startswith(self.id_prefix))
        )


def place_of(cursor: str | None, first: int) -> int:
    """Return the place that a cursor of a listing stands for in the stores of this package, `first` for none.

    Raises:
        ValueError: It is no such cursor.
    """
    if cursor is None:
        return first
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise ValueError(f"{cursor!r} is no cursor that a listing has returned")
    return int(cursor)


class AbstractWorkflowStore(ABC):
    """Keeps runs. Every method may be called from any task of the one loop that `start` ran on.

    Raises (every method):
        StoreUnavailable: The store can't be reached for now; nothing was written, or it is unknown whether it was.
        StoreError: The store failed for another reason.
    """

    keeps_parts: bool = True
    """Whether runs can be loaded again; a store that forgets at exit spares the work of encoding parts."""

    async def start(self) -> None:  # noqa: B027  # a store may have nothing to do here
        """Make ready; called once before anything else.

        No run is in memory now. A store that kept some from an earlier process knows from here on those that were
        `waiting` as `idle`, and those that were `running` as `queued`: they wait to be brought back.
        """

    async def close(self) -> None:  # noqa: B027  # likewise
        """Let go of everything; called once, when no other method is running."""

    @abstractmethod
    async def commit(self, group: Sequence[Batch]) -> list[Verdict]:
        """Write `group`, all of it at once where the store has transactions.

        Args:
            group: Batches of different runs, or of one run in order.

        Returns:
            A verdict for each batch. A batch that is not `DONE` has written nothing and leaves the others alone.
        """

    @abstractmethod
    async def handler(self, handler_id: str) -> HandlerRecord | None:
        """Return the handler with its current run, or `None`."""

    @abstractmethod
    async def run(self, run_id: str) -> HandlerRecord | None:
        """Return the record of one run, also of an earlier one of its handler, or `None`."""

    @abstractmethod
    async def handlers(
        self, query: HandlerQuery, after: str | None, limit: int, *, newest_first: bool = False
    ) -> tuple[list[HandlerRecord], str | None]:
        """Return matching handlers in the order of starting, and the cursor for the next page (`None` at the end).

        A handler's place is that of its first run, and stays when it runs again: whoever reads page after page meets
        each handler once that was there at the first page and is there still, whatever starts or finishes meanwhile.

        Args:
            query: Which handlers.
            after: Cursor returned with the page before, or `None` for the first page.
            limit: How many to return at most, from 1.
            newest_first: Whether the handler that started last comes first; a cursor is good for its own direction.

        Raises:
            ValueError: `after` is no cursor of this store.
        """

    @abstractmethod
    async def events(self, run_id: str, after: int, limit: int) -> list[EventRecord]:
        """Return events of a run with a sequence above `after`, in order, at most `limit` of them."""

    @abstractmethod
    async def next_sequence(self, run_id: str) -> int:
        """Return the sequence number that the next event of a run will have; 0 for an unknown run."""

    @abstractmethod
    async def state(self, run_id: str) -> Mapping[str, str]:
        """Return `ctx.store` of a run as JSON text by key."""

    @abstractmethod
    async def delete(self, handler_id: str) -> bool:
        """Remove a handler with all runs, events and state that hang on it; return whether it was there."""

    @abstractmethod
    async def load(self, run_id: str) -> StoredRun | None:
        """Return what is needed to go on with a run; `None` if there is none or the store has `keeps_parts = False`."""

    @abstractmethod
    async def unfinished(
        self, after: str | None, limit: int, *, asleep: bool, due_by: float | None = None
    ) -> tuple[list[UnfinishedRun], str | None]:
        """Return runs that are not over, the one started first in front, and the cursor for the next page.

        Args:
            after: Cursor returned with the page before, or `None` for the first page.
            limit: How many to return at most, from 1.
            asleep: `True` for those of phase `waiting` or `idle`, `False` for all others.
            due_by: Only runs whose next timer is due by then (seconds since the epoch), the earliest first.
        """

    @abstractmethod
    async def next_due(self, after: float) -> float | None:
        """Return the earliest time after `after` at which a `waiting` or `idle` run has a timer due, or `None`."""

    @abstractmethod
    async def start_event(self, run_id: str) -> EventRecord | None:
        """Return the start event of a run, or `None`."""

    @abstractmethod
    async def events_of_item(self, run_id: str, item: int, since: int) -> list[EventRecord]:
        """Return the events of one work item (`EventRecord.item`), from sequence `since` on, in order."""

    @abstractmethod
    async def key(self, scope: str, text: str) -> KeptKey | None:
        """Return an idempotency key that a batch brought, or `None`; see `IdempotencyKey`."""

    async def query(self, query: HandlerQuery) -> list[PersistentHandler]:
        """Return all handlers that match, in the order of starting."""
        found: list[PersistentHandler] = []
        cursor: str | None = None
        while True:
            page, cursor = await self.handlers(query, cursor, 1000)
            found += [PersistentHandler.of(record) for record in page]
            if cursor is None:
                return found


class ImmediateStore(AbstractWorkflowStore):
    """A store whose commit needs no wait, so that effects can be performed in the same breath."""

    @abstractmethod
    def commit_now(self, group: Sequence[Batch]) -> list[Verdict]:
        """Write `group`; see `commit`."""

    async def commit(self, group: Sequence[Batch]) -> list[Verdict]:
        """Write `group`; see `AbstractWorkflowStore.commit`."""
        return self.commit_now(group)

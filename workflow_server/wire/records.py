"""The records that every part of the server hands on: an event as published, a handler as listed, a key.

The first two hold their JSON ready-made where it can be large (`value`), so that an event is
encoded once, when it enters the run, and only joined to its envelope afterwards.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from workflow_server.valueclass import dataclass

Status = Literal["running", "completed", "failed", "cancelled"]
"""What old clients know of a run: alive, or one of three ends."""

Phase = Literal["queued", "running", "waiting", "idle", "blocked", "done"]
"""A finer word beside `Status`.

- `queued`: waits for its place in memory, or for its turn among the runs of its workflow.
- `running`: in memory, with something to do.
- `waiting`: in memory, and waits for an event or a timer.
- `idle`: waits likewise, and has left memory.
- `blocked`: can't be brought back into memory; the handler's error says why.
- `done`: over.

The run's journal says which with each commit, a failed loading writes `blocked`, and a store that is opened corrects
what an earlier process left, because nothing is in memory then.
"""


STEP_EXTRAS = ',"_data":'
"""Begins the extras (`attempt`, `failure`) in the value of a `StepStateChanged`; found nowhere else in its text."""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One published event of a run, encoded."""

    sequence: int
    """Counted from 0 in the run over all events, internal ones included."""
    timestamp: float
    """Seconds since the epoch, from the server's clock."""
    type: str
    """The class name, `ProgressEvent`."""
    qualified_name: str
    """`module.Class`; built-in events are `workflows.events.X`."""
    types: tuple[str, ...]
    """Class names of the ancestors below `Event`, nearest first, the class itself left out."""
    value: str
    """The event's dump as JSON text."""
    item: int | None = None
    """The work item whose step published it, or whose execution a `StepStateChanged` tells of."""

    @property
    def internal(self) -> bool:
        """Whether only readers that ask for internal events see it."""
        return self.type == "InternalDispatchEvent" or "InternalDispatchEvent" in self.types

    @property
    def tells_step(self) -> bool:
        """Whether it is the engine's own news of a step's execution."""
        return self.qualified_name == "workflows.events.StepStateChanged"

    @property
    def stops(self) -> bool:
        """Whether it ends the stream: a stop event or a subclass of one."""
        return self.type == "StopEvent" or "StopEvent" in self.types


@dataclass(frozen=True, slots=True)
class LocatedEvent:
    """An event on a stream over several runs."""

    handler_id: str
    run_id: str
    event: EventRecord
    cursor: str
    """With which the stream goes on after it."""


@dataclass(frozen=True, slots=True)
class HandlerRecord:
    """A handler with its current run, as clients see it. Times are seconds since the epoch."""

    handler_id: str
    workflow_name: str
    run_id: str
    status: Status
    phase: Phase
    started_at: float
    updated_at: float
    completed_at: float | None = None
    error: str | None = None
    result: EventRecord | None = None
    result_unreadable: bool = False


class IdempotencyKey(NamedTuple):
    """Marks a request, so that sending it again does nothing again; kept with what the request did."""

    scope: str
    """The handler that an event was for; empty for the start of a run."""
    text: str
    """What the client calls the request."""
    payload: str
    """A digest of what it asked for: the same key with another payload is a mistake."""

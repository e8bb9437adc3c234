"""Everything that can happen to a run. Each input carries its time, in seconds since the epoch.

Ids, retry verdicts and deadlines are decided outside and arrive here, so that folding the same
inputs gives the same run, always.

The frequent ones are named tuples, which are made in a third of the time of a frozen dataclass.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, NamedTuple

from workflow_server.engine.message import EventKind, Message
from workflow_server.valueclass import dataclass
from workflow_server.wire.records import IdempotencyKey


class Execution(NamedTuple):
    """One execution of a work item. What a past execution says or returns does nothing."""

    item: int
    incarnation: int


class WaitName(NamedTuple):
    """One wait of a run: its key, which a later wait may have again, and its place, which none has."""

    key: str
    place: int


@dataclass(frozen=True, slots=True)
class Failure:
    """What an execution ended with instead of a result."""

    exception: BaseException = field(compare=False)
    type: str
    """Qualified name of its class."""
    text: str
    """`str(exception)`."""


class Started(NamedTuple):
    """The run begins with its start event."""

    at: float
    message: Message


class Sent(NamedTuple):
    """An event was sent, from outside or (with `by`) by a step. Verdict: a `Misdirected`, an `Unwanted`, or `None`."""

    at: float
    message: Message
    step: str | None = None
    by: Execution | None = None
    wait: WaitName | None = None
    """The one wait that it answers; then it goes nowhere else."""
    keys: tuple[IdempotencyKey, ...] = ()
    """Committed with what it does."""


class Published(NamedTuple):
    """An event was written to the stream, by a step or from outside."""

    at: float
    message: Message
    by: Execution | None = None


class Returned(NamedTuple):
    """An execution ended with an event, or with nothing."""

    at: float
    by: Execution
    message: Message | None


class FannedOut(NamedTuple):
    """An execution ended with a list of events, which open a stream."""

    at: float
    by: Execution
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """An execution failed. `delay` is the verdict of the retry policy: seconds to wait, `None` for no retry."""

    at: float
    by: Execution
    failure: Failure
    delay: float | None = None


@dataclass(frozen=True, slots=True)
class Collected:
    """A step gave an event to a buffer. Verdict: the complete set in the order of `expected`, or `None`."""

    at: float
    by: Execution
    ordinal: int
    """How many events this execution gave to this buffer before."""
    message: Message
    expected: tuple[str, ...]
    """Routing names of the awaited classes, in the order of the answer."""
    buffer: str


@dataclass(frozen=True, slots=True)
class WaitBegan:
    """A step waits for an event. Verdict: an `Answer` if it is there already, else `Suspended`."""

    at: float
    by: Execution
    ordinal: int
    """How many waits for this event class this execution began before."""
    kind: EventKind
    shared_id: str | None = None
    """The id that the step gave the wait; waits of one step with one id are one wait."""
    requirements: dict[str, Any] = field(default_factory=dict[str, Any])
    prompt: Message | None = None
    """Published when the wait is new."""
    due: float | None = None
    """When the wait times out."""


@dataclass(frozen=True, slots=True)
class WaitAbandoned:
    """A step stopped waiting by itself, for example because a deadline of its own passed."""

    at: float
    by: Execution
    wait: str
    """Key of the wait."""


@dataclass(frozen=True, slots=True)
class StateWritten:
    """A step wrote state, which is committed with everything it said before."""

    at: float
    by: Execution


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The run was loaded from its parts: what executed when it left memory executes again."""

    at: float
    published: dict[int, tuple[tuple[str, str], ...]] = field(default_factory=dict[int, tuple[tuple[str, str], ...]])
    """What each interrupted item has published since its last state write: qualified names and values."""


@dataclass(frozen=True, slots=True)
class ClockReached:
    """Time has come to `at`: delays and waits that are due by then take their course."""

    at: float


@dataclass(frozen=True, slots=True)
class TimeLimitReached:
    """The run has been alive for as long as it may."""

    at: float
    limit: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody wants the run to end."""

    at: float


Input = (
    Started
    | Sent
    | Published
    | Returned
    | FannedOut
    | Failed
    | Collected
    | WaitBegan
    | WaitAbandoned
    | StateWritten
    | Reloaded
    | ClockReached
    | TimeLimitReached
    | CancelRequested
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Verdict for a wait: the event, or `None` if the time for it is over."""

    message: Message | None


@dataclass(frozen=True, slots=True)
class Suspended:
    """Verdict for a wait that is open."""

    wait: str
    """Its key."""


@dataclass(frozen=True, slots=True)
class Misdirected:
    """Verdict for a targeted event: the step does not exist, or does not take such events."""

    step: str
    exists: bool
    collects: bool = field(default=False, repr=False)
    """Whether it is a collect step, which is given what arrives in a stream and nothing else."""

    def describe(self, event_type: type) -> str:
        """Return the sentence that says what is wrong."""
        if not self.exists:
            return f"Step {self.step} does not exist"
        if self.collects:
            return (
                f"{event_type.__name__} was sent to step {self.step!r}, but a collect step can't be given "
                "targeted events: it gathers what a returned list has set off"
            )
        return f"Step {self.step} does not accept event of type {event_type}"


@dataclass(frozen=True, slots=True)
class Unwanted:
    """Verdict for the answer to a named wait: the wait is over, or it is for something else."""

    is_over: bool

"""What the engine wants done once a batch is committed, and what it publishes."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from workflow_server.engine.inputs import Answer, Execution, Failure
from workflow_server.engine.message import EventKind, Message
from workflow_server.events import StepState
from workflow_server.valueclass import dataclass
from workflow_server.wire.records import IdempotencyKey

Ending = Literal["completed", "failed", "timed_out", "cancelled"]


class StartStep(NamedTuple):
    """Run a step on an event."""

    execution: Execution
    step: str
    message: Message
    attempts: int
    """How often it has failed before."""
    given: tuple[Message, ...] = ()
    """What a collect step is given, in order of arrival; what a join is given, in the order of its parameters."""


@dataclass(frozen=True, slots=True)
class ResumeStep:
    """Give a waiting execution its answer."""

    execution: Execution
    wait: str
    """Key of the wait."""
    answer: Answer


@dataclass(frozen=True, slots=True)
class EndRun:
    """The run is over: stop what still executes and tell whoever awaits it."""

    ending: Ending


@dataclass(frozen=True, slots=True)
class LogIgnored:
    """A collect step was sent something that it can't gather."""

    collector: str
    event: str
    """Class name."""
    in_stream: bool
    """Whether it came in a stream, only in one that is not the step's."""


Effect = StartStep | ResumeStep | EndRun | LogIgnored


class StepChanged(NamedTuple):
    """An execution was queued, began or ended."""

    step: str
    state: StepState
    worker: str
    input: str
    output: str | None = None
    attempt: int = 1
    failure: Failure | None = None
    """Why the attempt that ended here failed."""


@dataclass(frozen=True, slots=True)
class BecameIdle:
    """Nothing is queued, running or undelivered."""


@dataclass(frozen=True, slots=True)
class WentUnhandled:
    """No step takes an event that arrived."""

    kind: EventKind
    step: str | None
    idle: bool


@dataclass(frozen=True, slots=True)
class RunFailed:
    """A step failed for good, or (without attempts) was sent what it can't be given."""

    step: str
    failure: Failure
    attempts: int | None = None
    elapsed: float | None = None


@dataclass(frozen=True, slots=True)
class RunTimedOut:
    """The time limit was reached while these steps were active."""

    limit: float
    active: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunCancelled:
    """The run was cancelled."""


Fact = Message | StepChanged | BecameIdle | WentUnhandled | RunFailed | RunTimedOut | RunCancelled
"""What a publication tells: an event of the workflow's, or news of the engine's (events too, once encoded)."""


class Publication(NamedTuple):
    """Something readers of the stream will see, with its place in it."""

    sequence: int
    at: float
    fact: Fact
    item: int | None = None
    """The work item whose step published it, or whose execution it tells of."""


class Reaction:
    """What came of one input.

    Attributes:
        effects: To be performed after the commit, in this order.
        publications: New on the stream.
        changed: Keys of the parts that the commit must write (or remove, if the run no longer has them).
        verdict: The answer for inputs that ask for one.
        keys: Of the request behind the input, to be committed with the rest.
    """

    __slots__ = ("changed", "effects", "keys", "publications", "verdict")

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.publications: list[Publication] = []
        self.changed: set[str] = set()
        self.verdict: Any = None
        self.keys: tuple[IdempotencyKey, ...] = ()

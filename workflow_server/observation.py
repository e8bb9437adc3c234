"""Watching runs: `observe(function)` has a function called with a record of everything that happens to them.

    with observe(print):
        await MyWorkflow().run()

    RunBegan ─┬─ StepBegan ─┬─ WaitBegan ── WaitEnded
              │             ├─ StepRetried
              │             └─ StepEnded
              ├─ …
              └─ RunEnded                         Committed (for many runs at once)

An observer is called on the loop of the run, in the midst of its work: it must be quick and must not block. What it
raises is logged and goes no further. It is called with the context variables of the run or of the step that the record
is about, so what it sets there is seen by that step, and by all steps if it is set at `RunBegan`: this is how a span
becomes the current one. As long as nobody observes, nothing is recorded, and it costs nothing.

Records tell of executions: a step that is interrupted and runs again begins twice, and a run that leaves memory and
comes back ends (as `released`) and begins (as `resumed`). Times are seconds since the epoch, by the clock of the run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Literal, NamedTuple, Self

from workflow_server.events import Event
from workflow_server.valueclass import dataclass

log = logging.getLogger("workflow_server")


class StepKey(NamedTuple):
    """One execution of a step."""

    run_id: str
    item: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class RunBegan:
    """A run begins, or goes on in this process."""

    at: float
    run_id: str
    handler_id: str | None
    """The handler that it belongs to, if a server runs it."""
    workflow: str
    """The workflow's name."""
    instance: object
    """The `Workflow` itself."""
    start: Event | None
    """What it begins with; `None` if it comes back into memory without."""
    resumed: bool
    """Whether it had begun before."""


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run is over, or leaves this process."""

    at: float
    run_id: str
    workflow: str
    ending: Literal["completed", "failed", "timed_out", "cancelled", "released"]
    """`released` if it goes on at another time."""
    result: Event | None
    """The stop event of a completed run."""
    error: str | None
    """Why a run failed or timed out, for people."""
    exception: BaseException | None
    """What the step of a failed run raised."""


@dataclass(frozen=True, slots=True)
class StepBegan:
    """A step begins to execute."""

    at: float
    key: StepKey
    workflow: str
    step: str
    event: Event
    """What it was given: of a list, one event that holds it; of several events, the last to arrive."""
    parameter: str
    """What it calls that, or the first of it."""
    failures: int
    """How often it has failed on this event before."""


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A step has stopped executing."""

    at: float
    key: StepKey
    workflow: str
    step: str
    outcome: Literal["returned", "failed", "stopped"]
    """`stopped` if its run ended or left this process before it returned."""
    result: Event | list[Event] | None
    exception: BaseException | None


@dataclass(frozen=True, slots=True)
class StepRetried:
    """A step has failed and will execute again."""

    at: float
    key: StepKey
    """The execution that failed."""
    workflow: str
    step: str
    failures: int
    """How often it has failed, this time included."""
    delay: float
    """Seconds until it executes again."""
    exception: BaseException


@dataclass(frozen=True, slots=True)
class WaitBegan:
    """A step is suspended in `wait_for_event`."""

    at: float
    key: StepKey
    workflow: str
    step: str
    wait: str
    """Names the wait within its run."""
    awaits: str
    """Name of the event class."""


@dataclass(frozen=True, slots=True)
class WaitEnded:
    """A step goes on after a wait."""

    at: float
    key: StepKey
    workflow: str
    step: str
    wait: str
    outcome: Literal["answered", "timed_out", "abandoned"]
    """`abandoned` if the step gave it up, or was stopped in it."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A store has written what several runs did, in one transaction."""

    at: float
    batches: int
    """How many runs it wrote for."""
    events: int
    """How many published events it wrote."""
    seconds: float
    """How long it took, tries to reach a failing store included."""


Record = RunBegan | RunEnded | StepBegan | StepEnded | StepRetried | WaitBegan | WaitEnded | Committed
Observer = Callable[[Record], object]

observers: list[Observer] = []
"""Everybody who observes. Whoever has something to tell looks here first, so that nothing is recorded in vain."""


class Observation:
    """Goes on until it is stopped, or for the length of a `with` block.

    Args:
        observer: Called with each record.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        observers.append(observer)

    def stop(self) -> None:
        """Observe no more; does nothing if it has stopped."""
        if self._observer in observers:
            observers.remove(self._observer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def observe(observer: Observer) -> Observation:
    """Have `observer` called with a record of everything that happens to runs in this process, from now on.

    Args:
        observer: Called on the loop of the run; what it raises is logged.

    Returns:
        Call its `stop()`, or use it in a `with` statement.
    """
    return Observation(observer)


def tell(record: Record) -> None:
    """Call all observers with `record`."""
    for observer in tuple(observers):
        try:
            observer(record)
        except Exception:
            log.exception("An observer failed on %s", type(record).__name__)

"""What a client can ask for, once HTTP is taken away. The manager executes these."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Final, Literal

from workflow_server.valueclass import dataclass
from workflow_server.wire.records import IdempotencyKey, Phase, Status


class Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()
"""Stands for a key that the client did not send (which differs from `null`)."""


@dataclass(frozen=True, slots=True)
class CheckHealth:
    """Is the service up?"""


@dataclass(frozen=True, slots=True)
class CheckReadiness:
    """Should it be given work?"""


@dataclass(frozen=True, slots=True)
class ListWorkflows:
    """Names of the served workflows."""


@dataclass(frozen=True, slots=True)
class StartRun:
    """Start a run, or continue a finished handler with a new run."""

    workflow: str
    start_event: Any = MISSING
    """JSON value as sent: an object, or a string holding JSON; `MISSING` for none."""
    handler_id: str | None = None
    context: dict[str, Any] = field(default_factory=dict[str, Any])
    wait: bool = False
    """Answer when the run is over instead of when it is accepted."""
    keys: tuple[IdempotencyKey, ...] = ()
    """None or one: what the client calls this start, which happens once."""


@dataclass(frozen=True, slots=True)
class DescribeSchema:
    """JSON schemas of a workflow's start and stop events."""

    workflow: str


@dataclass(frozen=True, slots=True)
class DescribeEvents:
    """JSON schemas of all events of a workflow."""

    workflow: str


@dataclass(frozen=True, slots=True)
class DescribeGraph:
    """A workflow drawn as nodes and edges."""

    workflow: str


@dataclass(frozen=True, slots=True)
class DescribeApi:
    """The OpenAPI document of this server, with its workflows' events."""


@dataclass(frozen=True, slots=True)
class ListHandlers:
    """All handlers in the order of starting; with a limit, a page of them, newest first.

    `None` = no filter, an empty tuple = nothing matches.
    """

    status: tuple[Status, ...] | None = None
    workflow_name: tuple[str, ...] | None = None
    phase: tuple[Phase, ...] | None = None
    started_after: float | None = None
    """The current run started then or later (seconds since the epoch)."""
    started_before: float | None = None
    """The current run started before then."""
    id_prefix: str | None = None
    cursor: str | None = None
    """As told with the page before; with a limit only."""
    limit: int | None = None
    """How many at most; `None` for all."""


@dataclass(frozen=True, slots=True)
class GetHandler:
    """A handler with the outcome of its current run."""

    handler_id: str
    wait: float = 0.0
    """For how many seconds the end of the run may be waited for."""
    outcome_in_body: bool = False
    """The status tells only that there is a handler."""


@dataclass(frozen=True, slots=True)
class GetResult:
    """As `GetHandler`, with the result flattened (legacy)."""

    handler_id: str


@dataclass(frozen=True, slots=True)
class GetState:
    """What the handler's run has in `ctx.store`."""

    handler_id: str


@dataclass(frozen=True, slots=True)
class GetInput:
    """The start event of the handler's run."""

    handler_id: str


@dataclass(frozen=True, slots=True)
class GetWaiting:
    """What the handler's run waits for."""

    handler_id: str


@dataclass(frozen=True, slots=True)
class StreamEvents:
    """Read the events of a handler's run."""

    handler_id: str
    after: int | Literal["now"] = "now"
    """The sequence after which to read; -1 for all."""
    sse: bool = True
    include_internal: bool = False
    include_qualified_name: bool = True
    include_timestamp: bool = False
    """Tell each event's time and sequence in its envelope."""
    include_attempts: bool = False
    """Tell each event's work item, and of a step's execution which attempt it is and how it failed."""
    run_id: str | None = None
    """An earlier run of the handler; `None` for its current one."""
    head_only: bool = False
    """The method was HEAD: tell whether there is something, open nothing."""


@dataclass(frozen=True, slots=True)
class StreamSeveral:
    """Read the events of several handlers' runs as one stream; see `StreamEvents`."""

    handler_ids: tuple[str, ...] = ()
    workflow_names: tuple[str, ...] = ()
    """Instead: the runs of these workflows that go on, and those that start later."""
    from_beginning: bool = False
    """Read what these runs have told before, too."""
    cursor: str | None = None
    """As told with the last event that was seen; wins over everything but the names."""
    sse: bool = True
    include_internal: bool = False
    include_qualified_name: bool = True
    include_attempts: bool = False
    head_only: bool = False


@dataclass(frozen=True, slots=True)
class SendEvent:
    """Give a running handler an event from outside."""

    handler_id: str
    event: Any = MISSING
    """JSON value as sent: an envelope object, or a string holding one."""
    step: str | None = None
    waiter_id: str | None = None
    """The one question that it answers."""
    keys: tuple[IdempotencyKey, ...] = ()
    """What the client calls this event, and the question that it answers: it happens once."""


@dataclass(frozen=True, slots=True)
class CancelHandler:
    """Stop a handler's run; with `purge`, remove the handler and all that hangs on it."""

    handler_id: str
    purge: bool = False


Look = (
    CheckHealth
    | CheckReadiness
    | ListWorkflows
    | DescribeSchema
    | DescribeEvents
    | DescribeGraph
    | DescribeApi
    | ListHandlers
    | GetHandler
    | GetResult
    | GetState
    | GetInput
    | GetWaiting
    | StreamEvents
    | StreamSeveral
)
"""What changes nothing."""

Act = StartRun | SendEvent | CancelHandler
"""What changes a handler."""

Command = Look | Act

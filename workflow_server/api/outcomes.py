"""What came of a command. `render` turns each into a response; the manager never sees HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from workflow_server.http.messages import Source
from workflow_server.valueclass import dataclass
from workflow_server.wire.records import EventRecord, HandlerRecord


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the service is up."""

    healthy: bool


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether it should be given work."""

    ready: bool
    reasons: tuple[str, ...] = ()
    """Why not, a sentence each."""


@dataclass(frozen=True, slots=True)
class WorkflowNames:
    """The served workflows."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunAccepted:
    """The start is committed; the run goes on."""

    handler: HandlerRecord


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The run that the client waited for is over; the handler says how."""

    handler: HandlerRecord


@dataclass(frozen=True, slots=True)
class Schemas:
    """JSON schemas of a workflow's start and stop event."""

    start: dict[str, Any]
    stop: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EventSchemas:
    """JSON schemas of all events of a workflow."""

    events: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """A workflow as nodes and edges."""

    graph: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ApiDescribed:
    """The OpenAPI document."""

    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class HandlerFound:
    """The handler that was asked for."""

    handler: HandlerRecord
    outcome_in_body: bool = False
    """The status tells only that there is a handler."""


@dataclass(frozen=True, slots=True)
class ResultFound:
    """The handler whose result was asked for; rendered flattened."""

    handler: HandlerRecord


@dataclass(frozen=True, slots=True)
class StateFound:
    """The state of a run: each key's value, or (`type` given) the fields of a typed state."""

    values: Mapping[str, Any]
    type: str | None = None
    """Qualified name of the class of a typed state."""


@dataclass(frozen=True, slots=True)
class InputFound:
    """The start event of a run."""

    event: EventRecord


@dataclass(frozen=True, slots=True)
class Question:
    """An open wait of a run."""

    waiter_id: str
    step: str
    """The step that waits."""
    qualified_name: str
    """The class of the event that it waits for."""
    prompt: tuple[str, str] | None = None
    """The question that was published: qualified name of its class, and its dump as JSON text."""
    schema: dict[str, Any] | None = None
    """JSON schema of the awaited event, where its class is known to the server."""
    due: float | None = None
    """When it stops waiting (seconds since the epoch)."""


@dataclass(frozen=True, slots=True)
class QuestionsFound:
    """The open waits of a run, in the order of their beginning."""

    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class HandlersListed:
    """All matching handlers; `source` yields pages of `HandlerRecord`."""

    source: Source


@dataclass(frozen=True, slots=True)
class HandlersPage:
    """Some of the matching handlers, newest first."""

    handlers: tuple[HandlerRecord, ...]
    next_cursor: str | None
    """For the next page; `None` if there is none."""


@dataclass(frozen=True, slots=True)
class EventsOpened:
    """A stream of events; `source` yields pages of `EventRecord`, or (`several`) of `LocatedEvent`."""

    source: Source
    sse: bool
    include_internal: bool
    include_qualified_name: bool
    heartbeat: float | None
    include_timestamp: bool = False
    include_attempts: bool = False
    several: bool = False
    now: int | None = None
    """What "now" was, if the client asked so: whoever comes back before the first event must not miss it."""


@dataclass(frozen=True, slots=True)
class EventsExist:
    """There is something to stream (answer to HEAD)."""

    sse: bool


@dataclass(frozen=True, slots=True)
class NothingLeft:
    """The run is over and the cursor is at its end."""


@dataclass(frozen=True, slots=True)
class EventAccepted:
    """The event is committed."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The run has stopped, or (`unstopped` not empty) these steps could not be stopped in time."""

    unstopped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deleted:
    """The handler is gone; `unstopped` as in `Cancelled`."""

    unstopped: tuple[str, ...] = ()


class Refusal(Enum):
    """Why a command is refused; the value is the HTTP status."""

    INVALID = 400
    FORBIDDEN = 403
    NOT_FOUND = 404
    METHOD_NOT_ALLOWED = 405
    CONFLICT = 409
    UNREADABLE = 422
    INTERNAL = 500
    UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class Refused:
    """The command can't be done; `detail` says what and where, for the client's eyes."""

    why: Refusal
    detail: str
    allow: tuple[str, ...] = ()
    """With METHOD_NOT_ALLOWED: the methods that the path knows."""
    retry_after: int | None = None
    """Seconds, for UNAVAILABLE."""


Outcome = (
    Health
    | Readiness
    | WorkflowNames
    | RunAccepted
    | RunFinished
    | Schemas
    | EventSchemas
    | Graph
    | ApiDescribed
    | HandlerFound
    | ResultFound
    | StateFound
    | InputFound
    | QuestionsFound
    | HandlersListed
    | HandlersPage
    | EventsOpened
    | EventsExist
    | NothingLeft
    | EventAccepted
    | Cancelled
    | Deleted
    | Refused
)

"""What the server answers, as pydantic models: for clients, and for checking the server against them.

The server itself joins ready-made JSON text (`api.render`); a test holds the two together.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field

from workflow_server.errors import WorkflowError
from workflow_server.wire.base import WireModel
from workflow_server.wire.envelopes import EventEnvelopeWithMetadata
from workflow_server.wire.graph import WorkflowGraph
from workflow_server.wire.records import Phase, Status


def is_status_completed(status: Status) -> bool:
    """Tell whether a handler of `status` is over, however it ended."""
    return status in ("completed", "failed", "cancelled")


class HandlerData(WireModel):
    """A handler with its current run. Times are ISO 8601.

    Attributes:
        result: The event that ended the run, once it has completed.
        result_unreadable: There is a result, but the stored one can't be read.
        phase: A finer word beside `status`; `None` from servers that have none.
    """

    handler_id: str
    workflow_name: str
    run_id: str | None
    error: str | None
    result: EventEnvelopeWithMetadata | None
    result_unreadable: bool = False
    status: Status
    phase: Phase | None = None
    started_at: str
    updated_at: str | None
    completed_at: str | None

    def raise_for_run(self) -> Self:
        """Return the handler itself, unless its run has failed or was cancelled.

        Raises:
            RunFailed: It has, or was.
        """
        if self.status in ("failed", "cancelled"):
            raise RunFailed(self)
        return self


class RunFailed(WorkflowError):
    """A run has no result: it failed, was cancelled, or is not over.

    Attributes:
        handler: The handler, as it was told.
    """

    def __init__(self, handler: HandlerData) -> None:
        self.handler = handler
        how = {"failed": "failed", "cancelled": "was cancelled", "running": "is still running"}
        error = f": {handler.error}" if handler.error else ""
        status = how.get(handler.status, "has no result that can be read")
        super().__init__(f"The run of {handler.workflow_name} (handler {handler.handler_id}) {status}{error}")


class HandlersListResponse(WireModel):
    """All handlers in the order of starting, or a page of them, newest first.

    Attributes:
        next_cursor: For the next page; `None` if there is none.
    """

    handlers: list[HandlerData]
    next_cursor: str | None = None


class HealthResponse(WireModel):
    """Whether the service is up."""

    status: Literal["healthy", "unhealthy"]


class ReadinessResponse(WireModel):
    """Whether the service wants work; `reasons` says why not, a sentence each."""

    status: Literal["ready", "not ready"]
    reasons: list[str] = Field(default_factory=list[str])


class WorkflowsListResponse(WireModel):
    """Names of the served workflows."""

    workflows: list[str]


class SendEventResponse(WireModel):
    """The event was taken."""

    status: Literal["sent"]


class CancelHandlerResponse(WireModel):
    """The run has stopped, and with `deleted` the handler is gone.

    Attributes:
        unstopped: Steps that did not stop in time; what they return no longer counts.
    """

    status: Literal["deleted", "cancelled"]
    unstopped: list[str] = Field(default_factory=list[str])


class WorkflowSchemaResponse(WireModel):
    """JSON schemas of a workflow's start and stop events."""

    start: dict[str, Any]
    stop: dict[str, Any]


class WorkflowEventsListResponse(WireModel):
    """JSON schemas of a workflow's events."""

    events: list[dict[str, Any]]


class ErrorResponse(WireModel):
    """Why a request is refused, for people."""

    detail: str


class StateResponse(WireModel):
    """What a run has in `ctx.store`; `type` is the class of a typed state."""

    state: dict[str, Any]
    type: str | None


class InputResponse(WireModel):
    """The event that a run began with."""

    start_event: EventEnvelopeWithMetadata


class WaitingQuestion(WireModel):
    """What a step waits for.

    Attributes:
        prompt: The question as it was published.
        event_schema: JSON schema of the awaited event, where its class is known to the server.
        deadline: When it stops waiting, in ISO 8601.
    """

    waiter_id: str
    step: str
    prompt: EventEnvelopeWithMetadata | None
    qualified_name: str
    type: str
    event_schema: dict[str, Any] | None = Field(alias="schema")
    deadline: str | None


class WaitingResponse(WireModel):
    """What a run waits for."""

    waiting: list[WaitingQuestion]


class RunRequest(WireModel):
    """How a run begins.

    Attributes:
        start_event: An envelope, the bare fields of the start event, or either as JSON text.
        handler_id: A finished handler to continue, or the id of the new one; made up by default.
    """

    start_event: Any = None
    kwargs: dict[str, Any] | None = None
    handler_id: str | None = None
    context: dict[str, Any] | None = None


class SendEventRequest(WireModel):
    """An event for a running workflow: an envelope, or the JSON text of one.

    Attributes:
        step: The one step that is to get it.
        waiter_id: The one question that it answers.
    """

    event: Any
    step: str | None = None
    waiter_id: str | None = None


class WorkflowGraphResponse(WireModel):
    """A workflow drawn as nodes and edges."""

    graph: WorkflowGraph


__all__ = [
    "CancelHandlerResponse",
    "ErrorResponse",
    "HandlerData",
    "HandlersListResponse",
    "HealthResponse",
    "InputResponse",
    "ReadinessResponse",
    "RunFailed",
    "RunRequest",
    "SendEventRequest",
    "SendEventResponse",
    "StateResponse",
    "Status",
    "WaitingQuestion",
    "WaitingResponse",
    "WorkflowEventsListResponse",
    "WorkflowGraphResponse",
    "WorkflowSchemaResponse",
    "WorkflowsListResponse",
    "is_status_completed",
]

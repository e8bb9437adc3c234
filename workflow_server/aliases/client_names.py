"""What `workflows.client` and `llama_agents.client` offer; one list, because either may be there without the other."""

from __future__ import annotations

from workflow_server.client import (
    CancelHandlerResponse,
    EventEnvelopeWithMetadata,
    EventStream,
    HandlerData,
    HandlersListResponse,
    SendEventResponse,
    WorkflowClient,
    WorkflowEventsListResponse,
    WorkflowGraphResponse,
    WorkflowSchemaResponse,
)

__all__ = [
    "CancelHandlerResponse",
    "EventEnvelopeWithMetadata",
    "EventStream",
    "HandlerData",
    "HandlersListResponse",
    "SendEventResponse",
    "WorkflowClient",
    "WorkflowEventsListResponse",
    "WorkflowGraphResponse",
    "WorkflowSchemaResponse",
]

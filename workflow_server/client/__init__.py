"""A client for servers of workflows: `WorkflowClient` on asyncio and trio, `SyncWorkflowClient` for scripts.

It needs httpx, which comes with `pip install 'workflow-server[client]'`.
"""

from __future__ import annotations

from workflow_server.client.client import WorkflowClient
from workflow_server.client.patience import Patience
from workflow_server.client.streams import Events, EventStream
from workflow_server.client.sync import SyncWorkflowClient
from workflow_server.client.sync_streams import SyncEvents
from workflow_server.client.typed import TypedHandler
from workflow_server.wire.envelopes import EventEnvelopeWithMetadata
from workflow_server.wire.models import (
    CancelHandlerResponse,
    HandlerData,
    HandlersListResponse,
    RunFailed,
    SendEventResponse,
    WorkflowEventsListResponse,
    WorkflowGraphResponse,
    WorkflowSchemaResponse,
)

__all__ = [
    "CancelHandlerResponse",
    "EventEnvelopeWithMetadata",
    "EventStream",
    "Events",
    "HandlerData",
    "HandlersListResponse",
    "Patience",
    "RunFailed",
    "SendEventResponse",
    "SyncEvents",
    "SyncWorkflowClient",
    "TypedHandler",
    "WorkflowClient",
    "WorkflowEventsListResponse",
    "WorkflowGraphResponse",
    "WorkflowSchemaResponse",
]

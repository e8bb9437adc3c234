"""What `workflows.server` and `llama_agents.server` offer; one list, because either may be there without the other."""

from __future__ import annotations

from workflow_server.server import WorkflowServer
from workflow_server.stores.base import AbstractWorkflowStore, HandlerQuery
from workflow_server.stores.memory import MemoryWorkflowStore
from workflow_server.stores.sqlite import SqliteWorkflowStore
from workflow_server.wire.persistent import PersistentHandler

__all__ = [
    "AbstractWorkflowStore",
    "HandlerQuery",
    "MemoryWorkflowStore",
    "PersistentHandler",
    "SqliteWorkflowStore",
    "WorkflowServer",
]

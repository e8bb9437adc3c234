"""A small server for event-driven workflows: `Workflow` and `step` to write them, `WorkflowServer` to serve them.

Importing this package loads what workflows need; the server's parts are loaded when they are first named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflow_server.definition.step import catch_error, step
from workflow_server.observation import observe
from workflow_server.runtime.context import Context
from workflow_server.runtime.workflow import Workflow

if TYPE_CHECKING:
    from workflow_server.server import WorkflowServer
    from workflow_server.stores.base import AbstractWorkflowStore, HandlerQuery
    from workflow_server.stores.memory import MemoryWorkflowStore
    from workflow_server.stores.sqlite import SqliteWorkflowStore
    from workflow_server.wire.persistent import PersistentHandler

__all__ = [
    "AbstractWorkflowStore",
    "Context",
    "HandlerQuery",
    "MemoryWorkflowStore",
    "PersistentHandler",
    "SqliteWorkflowStore",
    "Workflow",
    "WorkflowServer",
    "catch_error",
    "observe",
    "step",
]

_LATE = {
    "AbstractWorkflowStore": "workflow_server.stores.base",
    "HandlerQuery": "workflow_server.stores.base",
    "MemoryWorkflowStore": "workflow_server.stores.memory",
    "PersistentHandler": "workflow_server.wire.persistent",
    "SqliteWorkflowStore": "workflow_server.stores.sqlite",
    "WorkflowServer": "workflow_server.server",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        from importlib import import_module

        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

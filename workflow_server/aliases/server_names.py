"""What `workflows.server` and `llama_agents.server` offer; one list, because either may be there without the other.

Each name is looked up when it is first asked for, so that a program without a database doesn't load SQLite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import workflow_server

if TYPE_CHECKING:
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


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(workflow_server, name)
    raise AttributeError(f"the server has no name {name!r}", name=name)

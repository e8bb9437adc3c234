"""What is known of a run before it begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workflow_server.definition.compiled import Definition
from workflow_server.engine.shape import Shape
from workflow_server.runtime.resource import ResourceManager
from workflow_server.valueclass import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known of a run before it begins. It holds nothing of the run itself."""

    run_id: str
    handler_id: str | None
    """The handler that it belongs to, if a server runs it."""
    workflow: object
    """The instance whose methods the steps are."""
    name: str
    """The workflow's name, for people."""
    definition: Definition
    shape: Shape
    time_limit: float | None
    """Seconds alive; `None` for no limit."""
    say: Callable[[str], None] | None
    """Takes a line when a step begins or ends; `None` if nobody wants to know."""
    resources: ResourceManager
    """Makes what steps need besides events."""
    make_context: Callable[..., Any]
    """Makes the `Context` of an execution from the runner and the execution."""

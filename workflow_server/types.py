"""Type variables that programs annotated for workflows use."""

from __future__ import annotations

from typing import Any, TypeVar

from workflow_server.events import StopEvent

StopEventT = TypeVar("StopEventT", bound=StopEvent)
"""The stop event class of a workflow."""

RunResultT = Any
"""What awaiting a run returns: the result of a plain stop event, or a typed stop event itself."""

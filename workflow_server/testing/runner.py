"""Runs a workflow once and keeps all it published, for tests that look at the whole story."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from workflow_server.events import Event, StartEvent
from workflow_server.runtime.context import Context
from workflow_server.runtime.workflow import Workflow


@dataclass
class WorkflowTestResult:
    """What one run did."""

    collected: list[Event]
    """The published events, in order."""
    event_types: dict[type[Event], int]
    """How many of each class were published."""
    result: Any
    """What awaiting the run returned."""
    ctx: Context[Any]
    """Its context; `ctx.store` holds the state that it left."""


class WorkflowTestRunner:
    """Runs a workflow in process.

    Args:
        workflow: The workflow.
    """

    def __init__(self, workflow: Workflow) -> None:
        self._workflow = workflow

    async def run(
        self,
        start_event: StartEvent | None = None,
        ctx: Context[Any] | None = None,
        expose_internal: bool = True,
        exclude_events: Iterable[type[Event]] | None = None,
    ) -> WorkflowTestResult:
        """Run the workflow to its end.

        Args:
            start_event: What the run begins with; the workflow's start event with its defaults by default.
            ctx: Gives the run its state.
            expose_internal: Whether to collect the engine's own news, too.
            exclude_events: Classes not to collect; exactly these, subclasses are collected.

        Raises:
            Exception: Whatever the run raises.
        """
        handler = self._workflow.run(ctx=ctx, start_event=start_event)
        excluded = frozenset(exclude_events or ())
        collected = [event async for event in handler.stream_events(expose_internal) if type(event) not in excluded]
        result = await handler
        return WorkflowTestResult(collected, dict(Counter(type(event) for event in collected)), result, handler.ctx)

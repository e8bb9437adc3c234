"""What a workflow is made of, for clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from workflow_server.api.commands import DescribeEvents, DescribeGraph, DescribeSchema
from workflow_server.api.outcomes import EventSchemas, Graph, Outcome, Refusal, Refused, Schemas
from workflow_server.manager.served import ServedWorkflow

NO_WORKFLOW = Refused(Refusal.NOT_FOUND, "Workflow not found")

Describe = DescribeSchema | DescribeEvents | DescribeGraph


def describe(command: Describe, workflows: Mapping[str, ServedWorkflow]) -> Outcome:
    """Return what `command` asks of a workflow, or that it is not served."""
    served = workflows.get(command.workflow)
    if served is None:
        named = isinstance(command, DescribeEvents)
        return Refused(Refusal.NOT_FOUND, f"Workflow '{command.workflow}' not found") if named else NO_WORKFLOW
    match command:
        case DescribeSchema():
            return Schemas(*served.schemas())
        case DescribeEvents():
            return EventSchemas(served.event_schemas())
        case DescribeGraph():
            return Graph(served.graph())
        case _:
            assert_never(command)

"""What a workflow is made of, for clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from workflow_server.api.commands import DescribeApi, DescribeEvents, DescribeGraph, DescribeSchema
from workflow_server.api.openapi import WorkflowSchemas, document
from workflow_server.api.outcomes import ApiDescribed, EventSchemas, Graph, Outcome, Refusal, Refused, Schemas
from workflow_server.manager.served import ServedWorkflow

NO_WORKFLOW = Refused(Refusal.NOT_FOUND, "Workflow not found")

Describe = DescribeSchema | DescribeEvents | DescribeGraph | DescribeApi


def describe(command: Describe, workflows: Mapping[str, ServedWorkflow]) -> Outcome:
    """Return what `command` asks of a workflow, or that it is not served."""
    if isinstance(command, DescribeApi):
        return ApiDescribed(api_document(workflows))
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


def api_document(workflows: Mapping[str, ServedWorkflow]) -> dict[str, Any]:
    """Return the OpenAPI document of a server with these workflows."""
    return document(
        {name: WorkflowSchemas(*served.schemas(), served.event_schemas()) for name, served in workflows.items()}
    )

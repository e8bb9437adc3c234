"""The drawing of a workflow for the program that has it: with what configuration files hold."""

from __future__ import annotations

from pathlib import Path

from workflow_server.definition.compiled import definition_of
from workflow_server.definition.graph import draw
from workflow_server.runtime.resource import ResourceConfig, config_data
from workflow_server.wire.graph import WorkflowGraph, WorkflowGraphNode, WorkflowResourceConfigNode


def get_workflow_representation(workflow: object) -> WorkflowGraph:
    """Return the drawing of a workflow.

    Args:
        workflow: An instance or the class.

    Returns:
        Its nodes and edges. Configurations say where their file lies and what it holds, if it can be read; what a
        server hands out does not, because such files may hold secrets.

    Raises:
        WorkflowConfigurationError: The class lacks its start or its stop.
    """
    graph = draw(definition_of(workflow if isinstance(workflow, type) else type(workflow)))
    return graph.model_copy(update={"nodes": [_with_value(node) for node in graph.nodes]})


def _with_value(node: WorkflowGraphNode) -> WorkflowGraphNode:
    if not isinstance(node, WorkflowResourceConfigNode) or node.config_file is None:
        return node
    try:
        value = config_data(ResourceConfig(node.config_file, node.path_selector))
    except (OSError, ValueError):
        value = None
    path = str(Path(node.config_file).absolute())
    return node.model_copy(update={"config_file": path, "config_value": value if isinstance(value, dict) else None})

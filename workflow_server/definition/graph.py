"""Draws a workflow: for each step what it takes and what it returns, questions and answers included.

Steps come in routing order; a step's own edges say first what it returns, then what it takes. One
node, `external_step`, stands for people as soon as a step returns a question.
"""

from __future__ import annotations

import inspect

from workflow_server.definition.compiled import Definition, StepDefinition, definition_of
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StopEvent, ancestors, json_schema
from workflow_server.wire.graph import (
    WorkflowEventNode,
    WorkflowExternalNode,
    WorkflowGraph,
    WorkflowGraphEdge,
    WorkflowGraphNode,
    WorkflowStepNode,
)

EXTERNAL = "external_step"


def get_workflow_representation(workflow: object) -> WorkflowGraph:
    """Return the drawing of a workflow.

    Args:
        workflow: An instance or the class.

    Raises:
        WorkflowConfigurationError: The class lacks its start or its stop.
    """
    return draw(definition_of(workflow if isinstance(workflow, type) else type(workflow)))


def draw(definition: Definition) -> WorkflowGraph:
    """Return the drawing of a compiled workflow."""
    asks = any(
        issubclass(event, InputRequiredEvent)
        for step in definition.steps.values()
        for event in step.config.returned_events
    )
    nodes: dict[str, WorkflowGraphNode] = {}
    edges: dict[tuple[str, str], None] = {}
    for step in definition.steps.values():
        nodes[step.name] = WorkflowStepNode(id=step.name, label=step.name, description=inspect.getdoc(step.function))
        for event in (*step.config.accepted_events, *step.config.returned_events):
            nodes.setdefault(event.__name__, _event_node(definition, event))
            if issubclass(event, InputRequiredEvent) and event in step.config.returned_events:
                nodes.setdefault(EXTERNAL, WorkflowExternalNode(id=EXTERNAL, label=EXTERNAL))
        for event in step.config.returned_events:
            edges[step.name, event.__name__] = None
            if issubclass(event, InputRequiredEvent):
                edges[event.__name__, EXTERNAL] = None
        for event in _taken(definition, step):
            edges[event.__name__, step.name] = None
            if asks and issubclass(event, HumanResponseEvent):
                edges[EXTERNAL, event.__name__] = None
    return WorkflowGraph(
        name=definition.name,
        nodes=list(nodes.values()),
        edges=[WorkflowGraphEdge(source=source, target=target) for source, target in edges],
        description=definition.description,
    )


def _event_node(definition: Definition, event: type[Event]) -> WorkflowEventNode:
    return WorkflowEventNode(
        id=event.__name__,
        label=event.__name__,
        event_type=event.__name__,
        event_types=[event.__name__, *(one.__name__ for one in ancestors(event))],
        event_schema=json_schema(event),
        produced_by=[step.name for step in definition.steps.values() if event in step.config.returned_events],
    )


def _taken(definition: Definition, step: StepDefinition) -> list[type[Event]]:
    """Return the event classes that go to a step: the annotated ones, and known subclasses if it takes those."""
    taken = list(step.config.accepted_events)
    if step.config.accept_event_subclasses:
        taken += [
            event
            for event in definition.event_classes
            if event not in taken and step.config.accepts(event) and not issubclass(event, StopEvent)
        ]
    return taken

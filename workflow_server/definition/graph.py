"""Draws a workflow: for each step what it takes and returns, questions and answers included, and what else it needs.

Steps come in routing order; a step's own edges say first what it returns, then what it takes. One
node, `external_step`, stands for people as soon as a step returns a question.
"""

from __future__ import annotations

import inspect

from workflow_server.definition.compiled import Definition, StepDefinition
from workflow_server.definition.resource_graph import Edge, edges_between_needs, edges_to_needs, nodes_of_needs
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


def draw(definition: Definition) -> WorkflowGraph:
    """Return the drawing of a compiled workflow."""
    asks = any(
        issubclass(event, InputRequiredEvent)
        for step in definition.steps.values()
        for event in step.config.returned_events
    )
    nodes: dict[str, WorkflowGraphNode] = {}
    edges: dict[Edge, None] = {edge: None for step in definition.steps.values() for edge in edges_between_needs(step)}
    for step in definition.steps.values():
        nodes[step.name] = WorkflowStepNode(id=step.name, label=step.name, description=inspect.getdoc(step.function))
        for event in (*step.config.accepted_events, *step.config.returned_events):
            nodes.setdefault(event.__name__, _event_node(definition, event))
            if issubclass(event, InputRequiredEvent) and event in step.config.returned_events:
                nodes.setdefault(EXTERNAL, WorkflowExternalNode(id=EXTERNAL, label=EXTERNAL))
        for event in step.config.returned_events:
            edges[step.name, event.__name__, None] = None
            if issubclass(event, InputRequiredEvent):
                edges[event.__name__, EXTERNAL, None] = None
        for event in _taken(definition, step):
            edges[event.__name__, step.name, None] = None
            if asks and issubclass(event, HumanResponseEvent):
                edges[EXTERNAL, event.__name__, None] = None
        nodes.update((node.id, node) for node in nodes_of_needs(step) if node.id not in nodes)
        edges.update((edge, None) for edge in edges_to_needs(step))
    return WorkflowGraph(
        name=definition.name,
        nodes=list(nodes.values()),
        edges=[WorkflowGraphEdge(source=source, target=target, label=label) for source, target, label in edges],
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

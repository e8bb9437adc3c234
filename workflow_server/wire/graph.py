"""The drawing of a workflow as it travels: nodes of a few kinds, and edges between them.

Pages and clients of other versions read these shapes, so a reader takes node types it doesn't
know as `WorkflowGenericNode` rather than refusing the whole drawing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from workflow_server.wire.base import WireModel


class WorkflowNodeBase(WireModel):
    """What every node has."""

    id: str
    label: str

    def truncated_label(self, max_length: int) -> str:
        """Return the label in at most `max_length` characters, the last a `*` if something was cut."""
        if len(self.label) <= max_length:
            return self.label
        return f"{self.label[: max(max_length - 1, 0)]}*"


class WorkflowStepNode(WorkflowNodeBase):
    """A step; `description` is its docstring."""

    node_type: Literal["step"] = "step"
    description: str | None = None


class WorkflowEventNode(WorkflowNodeBase):
    """An event class."""

    node_type: Literal["event"] = "event"
    event_type: str
    event_types: list[str]
    """Its own name, then those of its ancestors below `Event`, nearest first."""
    event_schema: dict[str, Any] | None = None
    """The JSON schema of its fields."""
    produced_by: list[str] = Field(default_factory=list[str])
    """Names of the steps that return it."""

    def is_subclass_of(self, *names: str) -> bool:
        """Return whether the event or one of its ancestors has one of these names."""
        return not set(names).isdisjoint(self.event_types)


class WorkflowExternalNode(WorkflowNodeBase):
    """Whoever answers questions from outside."""

    node_type: Literal["external"] = "external"


class WorkflowResourceNode(WorkflowNodeBase):
    """Something a factory makes for steps."""

    node_type: Literal["resource"] = "resource"
    type_name: str | None = None
    getter_name: str | None = None
    source_file: str | None = None
    source_line: int | None = None
    description: str | None = None


class WorkflowResourceConfigNode(WorkflowNodeBase):
    """Configuration read from a file for steps or resources."""

    node_type: Literal["resource_config"] = "resource_config"
    type_name: str | None = None
    config_file: str | None = None
    path_selector: str | None = None
    config_schema: dict[str, Any] | None = None
    config_value: dict[str, Any] | None = None
    description: str | None = None


class WorkflowGenericNode(WorkflowNodeBase):
    """A node of a kind that this version doesn't know."""

    node_type: str
    event_type: str | None = None
    event_types: list[str] | None = None

    def is_subclass_of(self, *names: str) -> bool:
        """Return whether the event it may stand for, or one of its ancestors, has one of these names."""
        return not set(names).isdisjoint(self.event_types or ())


WorkflowGraphNode = (
    WorkflowStepNode
    | WorkflowEventNode
    | WorkflowExternalNode
    | WorkflowResourceNode
    | WorkflowResourceConfigNode
    | WorkflowGenericNode
)
"""A node of any kind."""


class WorkflowGraphEdge(WireModel):
    """An arrow from one node to another; edges of resources carry the parameter's name as label."""

    source: str
    target: str
    label: str | None = None


class WorkflowGraph(WireModel):
    """The drawing of a workflow."""

    name: str
    nodes: list[Annotated[WorkflowGraphNode, Field(union_mode="left_to_right")]]
    edges: list[WorkflowGraphEdge]
    description: str | None = None

    def to_mermaid(self) -> str:
        """Return the graph as a Mermaid flowchart, the text that GitHub and many editors draw."""
        # Names of our own: a step may be called `end`, which Mermaid keeps for itself.
        names = {node.id: f"n{place}" for place, node in enumerate(self.nodes)}
        lines = ["flowchart TD"]
        for node in self.nodes:
            shape = _SHAPES.get(node.node_type, _SHAPES["step"])
            lines.append(f"    {names[node.id]}{shape.format(_quoted(node.label))}")
        for edge in self.edges:
            label = "" if edge.label is None else f'|"{_quoted(edge.label)}"|'
            lines.append(f"    {names[edge.source]} -->{label} {names[edge.target]}")
        return "\n".join(lines) + "\n"

    def filter_by_node_type(self, *node_types: str) -> WorkflowGraph:
        """Return the graph without nodes of these types, reconnected through them.

        A path that led through removed nodes becomes one edge, labelled with the first removed
        node's label. Between two nodes there is at most one edge.
        """
        kept = [node for node in self.nodes if node.node_type not in node_types]
        removed = {node.id: node.label for node in self.nodes if node.node_type in node_types}
        outgoing: defaultdict[str, list[WorkflowGraphEdge]] = defaultdict(list)
        for edge in self.edges:
            outgoing[edge.source].append(edge)
        edges: dict[tuple[str, str], WorkflowGraphEdge] = {}
        for node in kept:
            # Reconnected edges come first: between two nodes their label says more than a plain edge.
            for edge in sorted(outgoing[node.id], key=lambda one: one.target not in removed):
                if edge.target not in removed:
                    edges.setdefault((node.id, edge.target), edge)
                    continue
                for target in _ends(edge.target, removed, outgoing):
                    bridge = WorkflowGraphEdge(source=node.id, target=target, label=removed[edge.target])
                    edges.setdefault((node.id, target), bridge)
        return self.model_copy(update={"nodes": kept, "edges": list(edges.values())})


_SHAPES = {
    "step": '["{}"]',
    "event": '(["{}"])',
    "external": '{{{{"{}"}}}}',
    "resource": '[("{}")]',
    "resource_config": '[/"{}"/]',
}
"""How Mermaid draws nodes: steps as boxes, events as stadiums, resources as cylinders."""


def _quoted(text: str) -> str:
    """Return `text` as a Mermaid string holds it: without what would end it or be taken for HTML."""
    return "".join(f"#{ord(letter)};" if letter in '#"<>&' else letter for letter in text.replace("\n", " "))


def _ends(start: str, removed: dict[str, str], outgoing: dict[str, list[WorkflowGraphEdge]]) -> Iterator[str]:
    """Yield the kept nodes that paths of removed nodes lead to, from the removed node `start`."""
    seen = {start}
    waiting = [start]
    while waiting:
        for edge in outgoing.get(waiting.pop(0), ()):
            if edge.target in seen:
                continue
            seen.add(edge.target)
            if edge.target in removed:
                waiting.append(edge.target)
            else:
                yield edge.target

"""Drawings as they travel: labels, families, node types of other versions, and graphs with nodes taken out."""

from __future__ import annotations

from typing import Any

import pytest

from workflow_server.wire.graph import (
    WorkflowEventNode,
    WorkflowExternalNode,
    WorkflowGenericNode,
    WorkflowGraph,
    WorkflowGraphEdge,
    WorkflowResourceConfigNode,
    WorkflowResourceNode,
    WorkflowStepNode,
)


def graph(nodes: str, *edges: str, **others: Any) -> WorkflowGraph:
    """Make a graph: lower-case nodes are steps, upper-case ones events, `x` is outside; `a>B:label` is an edge."""
    made: list[Any] = []
    for name in nodes.split():
        if name == "x":
            made.append(WorkflowExternalNode(id=name, label="Lx"))
        elif name.islower():
            made.append(WorkflowStepNode(id=name, label=f"L{name}"))
        else:
            made.append(WorkflowEventNode(id=name, label=f"L{name}", event_type=name, event_types=[name]))
    arrows: list[WorkflowGraphEdge] = []
    for edge in edges:
        path, _, label = edge.partition(":")
        source, _, target = path.partition(">")
        arrows.append(WorkflowGraphEdge(source=source, target=target, label=label or None))
    return WorkflowGraph(name="g", nodes=made, edges=arrows, **others)


def arrows(one: WorkflowGraph) -> set[str]:
    return {f"{edge.source}>{edge.target}" + (f":{edge.label}" if edge.label else "") for edge in one.edges}


@pytest.mark.parametrize(
    ("length", "text"),
    [(0, "*"), (1, "*"), (2, "a*"), (5, "abcd*"), (9, "abcdefgh*"), (10, "abcdefghij"), (99, "abcdefghij")],
)
def test_a_long_label_is_cut_to_its_length_and_marked(length: int, text: str) -> None:
    assert WorkflowStepNode(id="x", label="abcdefghij").truncated_label(length) == text


@pytest.mark.parametrize(
    "node",
    [
        WorkflowEventNode(id="1", label="1", event_type="B", event_types=["B", "A"]),
        WorkflowGenericNode(id="1", label="1", node_type="other", event_type="B", event_types=["B", "A"]),
    ],
)
def test_an_event_knows_its_family_by_name(node: Any) -> None:
    assert node.is_subclass_of("A")
    assert node.is_subclass_of("Z", "B")
    assert not node.is_subclass_of("Z")
    assert not node.is_subclass_of()


def test_an_unknown_node_without_events_has_no_family() -> None:
    assert not WorkflowGenericNode(id="1", label="1", node_type="other").is_subclass_of("A")


def test_nodes_of_every_kind_are_read_back() -> None:
    known = [
        WorkflowStepNode(id="1", label="l", description="d"),
        WorkflowEventNode(id="2", label="l", event_type="E", event_types=["E"], event_schema={}, produced_by=["1"]),
        WorkflowExternalNode(id="3", label="l"),
        WorkflowResourceNode(id="4", label="l", type_name="T", getter_name="g", source_file="f", source_line=3),
        WorkflowResourceConfigNode(id="5", label="l", config_file="/f.json", path_selector="a.b", config_value={}),
        WorkflowGenericNode(id="6", label="l", node_type="from a later version"),
    ]
    whole = WorkflowGraph(name="g", nodes=known, edges=[], description="words")
    again = WorkflowGraph.model_validate_json(whole.model_dump_json())
    assert again == whole
    assert [type(node) for node in again.nodes] == [type(node) for node in known]


def test_a_known_kind_that_lacks_what_it_needs_is_taken_as_generic() -> None:
    read = WorkflowGraph.model_validate(
        {"name": "g", "nodes": [{"id": "1", "label": "1", "node_type": "event"}], "edges": []}
    )
    assert type(read.nodes[0]) is WorkflowGenericNode


def test_taking_nodes_out_reconnects_what_they_connected() -> None:
    whole = graph("a A b B c", "a>A", "A>b", "b>B", "B>c", description="words")
    left = whole.filter_by_node_type("event")
    assert [node.id for node in left.nodes] == ["a", "b", "c"]
    assert arrows(left) == {"a>b:LA", "b>c:LB"}
    assert (left.name, left.description) == ("g", "words")


def test_the_label_is_that_of_the_first_removed_node() -> None:
    whole = graph("a A x B b", "a>A", "A>x", "x>B", "B>b")
    assert arrows(whole.filter_by_node_type("event", "external")) == {"a>b:LA"}


def test_edges_between_kept_nodes_keep_their_labels() -> None:
    whole = graph("a b C", "a>b:why", "b>C")
    assert arrows(whole.filter_by_node_type("event")) == {"a>b:why"}
    assert arrows(whole.filter_by_node_type("no such type")) == {"a>b:why", "b>C"}
    assert arrows(whole.filter_by_node_type()) == {"a>b:why", "b>C"}


def test_two_nodes_have_one_edge_and_a_reconnected_one_says_more() -> None:
    whole = graph("a A B b", "a>b", "a>A", "A>b", "a>B", "B>b")
    assert arrows(whole.filter_by_node_type("event")) == {"a>b:LA"}
    assert arrows(graph("a b", "a>b:1", "a>b:2").filter_by_node_type("event")) == {"a>b:1"}


def test_circles_of_removed_nodes_end() -> None:
    whole = graph("a A B b", "a>A", "A>B", "B>A", "B>b", "b>a")
    assert arrows(whole.filter_by_node_type("event")) == {"a>b:LA", "b>a"}


def test_a_node_may_lead_back_to_itself() -> None:
    assert arrows(graph("a A", "a>A", "A>a").filter_by_node_type("event")) == {"a>a:LA"}


def test_many_ways_to_one_node_are_one_edge() -> None:
    whole = graph("a A B C b", "a>A", "A>B", "A>C", "B>b", "C>b")
    assert arrows(whole.filter_by_node_type("event")) == {"a>b:LA"}


def test_mermaid() -> None:
    """Each kind has its shape, labels their quotes, and no name can be one that Mermaid keeps for itself."""
    nodes = [
        WorkflowStepNode(id="end", label='end "it" <now> #1'),
        WorkflowEventNode(id="Job", label="Job", event_type="Job", event_types=["Job"]),
        WorkflowExternalNode(id="x", label="people"),
        WorkflowResourceNode(id="r", label="Database"),
        WorkflowResourceConfigNode(id="c", label="Two\nlines"),
        WorkflowGenericNode(id="g", label="new", node_type="of tomorrow"),
    ]
    edges = [
        WorkflowGraphEdge(source="end", target="Job"),
        WorkflowGraphEdge(source="end", target="r", label="db & more"),
    ]
    assert WorkflowGraph(name="w", nodes=nodes, edges=edges).to_mermaid() == (
        "flowchart TD\n"
        '    n0["end #34;it#34; #60;now#62; #35;1"]\n'
        '    n1(["Job"])\n'
        '    n2{{"people"}}\n'
        '    n3[("Database")]\n'
        '    n4[/"Two lines"/]\n'
        '    n5["new"]\n'
        "    n0 --> n1\n"
        '    n0 -->|"db #38; more"| n3\n'
    )


def test_the_graph_itself_stays_as_it_was() -> None:
    whole = graph("a A b", "a>A", "A>b")
    whole.filter_by_node_type("event")
    assert len(whole.nodes) == 3
    assert arrows(whole) == {"a>A", "A>b"}

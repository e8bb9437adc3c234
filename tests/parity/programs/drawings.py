"""Scenarios of drawings: nodes and edges of a workflow with everything in it, and graphs with nodes taken out."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel
from workflows import Context, Workflow, catch_error, step
from workflows.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StepFailedEvent, StopEvent
from workflows.representation import WorkflowGraph, get_workflow_representation
from workflows.resource import Resource, ResourceConfig

CONFIG = Path(tempfile.mkdtemp()) / "config.json"
CONFIG.write_text(json.dumps({"n": 1, "a": {"b": {"n": 3}}}))


class Settings(BaseModel):
    """How to do it."""

    n: int


class Memory:
    pass


class A(Event):
    """Words of A."""

    x: int = 1


class SubA(A):
    pass


class Ask(InputRequiredEvent):
    pass


class Answer(HumanResponseEvent):
    pass


def get_memory(settings: Annotated[Settings, ResourceConfig(str(CONFIG), "a.b", "Mine", "Words.")]) -> Memory:
    """Make a memory."""
    return Memory()


async def _get_index(
    memory: Annotated[Memory, Resource(get_memory)], all: Annotated[Settings, ResourceConfig(str(CONFIG))]
) -> dict[str, int]:
    return {}


class Everything(Workflow):
    """Words of the workflow."""

    @step
    async def one(
        self,
        ev: StartEvent,
        memory: Annotated[Memory, Resource(get_memory)],
        index: Annotated[dict, Resource(_get_index, cache=False)],  # type: ignore[type-arg]
        ctx: Context,
    ) -> A | SubA | Ask:
        """Words of a step."""
        return A()

    @step(accept_event_subclasses=True)
    async def two(
        self,
        ev: A | Answer,
        again: Annotated[Memory, Resource(get_memory)],
        other: Annotated[Memory, Resource(get_memory, cache=False)],
        settings: Annotated[Settings, ResourceConfig(str(CONFIG))],
    ) -> StopEvent:
        return StopEvent()

    @catch_error(for_steps=["one"])
    async def rescue(self, ev: StepFailedEvent) -> StopEvent:
        return StopEvent()


def _plain(graph: WorkflowGraph) -> dict[str, Any]:
    """The graph as JSON; ids of resources, which are hashes, are replaced by their labels."""
    value = graph.model_dump(mode="json")
    names = {node["id"]: node["id"] for node in value["nodes"]}
    for node in value["nodes"]:
        if node["node_type"].startswith("resource"):
            kind, _, digest = node["id"].rpartition("_")
            assert len(digest) == 12
            names[node["id"]] = node["id"] = f"{kind}:{node['label']}:{node.get('path_selector')}"
    for edge in value["edges"]:
        edge["source"], edge["target"] = names[edge["source"]], names[edge["target"]]
    return value


async def a_drawing() -> Any:
    value = _plain(get_workflow_representation(Everything()))
    for node in value["nodes"]:
        for key in ("source_file", "config_file"):
            node[key] = node.get(key) and Path(node[key]).name
        if node["node_type"] == "event" and node["id"] not in ("A", "SubA", "Ask", "Answer"):
            del node["event_schema"]  # its description is in the words of the engine
    value["edges"].sort(key=str)
    return value


async def drawings_without_some_nodes() -> Any:
    graph = get_workflow_representation(Everything)
    kept = {}
    for types in (["event"], ["resource", "resource_config"], ["event", "external"], ["resource"]):
        edges = [[one["source"], one["target"], one["label"]] for one in _plain_edges(graph, types)]
        kept[" ".join(types)] = sorted(edges, key=str)
    return kept


def _plain_edges(graph: WorkflowGraph, types: list[str]) -> list[dict[str, Any]]:
    edges: list[dict[str, Any]] = _plain(graph.filter_by_node_type(*types))["edges"]
    return edges


async def labels_and_families() -> Any:
    nodes = {node.id: node for node in get_workflow_representation(Everything).nodes}
    answer: Any = nodes["Answer"]
    return {
        "cut": [nodes["StopEvent"].truncated_label(length) for length in (3, 8, 9, 20)],
        "families": [answer.is_subclass_of("HumanResponseEvent"), answer.is_subclass_of("A", "InputRequiredEvent")],
    }

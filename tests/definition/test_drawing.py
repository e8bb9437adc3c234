"""The drawing of a workflow, node by node and arrow by arrow."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from workflow_server.definition.compiled import compile_definition
from workflow_server.definition.graph import draw
from workflow_server.definition.resource import Resource, ResourceConfig
from workflow_server.definition.step import catch_error, step
from workflow_server.errors import WorkflowConfigurationError
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StepFailedEvent, StopEvent
from workflow_server.runtime.representation import get_workflow_representation
from workflow_server.wire.graph import WorkflowResourceConfigNode, WorkflowResourceNode


class A(Event):
    """Words of A."""

    x: int = 1


class B(A):
    pass


class Begin(StartEvent):
    name: str


class Ask(InputRequiredEvent):
    pass


class Answer(HumanResponseEvent):
    pass


class Done(StopEvent):
    pass


def nodes(workflow: Any) -> list[str]:
    return [node.id for node in draw(compile_definition(workflow)).nodes]


def edges(workflow: Any) -> list[str]:
    return [f"{edge.source} > {edge.target}" for edge in draw(compile_definition(workflow)).edges]


class Chain:
    """Words
    of the class.
    """

    @step
    async def last(self, ev: B) -> Done:
        """Words of a step.

        More of them.
        """
        return Done()

    @step
    async def first(self, ev: Begin) -> A | B | None: ...

    @step
    async def middle(self, ev: A) -> B: ...


def test_each_step_comes_with_what_it_takes_and_then_what_it_returns() -> None:
    assert nodes(Chain) == ["first", "Begin", "A", "B", "last", "Done", "middle"]


def test_edges_of_a_step_say_first_what_it_returns() -> None:
    assert edges(Chain) == [
        "first > A",
        "first > B",
        "Begin > first",
        "last > Done",
        "B > last",
        "middle > B",
        "A > middle",
    ]


def test_the_drawing_as_json() -> None:
    graph = draw(compile_definition(Chain)).model_dump()
    assert (graph["name"], graph["description"]) == ("Chain", "Words\nof the class.")
    by_id = {node["id"]: node for node in graph["nodes"]}
    assert by_id["last"] == {
        "id": "last",
        "label": "last",
        "node_type": "step",
        "description": "Words of a step.\n\nMore of them.",
    }
    assert by_id["B"] == {
        "id": "B",
        "label": "B",
        "node_type": "event",
        "event_type": "B",
        "event_types": ["B", "A"],
        "event_schema": {
            "properties": {"x": {"default": 1, "title": "X", "type": "integer"}},
            "title": "B",
            "type": "object",
        },
        "produced_by": ["first", "middle"],
    }
    assert by_id["Begin"]["event_types"] == ["Begin", "StartEvent"]
    assert by_id["Begin"]["produced_by"] == []
    assert graph["edges"][0] == {"source": "first", "target": "A", "label": None}


def test_people_stand_between_questions_and_answers() -> None:
    class Talk:
        @step
        async def ask(self, ev: StartEvent) -> Ask | StopEvent: ...

        @step
        async def hear(self, ev: Answer) -> StopEvent: ...

        @step
        async def log(self, ev: Ask | Answer) -> None: ...

    assert nodes(Talk) == ["ask", "StartEvent", "Ask", "external_step", "StopEvent", "hear", "Answer", "log"]
    assert edges(Talk) == [
        "ask > Ask",
        "Ask > external_step",
        "ask > StopEvent",
        "StartEvent > ask",
        "hear > StopEvent",
        "Answer > hear",
        "external_step > Answer",
        "Ask > log",
        "Answer > log",
    ]
    external = draw(compile_definition(Talk)).nodes[3]
    assert external.model_dump() == {"id": "external_step", "label": "external_step", "node_type": "external"}


def test_answers_without_questions_draw_nobody() -> None:
    class Listen:
        @step
        async def main(self, ev: StartEvent) -> StopEvent: ...

        @step
        async def hear(self, ev: Answer) -> None: ...

    assert "external_step" not in nodes(Listen)
    assert edges(Listen) == ["Answer > hear", "main > StopEvent", "StartEvent > main"]


def test_a_responder_before_the_asker_is_connected_too() -> None:
    class Talk:
        @step
        async def a(self, ev: Answer) -> StopEvent: ...

        @step
        async def b(self, ev: StartEvent) -> Ask: ...

    assert "external_step > Answer" in edges(Talk)


def test_subclass_routing_is_drawn_but_never_from_a_stop() -> None:
    class Wide:
        @step
        async def a(self, ev: StartEvent) -> B | Done: ...

        @step(accept_event_subclasses=True)
        async def b(self, ev: Event) -> None: ...

        @step
        async def c(self, ev: B) -> None: ...

    assert edges(Wide) == ["a > B", "a > Done", "StartEvent > a", "Event > b", "StartEvent > b", "B > b", "B > c"]


def test_handlers_are_steps() -> None:
    class Safe:
        @step
        async def a(self, ev: StartEvent) -> StopEvent: ...

        @catch_error
        async def h(self, ev: StepFailedEvent) -> StopEvent: ...

    assert "StepFailedEvent > h" in edges(Safe)


def test_an_event_with_a_field_of_any_class_has_a_schema() -> None:
    class Handle:
        pass

    class Odd(Event):
        handle: Handle
        number: int

    class W:
        @step
        async def a(self, ev: StartEvent) -> Odd: ...

        @step
        async def b(self, ev: Odd) -> StopEvent: ...

    node = next(node for node in draw(compile_definition(W)).nodes if node.id == "Odd")
    schema = node.model_dump()["event_schema"]
    assert schema["properties"] == {"handle": {"title": "Handle"}, "number": {"title": "Number", "type": "integer"}}


def test_a_workflow_is_drawn_from_its_class_or_an_instance() -> None:
    graph = get_workflow_representation(Chain)
    assert graph == get_workflow_representation(Chain()) == draw(compile_definition(Chain))


def test_a_class_that_is_no_workflow_is_told_so() -> None:
    with pytest.raises(WorkflowConfigurationError, match="has no configured steps"):
        get_workflow_representation(3)


# ------------------------------------------------------------------------------------------------- resources


class Settings(BaseModel):
    """How to do it."""

    n: int


def get_memory(settings: Annotated[Settings, ResourceConfig("config.json", "a.b", "Mine", "Words.")]) -> list[int]:
    """Make a memory."""
    return []


async def get_index(memory: Annotated[list[int], Resource(get_memory)]) -> dict[str, int]:
    return {}


class Needs:
    @step
    async def a(self, ev: StartEvent, index: Annotated[dict[str, int], Resource(get_index)]) -> A: ...

    @step
    async def b(
        self,
        ev: A,
        memory: Annotated[list[int], Resource(get_memory, cache=False)],
        whole: Annotated[Settings, ResourceConfig("config.json")],
        one: Annotated[int, Resource(lambda: 1)],
        two: Annotated[int, Resource(lambda: 2)],
        three: Annotated[int, Resource(functools.cache(lambda: 3))],
    ) -> StopEvent: ...


def test_what_steps_and_factories_need_is_drawn_once() -> None:
    graph = draw(compile_definition(Needs))
    label = {node.id: node.label for node in graph.nodes}
    assert list(label.values()) == [
        *("a", "StartEvent", "A", "dict", "list", "Mine"),
        *("b", "StopEvent", "Settings", "int", "int", "int"),
    ]
    assert [(label[edge.source], label[edge.target], edge.label) for edge in graph.edges if edge.label] == [
        ("dict", "list", "memory"),
        ("list", "Mine", "settings"),
        ("a", "dict", "index"),
        ("b", "list", "memory"),
        ("b", "Settings", "whole"),
        ("b", "int", "one"),
        ("b", "int", "two"),
        ("b", "int", "three"),
    ]


def test_nodes_of_resources_say_where_they_come_from() -> None:
    by_label = {node.label: node for node in draw(compile_definition(Needs)).nodes}
    memory, mine = by_label["list"], by_label["Mine"]
    assert isinstance(memory, WorkflowResourceNode)
    assert re.fullmatch("resource_[0-9a-f]{12}", memory.id)
    assert (memory.type_name, memory.getter_name, memory.description) == ("list", "get_memory", "Make a memory.")
    assert memory.source_file == __file__
    assert memory.source_line == get_memory.__code__.co_firstlineno
    assert isinstance(mine, WorkflowResourceConfigNode)
    assert re.fullmatch("resource_config_[0-9a-f]{12}", mine.id)
    assert (mine.type_name, mine.path_selector, mine.description) == ("Settings", "a.b", "Words.")
    assert mine.config_schema is not None
    assert list(mine.config_schema["properties"]) == ["n"]
    assert (mine.config_file, mine.config_value) == ("config.json", None), "reading is left to who may see it"


def test_the_program_itself_sees_what_configurations_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "config.json"
    unread = {node.label: node for node in get_workflow_representation(Needs).nodes}["Mine"]
    assert isinstance(unread, WorkflowResourceConfigNode)
    assert (unread.config_file, unread.config_value) == (str(file), None)
    file.write_text('{"a": {"b": {"n": 3}}}')
    read = {node.label: node for node in get_workflow_representation(Needs).nodes}["Mine"]
    assert isinstance(read, WorkflowResourceConfigNode)
    assert read.config_value == {"n": 3}

"""Events in their envelopes, as clients and servers write them."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any

import pytest
from pydantic import Field, field_validator

from workflow_server.errors import WorkflowError
from workflow_server.events import Event, HumanResponseEvent, StartEvent, StopEvent, WorkflowIdleEvent
from workflow_server.naming import TypeTable
from workflow_server.wire.envelopes import (
    EventEnvelope,
    EventEnvelopeWithMetadata,
    EventValidationError,
    read_event,
)


class Base(Event):
    x: int = 1


class Progress(Base):
    y: str


class Begin(StartEvent):
    value: int = 0
    label: str = ""


class Picky(Event):
    n: int = 0

    @field_validator("n")
    @classmethod
    def _never(cls, value: int) -> int:
        raise RuntimeError("secret of the program")


DECLARED = {"Base": Base, "Progress": Progress}
TABLE = TypeTable(DECLARED.values())
NAME = f"{__name__}.Base"


@pytest.mark.parametrize(
    "data",
    [
        {"type": "Base", "value": {"x": 7}},
        {"type": "Base", "data": {"x": 7}},
        {"type": "Base", "value": {"x": 7}, "data": {"x": 8}},
        {"qualified_name": NAME, "value": {"x": 7}},
        {"qualified_name": "__main__.Base", "value": {"x": 7}},
        {"type": "Other", "qualified_name": NAME, "value": {"x": 7}},
        {"type": "Base", "qualified_name": "elsewhere.Other", "value": {"x": 7}},
        {"type": "Base", "qualified_name": None, "value": {"x": 7}},
        '{"type": "Base", "data": {"x": 7}}',
    ],
)
def test_every_spelling_of_an_envelope_is_understood(data: Any) -> None:
    assert EventEnvelope.parse(data, DECLARED) == Base(x=7)


def test_extras_come_through_bare_and_dumped() -> None:
    for value in ({"x": 1, "note": "n"}, {"x": 1, "_data": {"note": "n"}}):
        assert EventEnvelope.parse({"type": "Base", "value": value}, DECLARED).note == "n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, Begin()),
        ("{}", Begin()),
        ({"label": "a"}, Begin(label="a")),
        ({"value": 3}, Begin(value=3)),
        ({"type": "Base"}, Begin(type="Base")),
        ({"type": "Base", "data": {"x": 1}}, Begin(type="Base", data={"x": 1})),
        ({"type": "Base", "value": {"x": 2}}, Base(x=2)),
        ({"type": "Base", "qualified_name": NAME, "data": {"x": 2}}, Base(x=2)),
    ],
)
def test_where_the_class_is_known_bare_fields_will_do(data: Any, expected: Event) -> None:
    found = EventEnvelope.parse(data, DECLARED, Begin)
    assert found == expected
    assert found.to_dict() == expected.to_dict()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        *(
            (data, "Failed to deserialize event: it must be a JSON object, or the JSON text of one")
            for data in (1, None, [], True, "[]", "null", '"s"')
        ),
        ("{", "Failed to deserialize event: the text is not JSON: EOF while parsing an object"),
        ('{"type": "Base", "value": {"x": 1e999}}', "Failed to deserialize event: the text is not JSON: a number is"),
        ({"type": "Base"}, "Failed to deserialize event: envelope.value: Field required"),
        ({"type": 1, "value": {}}, "Failed to deserialize event: envelope.type: Input should be a valid string"),
        (
            {"type": "Base", "qualified_name": 5, "value": {}},
            "Failed to deserialize event: envelope.qualified_name: Input should be a valid string",
        ),
        ({"value": {"x": 1}}, "Failed to deserialize event: it has neither a 'type' nor a 'qualified_name'"),
        ({"type": "", "value": {}}, "Invalid event type: . Expected one of Base, Progress"),
        ({"type": "Other", "value": {}}, "Invalid event type: Other. Expected one of Base, Progress"),
        ({"qualified_name": "os.path", "value": {}}, "Invalid event type: os.path. Expected one of Base, Progress"),
        ({"type": "Base", "value": {"x": "seven"}}, "Failed to deserialize event: Base.x: Input should be a valid int"),
        ({"type": "Progress", "value": {}}, "Failed to deserialize event: Progress.y: Field required"),
        ({"type": "Base", "value": 1}, "Failed to deserialize event: Base: Input should be a valid dictionary"),
        ({"type": "Base", "value": None}, "Failed to deserialize event: Base: Input should be a valid dictionary"),
        ({"type": "Base", "value": {"_data": 5}}, "Failed to deserialize event: Base: Value error, _data holds"),
    ],
)
def test_what_is_no_expected_event_is_refused_with_what_and_where(data: Any, text: str) -> None:
    with pytest.raises(EventValidationError) as caught:
        EventEnvelope.parse(data, DECLARED)
    assert str(caught.value).startswith(text)
    assert "pydantic.dev" not in str(caught.value)


def test_without_declared_classes_nothing_is_imported() -> None:
    with pytest.raises(EventValidationError, match=r"Invalid event type: .*Base\. No event types are registered"):
        EventEnvelope.parse({"qualified_name": NAME, "value": {}})


def test_what_a_validator_of_the_program_raises_is_not_told() -> None:
    with pytest.raises(EventValidationError, match=r"Picky can't be made of it \(RuntimeError\)$"):
        read_event({"n": 1}, TABLE, Picky)


def test_the_error_is_one_of_the_project() -> None:
    assert issubclass(EventValidationError, WorkflowError)


def test_a_declared_class_that_is_no_event_is_none() -> None:
    with pytest.raises(EventValidationError, match="Invalid event type: Field"):
        read_event({"type": "Field", "value": {}}, TypeTable([type(Field())]))


def test_an_event_becomes_a_short_envelope() -> None:
    envelope = EventEnvelope.from_event(Base(x=2, note="n"))
    assert envelope.model_dump() == {"value": {"x": 2, "_data": {"note": "n"}}, "type": "Base", "qualified_name": None}


@pytest.mark.parametrize(
    ("event", "dumped"),
    [
        (Base(), {"value": {"x": 1}, "qualified_name": NAME, "type": "Base", "types": None}),
        (
            Progress(y="q", k=1),
            {
                "value": {"x": 1, "y": "q", "_data": {"k": 1}},
                "qualified_name": f"{__name__}.Progress",
                "type": "Progress",
                "types": ["Base"],
            },
        ),
        (
            StopEvent(result=1),
            {
                "value": {"result": 1},
                "qualified_name": "workflows.events.StopEvent",
                "type": "StopEvent",
                "types": None,
            },
        ),
        (
            WorkflowIdleEvent(),
            {
                "value": {},
                "qualified_name": "workflows.events.WorkflowIdleEvent",
                "type": "WorkflowIdleEvent",
                "types": ["InternalDispatchEvent"],
            },
        ),
    ],
)
def test_a_server_tells_class_and_ancestors(event: Event, dumped: dict[str, Any]) -> None:
    envelope = EventEnvelopeWithMetadata.from_event(event)
    assert json.loads(envelope.model_dump_json()) == dumped
    assert EventEnvelopeWithMetadata.from_event(event, include_qualified_name=False).qualified_name is None


def _received(name: str | None, short: str, value: dict[str, Any]) -> EventEnvelopeWithMetadata:
    return EventEnvelopeWithMetadata(value=value, qualified_name=name, type=short, types=None)


@pytest.mark.parametrize("event", [Base(x=4), Progress(y="q", k=1), StopEvent(result=[1]), HumanResponseEvent(a=1)])
def test_an_envelope_becomes_its_event_again(event: Event) -> None:
    for registry in ((), (Base, Progress)):
        loaded = EventEnvelopeWithMetadata.from_event(event).load_event(registry)
        assert type(loaded) is type(event)
        assert loaded.model_dump() == event.model_dump()


def test_built_in_classes_are_found_by_their_public_name() -> None:
    loaded = EventEnvelopeWithMetadata.from_event(WorkflowIdleEvent()).load_event()
    assert type(loaded) is WorkflowIdleEvent


def test_a_class_that_is_called_like_a_built_in_one_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    own = type("StopEvent", (StopEvent,), {"__module__": "a_program"})
    module = ModuleType("a_program")
    monkeypatch.setitem(sys.modules, "a_program", module)
    monkeypatch.setattr(module, "StopEvent", own, raising=False)
    assert type(EventEnvelopeWithMetadata.from_event(own()).load_event()) is own


def test_a_short_name_is_enough_among_the_registered() -> None:
    assert _received(None, "Base", {"x": 2}).load_event([Base]) == Base(x=2)


@pytest.mark.parametrize(
    ("envelope", "registry", "text"),
    [
        (_received(None, "Base", {}), (), "Invalid event type: Base. Expected one of StartEvent"),
        (
            _received(f"{__name__}.Progress", "Progress", {}),
            (Base,),
            r"Invalid event type: .*Progress. Expected .*Base",
        ),
        (_received("no_such_module.A", "A", {}), (), "Event type no_such_module.A can't be imported: No module"),
        (_received("Bare", "Bare", {}), (), "Event type Bare can't be imported"),
        (_received("..A", "A", {}), (), r"Event type \.\.A can't be imported"),
        (_received("os.getcwd", "getcwd", {}), (), "Invalid event type: os.getcwd"),
        (_received("collections.OrderedDict", "OrderedDict", {}), (), "Invalid event type: collections.OrderedDict"),
        (_received(NAME, "Base", {"x": "w"}), (Base,), "Failed to deserialize event: Base.x: Input should be"),
    ],
)
def test_an_envelope_of_something_else_is_refused(
    envelope: EventEnvelopeWithMetadata, registry: tuple[type[Event], ...], text: str
) -> None:
    with pytest.raises(EventValidationError, match=text):
        envelope.load_event(registry)

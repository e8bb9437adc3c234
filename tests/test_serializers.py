"""Values as text: what keeps its class, what is refused, and what reading may construct."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, field_serializer

from workflow_server.errors import SerializationError, WorkflowError
from workflow_server.events import Event, SerializableEvent, StartEvent, StopEvent
from workflow_server.serializers import BaseSerializer, JsonPickleSerializer, JsonSerializer, PickleSerializer


class Model(BaseModel):
    k: int = 1
    day: date | None = None


class Outer:
    class Inner(BaseModel):
        z: int = 2


class Component:
    """An object that says itself how it is written."""

    def __init__(self, a: int) -> None:
        self.a = a

    @classmethod
    def class_name(cls) -> str:
        return "Component"

    def to_dict(self) -> dict[str, Any]:
        return {"a": self.a}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Component:
        return cls(data["a"])


class ModelComponent(BaseModel):
    a: int = 1

    @classmethod
    def class_name(cls) -> str:
        return "ModelComponent"

    def to_dict(self) -> dict[str, Any]:
        return {"written": self.a}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelComponent:
        return cls(a=data["written"])


class Colour(str, Enum):
    RED = "red"


class Plain:
    pass


class Holder(BaseModel):
    event: SerializableEvent


HERE = __name__
J = JsonSerializer()


def tagged(name: str, value: Any = None) -> str:
    return json.dumps({"__is_pydantic": True, "value": value or {}, "qualified_name": name})


# ---------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1,
        1.5,
        "é",
        "",
        [],
        {},
        [1, [2, {"a": None}]],
        {"a": {"b": [1]}},
        {"__is_pydantic": True, "value": {}},
    ],
)
def test_json_values_come_back_as_they_were(value: Any) -> None:
    assert J.deserialize(J.serialize(value)) == value


def test_text_is_written_readably() -> None:
    assert J.serialize({"a": "é"}) == '{"a": "é"}'


def test_half_a_surrogate_pair_survives_as_an_escape() -> None:
    """Undecodable file names look like this."""
    text = J.serialize("a\udc80é")
    assert text.encode()
    assert J.deserialize(text) == "a\udc80é"


@pytest.mark.parametrize(
    ("value", "written"), [((1, 2), [1, 2]), ({1: "a"}, {"1": "a"}), (Colour.RED, "red"), ([(Model(),)], [[Model()]])]
)
def test_some_values_come_back_as_their_nearest_json(value: Any, written: Any) -> None:
    assert J.deserialize(J.serialize(value)) == written


def test_a_model_is_tagged_with_its_class() -> None:
    assert json.loads(J.serialize(Model(k=2, day=date(2020, 1, 1)))) == {
        "__is_pydantic": True,
        "value": {"k": 2, "day": "2020-01-01"},
        "qualified_name": f"{HERE}.Model",
    }
    assert json.loads(J.serialize(Outer.Inner()))["qualified_name"] == f"{HERE}.Inner"
    assert json.loads(J.serialize(StopEvent(result=1)))["qualified_name"] == "workflows.events.StopEvent"


@pytest.mark.parametrize(
    "value",
    [Model(k=3), {"a": [Model()], "b": {"c": Model(day=date(2020, 1, 1))}}, Event(a=1), StopEvent(result={"x": [1]})],
)
def test_models_come_back_wherever_they_stood(value: Any) -> None:
    assert J.deserialize(J.serialize(value)) == value


def test_a_component_is_written_by_itself_and_looked_for_first() -> None:
    assert json.loads(J.serialize(Component(3))) == {
        "__is_component": True,
        "value": {"a": 3},
        "qualified_name": f"{HERE}.Component",
    }
    assert J.deserialize(J.serialize(Component(3))).a == 3
    assert json.loads(J.serialize(ModelComponent(a=4)))["value"] == {"written": 4}
    assert J.deserialize(J.serialize([ModelComponent(a=4)])) == [ModelComponent(a=4)]


@pytest.mark.parametrize(
    "value",
    [
        {1},
        frozenset([1]),
        b"ab",
        datetime(2020, 1, 1, tzinfo=UTC),
        UUID(int=1),
        Decimal("1.5"),
        Plain(),
        len,
        ValueError("x"),
        Plain,
        Model,
        Component,
        StartEvent,
    ],
)
def test_what_would_come_back_changed_is_refused(value: Any) -> None:
    with pytest.raises(SerializationError, match="Failed to serialize value: ") as caught:
        J.serialize(value)
    assert str(type(value)) in str(caught.value)


def test_a_refusal_is_a_value_error_of_ours() -> None:
    assert issubclass(SerializationError, ValueError)
    assert issubclass(SerializationError, WorkflowError)


def test_a_refusal_names_place_and_type() -> None:
    with pytest.raises(SerializationError, match=r"<class 'set'> at \['a'\]\[1\]\['b'\]: "):
        J.serialize({"a": [1, {"b": {1}}]})
    with pytest.raises(SerializationError, match=r"<class 'tuple'> at a key of \['a'\]: keys must be strings"):
        J.serialize({"a": {(1, 2): 3}})
    with pytest.raises(SerializationError, match=r"at a key of the value"):
        J.serialize({(1, 2): 3})


def test_a_model_that_can_not_be_dumped_is_refused_with_its_reason() -> None:
    class Broken(BaseModel):
        k: int = 1

        @field_serializer("k")
        def write(self, value: int) -> int:
            raise RuntimeError("broken field")

    with pytest.raises(SerializationError, match=r"Broken'> at \[0\]: .*broken field"):
        J.serialize([Broken()])
    with pytest.raises(SerializationError, match="Unable to serialize unknown type"):
        J.serialize(Event(a=Plain()))


def test_a_value_that_contains_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(SerializationError, match="contains itself"):
        J.serialize(circle)


def test_values_can_be_tagged_without_being_written() -> None:
    value = J.serialize_value({"a": [Model()]})
    assert value == {"a": [{"__is_pydantic": True, "value": {"k": 1, "day": None}, "qualified_name": f"{HERE}.Model"}]}
    assert J.deserialize_value(value) == {"a": [Model()]}


# ---------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("text", ["{", "", "zzz", "[1,]"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(SerializationError, match="Failed to deserialize value"):
        J.deserialize(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (tagged("no_such_module.M"), "no_such_module.M can't be imported"),
        (tagged("os.path"), "os.path is not a class"),
        (tagged("M"), "can't be imported"),
        (tagged(f"{HERE}.Inner"), "can't be imported"),
        (tagged("builtins.dict"), "has no model_validate"),
        (tagged(f"{HERE}.Model", {"k": "x"}), f"Failed to deserialize {HERE}.Model: 1 validation error"),
        (f'{{"__is_pydantic": true, "qualified_name": "{HERE}.Model"}}', "Failed to deserialize"),
        (f'{{"__is_component": true, "value": {{}}, "qualified_name": "{HERE}.Plain"}}', "has no from_dict"),
        (f'{{"__is_component": true, "value": {{}}, "qualified_name": "{HERE}.Component"}}', "Failed to deserialize"),
        ('{"__is_pydantic": true, "value": {}, "qualified_name": 3}', "Class 3 can't be used"),
    ],
)
def test_what_can_not_be_constructed_is_refused(text: str, message: str) -> None:
    with pytest.raises(SerializationError, match=message):
        J.deserialize(text)


@pytest.mark.parametrize(
    "data",
    [
        {"__is_pydantic": False, "value": 1, "qualified_name": "x.Y"},
        {"__is_component": True, "value": 1},
        {"qualified_name": "x.Y"},
    ],
)
def test_dictionaries_that_only_look_tagged_stay_dictionaries(data: dict[str, Any]) -> None:
    assert J.deserialize(json.dumps(data)) == data


# -------------------------------------------------------------------------------------------- allow-list


def test_a_list_limits_what_is_constructed() -> None:
    limited = JsonSerializer(allowed_types=[Model])
    assert limited.deserialize(J.serialize(Model())) == Model()
    with pytest.raises(
        SerializationError, match=rf"Class {HERE}\.Holder can't be used: .*JsonSerializer\(allowed_types="
    ):
        limited.deserialize(J.serialize(Holder(event=Event())))


def test_writing_is_not_limited() -> None:
    assert JsonSerializer(allowed_types=[]).serialize(Model()) == J.serialize(Model())


@pytest.mark.parametrize("name", [f"{HERE}.Outer.Inner", f"{HERE}.Inner", "__main__.Inner"])
def test_listed_classes_match_by_their_long_and_their_short_name(name: str) -> None:
    assert JsonSerializer(allowed_types=[Outer.Inner]).deserialize(tagged(name)) == Outer.Inner()


def test_classes_may_be_listed_by_name() -> None:
    limited = JsonSerializer(allowed_types=[f"{HERE}.Model"])
    assert limited.deserialize(J.serialize(Model())) == Model()
    with pytest.raises(SerializationError):
        limited.deserialize(J.serialize(Holder(event=Event())))


def test_framework_events_are_always_known() -> None:
    assert JsonSerializer(allowed_types=[]).deserialize(J.serialize(StartEvent(a=1))) == StartEvent(a=1)


def test_the_limit_holds_inside_models_too() -> None:
    text = J.serialize(Holder(event=Progress()))
    assert JsonSerializer(allowed_types=[Holder, Progress]).deserialize(text) == Holder(event=Progress())
    with pytest.raises(SerializationError, match="not among the declared types"):
        JsonSerializer(allowed_types=[Holder]).deserialize(text)


class Progress(Event):
    pass


def test_further_types_may_be_allowed() -> None:
    limited = JsonSerializer(allowed_types=[Model])
    wider = limited.with_types(Outer.Inner)
    assert wider.deserialize(J.serialize(Outer.Inner())) == Outer.Inner()
    assert wider.deserialize(J.serialize(Model())) == Model()
    with pytest.raises(SerializationError):
        limited.deserialize(J.serialize(Outer.Inner()))
    assert J.with_types(Model) is J


def test_classes_are_resolved_by_the_same_rules() -> None:
    assert J.resolve_class(f"{HERE}.Model") is Model
    assert J.resolve_class("workflows.events.StopEvent") is StopEvent
    with pytest.raises(SerializationError, match="not among the declared types"):
        JsonSerializer(allowed_types=[Model]).resolve_class(f"{HERE}.Component")


def test_a_serializer_of_ones_own_needs_two_methods() -> None:
    class Mine(BaseSerializer):
        def serialize(self, value: Any) -> str:
            return repr(value)

        def deserialize(self, value: str) -> Any:
            return value

    assert Mine().deserialize(Mine().serialize(3)) == "3"
    with pytest.raises(TypeError):
        BaseSerializer()  # type: ignore[abstract]


# ------------------------------------------------------------------------------------------------ pickle


class Pickled:
    def __init__(self, a: int) -> None:
        self.a = a


def test_pickle_is_used_only_where_json_fails() -> None:
    serializer = PickleSerializer()
    assert serializer.serialize(Model()) == J.serialize(Model())
    assert serializer.deserialize(serializer.serialize(Model())) == Model()
    text = serializer.serialize({"a": Pickled(3)})
    assert text.startswith("g")
    assert serializer.deserialize(text)["a"].a == 3
    assert serializer.deserialize(serializer.serialize({1, 2})) == {1, 2}


@pytest.mark.parametrize("text", ["true", "null", "12345678", '"gASV"'])
def test_json_that_could_be_base64_is_json(text: str) -> None:
    assert PickleSerializer().deserialize(text) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "message"), [("zzz", "deserialize value"), ("g!", "deserialize value"), ("gASV", "deserialize pickle")]
)
def test_broken_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(SerializationError, match=f"Failed to {message}"):
        PickleSerializer().deserialize(text)


def test_what_even_pickle_refuses_is_refused() -> None:
    with pytest.raises(SerializationError, match="Failed to serialize value: <class 'function'>"):
        PickleSerializer().serialize(lambda: 1)


def test_pickle_has_another_name() -> None:
    assert JsonPickleSerializer is PickleSerializer

"""Events: fields and extras, dumps and loads, stop events, exceptions, and the built-in vocabulary."""

from __future__ import annotations

import copy
import pickle
import warnings
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    PydanticUserError,
    ValidationError,
    computed_field,
    field_validator,
)

from workflow_server import events
from workflow_server.errors import WorkflowRuntimeError
from workflow_server.events import (
    CollectionReleaseEvent,
    Event,
    HumanResponseEvent,
    IdleReleasedEvent,
    InputRequiredEvent,
    InternalDispatchEvent,
    SerializableEvent,
    SerializableEventType,
    SerializableOptionalEvent,
    SerializableOptionalException,
    StartEvent,
    StepFailedEvent,
    StepState,
    StepStateChanged,
    StopEvent,
    UnhandledEvent,
    UnreconstructedException,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowIdleEvent,
    WorkflowTimedOutEvent,
    ancestors,
    dump_exception,
    json_schema,
    load_exception,
)
from workflow_server.naming import TypeTable, only_these


class Model(BaseModel):
    k: int = 1


class Progress(Event):
    x: int = 3
    _hidden: int = PrivateAttr(default=0)


# ------------------------------------------------------------------------------------------------ extras


def test_keyword_arguments_are_fields_private_attributes_or_extras() -> None:
    event: Any = Progress(x=1, _hidden=5, y=2, _other=7)  # type: ignore[call-arg]
    assert (event.x, event._hidden, event.y, event._other) == (1, 5, 2, 7)
    assert event.to_dict() == {"y": 2, "_other": 7}
    assert event.model_fields_set == {"x"}


def test_extras_are_read_and_written_as_attributes_and_by_subscript() -> None:
    event = Event(a=1)
    event["b"] = 2
    event.c = 3
    event.a = 4
    assert (event.a, event["a"], event.b, event["c"]) == (4, 4, 2, 3)
    assert event.to_dict() == {"a": 4, "b": 2, "c": 3}


def test_the_first_extra_may_come_later() -> None:
    event = Event()
    event["a"] = 1
    assert event.model_dump() == {"_data": {"a": 1}}


def test_mapping_methods_see_extras_only() -> None:
    event: Any = Progress(x=1, y=2, z=3)  # type: ignore[call-arg]
    assert list(event.keys()) == list(event) == ["y", "z"]
    assert list(event.values()) == [2, 3]
    assert dict(event.items()) == dict(event) == {**event} == {"y": 2, "z": 3}
    assert len(event) == 2
    assert "y" in event
    assert "x" not in event
    assert (event.get("y"), event.get("x"), event.get("x", 9)) == (2, None, 9)
    with pytest.raises(KeyError):
        event["x"]


def test_an_event_without_extras_is_an_empty_mapping_and_yet_true() -> None:
    event = Progress()
    assert (len(event), list(event), event.to_dict(), "x" in event) == (0, [], {}, False)
    assert bool(event)
    assert bool(Event())


def test_a_missing_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'Progress' object has no attribute 'absent'"):
        _ = Progress().absent
    with pytest.raises(AttributeError):
        _ = Event(a=1).absent
    assert not hasattr(Event.__new__(Event), "absent"), "asking an event that is being made must not recurse"


def test_extras_may_have_the_names_of_methods_and_parameters() -> None:
    event = Event(get=1, keys=2, self=3, model_dump=4, params=5)
    assert event.to_dict() == {"get": 1, "keys": 2, "self": 3, "model_dump": 4, "params": 5}
    event.items = 6  # type: ignore[assignment, method-assign]
    assert event["items"] == 6
    assert dict(event.items())["items"] == 6


def test_a_subscript_never_touches_a_field() -> None:
    event = Progress(x=1)
    event["x"] = 5
    assert (event.x, event["x"]) == (1, 5)


def test_properties_of_a_subclass_are_set_as_properties() -> None:
    class Scaled(Event):
        x: int = 1

        @property
        def double(self) -> int:
            return self.x * 2

        @double.setter
        def double(self, value: int) -> None:
            self.x = value // 2

        @property
        def fixed(self) -> int:
            return 3

    event = Scaled()
    event.double = 8
    assert (event.x, event.to_dict()) == (4, {})
    with pytest.raises(AttributeError):
        event.fixed = 4  # type: ignore[misc]


def test_a_frozen_event_keeps_its_fields() -> None:
    class Frozen(Event, frozen=True):
        x: int = 1

    with pytest.raises(ValidationError, match="frozen"):
        Frozen().x = 2  # type: ignore[misc]


def test_fields_are_validated_and_may_have_aliases() -> None:
    class Careful(Event):
        number: int = Field(alias="No")

        @field_validator("number")
        @classmethod
        def positive(cls, value: int) -> int:
            if value < 0:
                raise ValueError("must be positive")
            return value

        @computed_field  # type: ignore[prop-decorator]
        @property
        def twice(self) -> int:
            return self.number * 2

    assert Careful(No="4").model_dump() == {"number": 4, "twice": 8}  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="must be positive"):
        Careful(No=-1)
    with pytest.raises(ValidationError, match="Field required"):
        Careful(x=1)  # type: ignore[call-arg]


def test_a_subclass_may_have_a_constructor_of_its_own() -> None:
    class Mine(Event):
        a: int

        def __init__(self, a: int, **more: Any) -> None:
            super().__init__(a=a, **more)

    assert Mine(1, b=2).to_dict() == {"b": 2}
    assert Mine.model_validate({"a": 1, "b": 2}).to_dict() == {"b": 2}


def test_extras_set_after_construction_by_a_hook_join_those_given() -> None:
    class Stamped(Event):
        def model_post_init(self, context: Any) -> None:
            self.stamp = 1

    assert Stamped(a=2).to_dict() == {"stamp": 1, "a": 2}  # type: ignore[call-arg]


def test_a_subclass_that_forbids_extras_is_obeyed() -> None:
    class Strict(Event):
        model_config = ConfigDict(extra="forbid")
        a: int = 1

    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Strict(b=1)  # type: ignore[call-arg]


def test_a_subclass_that_ignores_extras_keeps_only_what_is_set_later() -> None:
    class Relaxed(Event):
        model_config = ConfigDict(extra="ignore")
        a: int = 1

    event: Any = Relaxed(b=1)  # type: ignore[call-arg]
    assert event.to_dict() == {}
    event.c = 2
    assert event.c == 2


def test_repr_tells_extras_then_fields() -> None:
    assert repr(Progress(x=1, y="z")) == "Progress(y='z', x=1)"  # type: ignore[call-arg]
    assert repr(Event()) == "Event()"
    assert str(Event(a=1)) == "a=1"


# --------------------------------------------------------------------------------------- dumps and loads


def test_a_dump_holds_fields_and_the_extras_under_one_key_if_there_are_any() -> None:
    assert Progress(x=1).model_dump() == {"x": 1}
    assert Progress(x=1, y=2).model_dump() == {"x": 1, "_data": {"y": 2}}  # type: ignore[call-arg]
    assert Event(a=[1]).model_dump_json() == '{"_data":{"a":[1]}}'
    assert Event().model_dump() == {}


@pytest.mark.parametrize("options", [{"exclude_unset": True}, {"exclude_defaults": True}, {"exclude_none": True}])
def test_leaving_out_unset_fields_leaves_extras_in(options: dict[str, bool]) -> None:
    assert Progress(y=2).model_dump(**options)["_data"] == {"y": 2}  # type: ignore[call-arg, arg-type]


def test_loading_a_dump_puts_extras_back() -> None:
    event = Progress(x=2, y={"k": [1]})  # type: ignore[call-arg]
    assert Progress.model_validate(event.model_dump()) == event
    assert Progress.model_validate_json(event.model_dump_json()) == event


def test_a_dump_may_be_loaded_with_further_extras() -> None:
    event = Event.model_validate({"_data": {"a": 1, "b": 1}, "b": 2})
    assert event.to_dict() == {"a": 1, "b": 2}
    assert Event(_data=None).to_dict() == {}


def test_loaded_extras_are_the_events_own() -> None:
    given = {"a": 1}
    event = Event(_data=given)
    event.b = 2
    assert given == {"a": 1}


def test_extras_that_are_no_dictionary_are_refused() -> None:
    with pytest.raises(ValueError, match="as a dictionary, got 3"):
        Event(_data=3)
    with pytest.raises(ValidationError, match="as a dictionary, got 3"):
        Progress.model_validate({"_data": 3})


@pytest.mark.parametrize("data", [[1], "x", 3, None])
def test_what_is_no_object_is_a_validation_error(data: Any) -> None:
    with pytest.raises(ValidationError):
        Progress.model_validate(data)


def test_keys_from_outside_can_not_break_the_constructor() -> None:
    hostile = {"self": 1, "params": 2, "__class__": 3, "model_config": 4, "__pydantic_extra__": 5, "": 6, "result": 7}
    assert Progress.model_validate(hostile).to_dict() == hostile
    assert StopEvent.model_validate(hostile).result == 7


def test_events_inside_events_keep_their_extras() -> None:
    class Holder(Event):
        one: Progress
        many: list[Progress] = []
        any_event: Event | None = None

    holder = Holder(one=Progress(y=1), many=[Progress(z=2)], any_event=Event(q=3))  # type: ignore[call-arg]
    dumped = '{"one":{"x":3,"_data":{"y":1}},"many":[{"x":3,"_data":{"z":2}}],"any_event":{"_data":{"q":3}}}'
    assert holder.model_dump_json() == dumped
    again = Holder.model_validate_json(dumped)
    assert (again.one["y"], again.many[0]["z"], again.any_event and again.any_event["q"]) == (1, 2, 3)


def test_models_among_extras_are_dumped_as_what_they_are() -> None:
    assert Event(m=Model(), e=Progress(y=1)).model_dump(mode="json") == {  # type: ignore[call-arg]
        "_data": {"m": {"k": 1}, "e": {"x": 3, "_data": {"y": 1}}}
    }


def test_equality_is_of_class_fields_private_attributes_and_extras() -> None:
    assert Progress(x=1, y=2) == Progress(x=1, y=2)  # type: ignore[call-arg]
    assert Progress(y=2) != Progress(y=3)  # type: ignore[call-arg]
    assert Progress() != Progress(y=3)  # type: ignore[call-arg]
    assert Progress(_hidden=1) != Progress(_hidden=2)  # type: ignore[call-arg]
    assert Event() != StartEvent()


@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        lambda e: e.model_copy(),
        lambda e: e.model_copy(deep=True),
        lambda e: pickle.loads(pickle.dumps(e)),
    ],
    ids=["copy", "deepcopy", "model_copy", "model_copy(deep)", "pickle"],
)
def test_a_copy_has_extras_of_its_own(copied: Any) -> None:
    event: Any = Progress(x=1, y=2, _hidden=4)  # type: ignore[call-arg]
    other = copied(event)
    assert other == event
    assert other._hidden == 4
    other.y, other.z = 5, 6
    assert event.to_dict() == {"y": 2}


def test_a_copy_may_change_fields_and_extras() -> None:
    event: Any = Progress(x=1, y=2)  # type: ignore[call-arg]
    other = event.model_copy(update={"x": 5, "y": 6, "z": 7})
    assert (other.x, other.to_dict()) == (5, {"y": 6, "z": 7})
    assert (event.x, event.to_dict()) == (1, {"y": 2})


def test_an_unvalidated_event_has_extras_too() -> None:
    event = Progress.model_construct(x="no number", y=2)
    assert event.model_dump(warnings=False) == {"x": "no number", "_data": {"y": 2}}
    assert Progress.model_construct().to_dict() == {}


def test_a_schema_shows_declared_fields_only() -> None:
    assert (
        Progress.model_json_schema()
        == json_schema(Progress)
        == {
            "properties": {"x": {"default": 3, "title": "X", "type": "integer"}},
            "title": "Progress",
            "type": "object",
        }
    )


def test_a_subclass_may_say_itself_that_anything_else_is_refused() -> None:
    class Strict(Event):
        model_config = ConfigDict(extra="forbid")

    assert json_schema(Strict)["additionalProperties"] is False


def test_a_schema_survives_a_field_of_any_class() -> None:
    class Odd(Event):
        handle: Plain
        number: int = 1

    assert json_schema(Odd)["properties"]["handle"] == {"title": "Handle"}
    with pytest.raises(PydanticUserError):
        Odd.model_json_schema()


class Plain:
    pass


# -------------------------------------------------------------------------------------------- stop events


def test_a_stop_event_holds_a_result() -> None:
    assert StopEvent(result=4).result == StopEvent(4).result == 4
    assert StopEvent().result is None
    assert StopEvent(result=None).model_dump() == {}


def test_a_stop_events_dump_is_its_result_alone() -> None:
    event = StopEvent(result=1, foo=2)
    assert event.model_dump() == {"result": 1}
    assert event.model_dump_json() == '{"result":1}'
    assert (event.foo, event.to_dict()) == (2, {"foo": 2})
    assert StopEvent(foo=2).model_dump() == {}
    assert StopEvent(result=Model()).model_dump(mode="json") == {"result": {"k": 1}}


def test_a_stop_event_is_loaded_from_its_dump() -> None:
    assert StopEvent.model_validate({"result": [1]}) == StopEvent(result=[1])
    assert StopEvent.model_validate_json('{"result": 4, "_data": {"z": 1}}') == StopEvent(result=4, z=1)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (StopEvent(foo="foo", result=42), "StopEvent(foo='foo', result=42)"),
        (StopEvent(), "StopEvent()"),
        (WorkflowCancelledEvent(), "WorkflowCancelledEvent()"),
        (
            WorkflowTimedOutEvent(timeout=1, active_steps=["a"]),
            "WorkflowTimedOutEvent(timeout=1.0, active_steps=['a'])",
        ),
    ],
)
def test_repr_of_a_stop_event_tells_extras_then_what_it_dumps(event: StopEvent, text: str) -> None:
    assert repr(event) == text


def test_a_stop_event_reads_as_its_result() -> None:
    assert str(StopEvent(result={"a": 1})) == "{'a': 1}"
    assert str(StopEvent()) == "None"


def test_a_result_can_be_set() -> None:
    event = StopEvent(result=1)
    event.result = 2
    assert (event.result, event.model_dump(), event.to_dict()) == (2, {"result": 2}, {})


def test_equality_of_stop_events_is_of_results_and_extras() -> None:
    assert StopEvent(1) == StopEvent(1)
    assert StopEvent(1) != StopEvent(2)
    assert StopEvent(1, a=1) != StopEvent(1, a=2)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda event: pickle.loads(pickle.dumps(event))])
def test_copies_of_stop_events_keep_result_and_extras(copied: Any) -> None:
    assert repr(copied(StopEvent(result=3, a=1))) == "StopEvent(a=1, result=3)"


def test_a_subclass_may_compute_its_result() -> None:
    class Computed(StopEvent):
        foo: int

        def _get_result(self) -> Any:
            return self.foo * 2

    event = Computed(foo=2)
    assert (event.result, event.model_dump()) == (4, {"foo": 2})


def test_a_subclass_may_make_the_result_a_property() -> None:
    class Fixed(StopEvent):
        @property
        def result(self) -> int:  # type: ignore[override]
            return 42

    assert Fixed().result == 42


def test_a_subclass_may_declare_the_result_as_a_field_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        class Typed(StopEvent):
            result: int

        class Optional(StopEvent):
            result: int | None
            words: str = ""

    event = Typed(result="3")  # type: ignore[arg-type]
    assert (event.result, str(event), repr(event)) == (3, "3", "Typed(result=3)")
    assert event.model_dump_json() == '{"result":3}'
    assert Typed.model_validate_json('{"result":3}') == event
    assert Optional(result=None).model_dump() == {"result": None, "words": ""}
    event.result = 5
    assert event.model_dump() == {"result": 5}


def test_a_declared_result_is_checked_like_any_field() -> None:
    class Typed(StopEvent):
        result: int

    with pytest.raises(ValidationError, match="Field required"):
        Typed()  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="valid integer"):
        Typed(result="x")  # type: ignore[arg-type]


def test_a_result_is_no_attribute_of_the_class() -> None:
    assert not hasattr(StopEvent, "result")


# --------------------------------------------------------------------------------------------- vocabulary


@pytest.mark.parametrize("cls", [WorkflowTimedOutEvent, WorkflowCancelledEvent, WorkflowFailedEvent, IdleReleasedEvent])
def test_terminal_events_are_stop_events(cls: type) -> None:
    assert issubclass(cls, StopEvent)


@pytest.mark.parametrize("cls", [StepStateChanged, WorkflowIdleEvent, UnhandledEvent])
def test_events_of_the_engine_are_internal(cls: type) -> None:
    assert issubclass(cls, InternalDispatchEvent)


def test_failures_and_questions_are_plain_events() -> None:
    for cls in (StepFailedEvent, InputRequiredEvent, HumanResponseEvent, StartEvent, CollectionReleaseEvent):
        assert issubclass(cls, Event)
        assert not issubclass(cls, (StopEvent, InternalDispatchEvent))


def test_step_states_are_told_by_value() -> None:
    assert [state.value for state in StepState] == ["preparing", "running", "not_running"]
    changed = StepStateChanged(name="a", step_state=StepState.RUNNING, worker_id="0", input_event_name="StartEvent")
    assert changed.model_dump(mode="json") == {
        "name": "a",
        "step_state": "running",
        "worker_id": "0",
        "input_event_name": "StartEvent",
        "output_event_name": None,
    }
    assert str(StepState.RUNNING) == "StepState.RUNNING"


def test_an_unhandled_event_is_described() -> None:
    assert UnhandledEvent(event_type="A", qualified_name="m.A", idle=True).model_dump() == {
        "event_type": "A",
        "qualified_name": "m.A",
        "step_name": None,
        "idle": True,
    }


def test_every_documented_name_is_there() -> None:
    documented = """Event StartEvent StopEvent InputRequiredEvent HumanResponseEvent StepFailedEvent WorkflowFailedEvent
        WorkflowTimedOutEvent WorkflowCancelledEvent IdleReleasedEvent InternalDispatchEvent WorkflowIdleEvent
        UnhandledEvent StepState StepStateChanged CollectionReleaseEvent DictLikeModel UnreconstructedException
        EventType SerializableEvent SerializableOptionalEvent SerializableException SerializableOptionalException
        SerializableEventType"""
    assert all(hasattr(events, name) for name in documented.split())


def test_ancestors_are_the_classes_between_an_event_and_event() -> None:
    class Child(Progress):
        pass

    assert ancestors(Child) == (Progress,)
    assert ancestors(WorkflowCancelledEvent) == (StopEvent,)
    assert ancestors(Event) == ancestors(StartEvent) == ()


# --------------------------------------------------------------------------------------------- exceptions


class Simple(Exception):
    pass


class Difficult(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def failed(error: Any) -> WorkflowFailedEvent:
    return WorkflowFailedEvent(step_name="s", exception=error)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ValueError("words"), "builtins.ValueError"),
        (Simple("words"), f"{__name__}.Simple"),
        (WorkflowRuntimeError("words"), "workflows.errors.WorkflowRuntimeError"),
        (TimeoutError("words"), "builtins.TimeoutError"),
    ],
)
def test_an_exception_travels_as_its_type_and_message(error: Exception, name: str) -> None:
    dumped = failed(error).model_dump()["exception"]
    assert dumped == {"exception_type": name, "exception_message": "words"}
    loaded = WorkflowFailedEvent.model_validate_json(failed(error).model_dump_json()).exception
    assert type(loaded) is type(error)
    assert str(loaded) == "words"


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("no_such_module.Gone", None),
        ("os.path", None),
        ("builtins.dict", None),
        ("builtins.KeyboardInterrupt", None),
        ("builtins.SystemExit", None),
        ("Gone", None),
        ("", None),
        (f"{__name__}.Difficult", None),
    ],
)
def test_an_exception_that_can_not_be_made_again_keeps_its_message(name: str, original: None) -> None:
    loaded = load_exception({"exception_type": name, "exception_message": "words"})
    assert type(loaded) is UnreconstructedException
    assert (str(loaded), loaded.original_type) == ("words", name)


def test_repeated_round_trips_do_not_nest() -> None:
    error = load_exception({"exception_type": "gone.Gone", "exception_message": "words"})
    for _ in range(3):
        dumped = dump_exception(error)
        assert dumped == {
            "exception_type": "workflows.events.UnreconstructedException",
            "exception_message": "words",
        }
        error = load_exception(dumped)
    assert str(error) == "words"
    assert error.original_type is None


def test_an_allow_list_limits_which_exceptions_are_made() -> None:
    dumped = dump_exception(Simple("words"))
    with only_these(TypeTable(())):
        assert type(load_exception(dumped)) is UnreconstructedException
        assert type(load_exception(dump_exception(KeyError("k")))) is KeyError
    with only_these(TypeTable((Simple,))):
        assert type(load_exception(dumped)) is Simple


@pytest.mark.parametrize("value", [None, "x", 3, {}, {"exception_message": "m"}, KeyboardInterrupt()])
def test_what_is_no_exception_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError, match="expected an exception"):
        failed(value)


def test_an_exception_whose_text_can_not_be_made_or_stored_still_has_one() -> None:
    class Speechless(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert events.exception_text(Speechless()) == "Speechless (its text can't be made)"
    assert events.exception_text(ValueError("half \udc80")) == "half ?"


def test_an_exception_without_its_message_is_read_all_the_same() -> None:
    assert str(load_exception({"exception_type": "builtins.ValueError"})) == ""


# ------------------------------------------------------------------------------- events inside of events


class Carrier(Event):
    event: SerializableEvent
    maybe: SerializableOptionalEvent = None
    kind: SerializableEventType = Event
    error: SerializableOptionalException = None


def test_events_travel_inside_events_with_their_class() -> None:
    carrier = Carrier(event=Progress(x=2, y=3), kind=Progress, error=ValueError("z"))  # type: ignore[call-arg]
    assert carrier.model_dump() == {
        "event": {
            "__is_pydantic": True,
            "value": {"x": 2, "_data": {"y": 3}},
            "qualified_name": f"{__name__}.Progress",
        },
        "maybe": None,
        "kind": f"{__name__}.Progress",
        "error": {"exception_type": "builtins.ValueError", "exception_message": "z"},
    }
    again = Carrier.model_validate_json(carrier.model_dump_json())
    assert again.event == carrier.event
    assert again.kind is Progress
    assert type(again.error) is ValueError


def test_a_missing_error_stays_missing() -> None:
    assert Carrier(event=Event(), error=None, maybe=None).model_dump()["error"] is None
    assert Carrier.model_validate({"event": Event(), "error": None}).error is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"event": {"x": 1}}, "expected an event, or its dump"),
        ({"event": 3}, "expected an event, or its dump"),
        ({"event": None}, "valid dictionary or instance of Event"),
        ({"event": {"qualified_name": "builtins.dict", "value": {}}}, "builtins.dict is not an event class"),
        ({"event": {"qualified_name": "gone.Gone", "value": {}}}, "gone.Gone can't be imported"),
        ({"event": Event(), "kind": int}, "is not an event class"),
        ({"event": Event(), "kind": "builtins.int"}, "is not an event class"),
        ({"event": Event(), "kind": 3}, "can't be imported"),
    ],
)
def test_what_is_no_event_is_a_validation_error(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Carrier.model_validate(fields)


def test_events_inside_events_obey_an_allow_list() -> None:
    dumped = Carrier(event=Progress()).model_dump()
    with only_these(TypeTable(())), pytest.raises(ValidationError, match="not among the declared types"):
        Carrier.model_validate(dumped)


def test_a_failure_holds_all_that_a_handler_needs() -> None:
    failure = StepFailedEvent(
        step_name="s",
        input_event=Progress(x=2, y=3),  # type: ignore[call-arg]
        exception=ValueError("q"),
        attempts=2,
        elapsed_seconds=0.5,
        failed_at=datetime(2024, 1, 1, tzinfo=UTC),
    )
    again = StepFailedEvent.model_validate_json(failure.model_dump_json())
    assert (again.input_event, again.failed_at) == (failure.input_event, failure.failed_at)
    assert str(again.exception) == "q"


def test_a_release_holds_its_members_with_their_classes() -> None:
    release = CollectionReleaseEvent(events=[Progress(x=1)], stream_id="a", binding_id="b")
    assert CollectionReleaseEvent.model_validate_json(release.model_dump_json()) == release


# ------------------------------------------------------------------------------------------------- shape


def test_dumping_an_event_runs_no_python_of_ours() -> None:
    """Events are the bulk of what a run encodes: neither they nor their extras may need a serializer in Python."""
    assert "function-wrap" not in repr(Progress.__pydantic_core_schema__)
    assert "function-wrap" not in repr(StepStateChanged.__pydantic_core_schema__)
    assert "function-wrap" in repr(StopEvent.__pydantic_core_schema__), "this test looks in the wrong place"

"""Events: what steps exchange and streams show.

An event is a pydantic model that also takes free-form *extras*: keyword arguments that no field
declares. Extras read as attributes or by subscript; the mapping methods (`get`, `keys`, `items`,
`in`, `len`) see extras only, never declared fields. A dump holds the declared fields and, when
there are extras, the key `_data` with all of them; loading a dump puts them back.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Self, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema

from workflow_server.naming import qualified_name, resolve

_EXTRAS = "_data"


class DictLikeModel(BaseModel):
    """A model whose undeclared keyword arguments are kept and read like a dictionary's keys."""

    # Extras lie in pydantic's own place for undeclared fields, but all under one key. So an event is dumped and
    # loaded without a line of Python, in the documented shape `{…fields, "_data": {…extras}}`.
    model_config = ConfigDict(arbitrary_types_allowed=True, extra="allow")

    def __init__(self, /, **params: Any) -> None:
        # What BaseModel's constructor does, without a second repacking of the arguments.
        self.__pydantic_validator__.validate_python(params, self_instance=self)
        if self.__pydantic_extra__:
            self._gather_extras()

    def _gather_extras(self) -> None:
        """Put what pydantic took as undeclared fields where it belongs: private attributes and extras."""
        given: dict[str, Any] = self.__pydantic_extra__ or {}
        self.__pydantic_fields_set__.difference_update(given)
        extras: Any = given.pop(_EXTRAS, None) or {}
        if not isinstance(extras, dict):
            raise ValueError(f"{_EXTRAS} holds the extras of an event as a dictionary, got {extras!r}")
        privates = type(self).__private_attributes__
        for name in [name for name in given if name in privates]:
            super().__setattr__(name, given.pop(name))
        extras = {**cast("dict[str, Any]", extras), **given}
        object.__setattr__(self, "__pydantic_extra__", {_EXTRAS: extras} if extras else {})

    @property
    def _data(self) -> dict[str, Any]:
        """The extras, to be read; an event without any has an empty dictionary that belongs to nobody."""
        extras: dict[str, Any] = (self.__pydantic_extra__ or {}).get(_EXTRAS, {})
        return extras

    @_data.setter
    def _data(self, extras: dict[str, Any]) -> None:
        object.__setattr__(self, "__pydantic_extra__", {_EXTRAS: extras} if extras else {})

    def __getattr__(self, name: str) -> Any:
        try:
            return object.__getattribute__(self, "__pydantic_extra__")[_EXTRAS][name]
        except (AttributeError, KeyError, TypeError):  # no such extra, no extras, or not constructed yet
            return cast(Any, super()).__getattr__(name)  # pydantic hides its own hook from type checkers

    def __setattr__(self, name: str, value: Any) -> None:
        cls = type(self)
        if name in cls.__pydantic_fields__ or name in cls.__private_attributes__:
            super().__setattr__(name, value)
        elif (found := _find_property(cls, name)) is not None:
            found.__set__(self, value)
        else:
            self[name] = value

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if self.__pydantic_extra__ is None:  # a subclass configured `extra` otherwise
            self._data = {key: value}
        else:
            self.__pydantic_extra__.setdefault(_EXTRAS, {})[key] = value

    def get(self, key: str, default: Any = None) -> Any:
        """Return extra `key`, or `default` if there is none."""
        return self._data.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._data

    def keys(self) -> KeysView[str]:
        """Return the names of the extras."""
        return self._data.keys()

    def values(self) -> ValuesView[Any]:
        """Return the values of the extras."""
        return self._data.values()

    def items(self) -> ItemsView[str, Any]:
        """Return the extras as pairs."""
        return self._data.items()

    def __len__(self) -> int:
        return len(self._data)

    # A mapping's iteration, on purpose.
    def __iter__(self) -> Iterator[str]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return iter(self._data)

    def to_dict(self) -> dict[str, Any]:
        """Return the extras as a new dictionary."""
        return dict(self._data)

    def __bool__(self) -> bool:
        return True

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        yield from self._data.items()
        for name, value in super().__repr_args__():
            if name != _EXTRAS:
                yield name, value

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied._data = dict(self._data)
        return copied

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, with some fields or extras changed; the copy's extras are its own."""
        declared = type(self).__pydantic_fields__
        changes = update or {}
        copied = super().model_copy(update={key: changes[key] for key in changes if key in declared}, deep=deep)
        copied._data = {**copied._data, **{key: changes[key] for key in changes if key not in declared}}
        return copied

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """Return an event whose fields are not validated."""
        made = super().model_construct(_fields_set, **values)
        made._gather_extras()
        return made

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler, /) -> JsonSchemaValue:
        schema = handler(core_schema)
        if handler.resolve_ref_schema(schema).get("additionalProperties") is True:
            del handler.resolve_ref_schema(schema)["additionalProperties"]
        return schema


def _find_property(cls: type, name: str) -> property | None:
    for base in cls.__mro__:
        if name in base.__dict__:
            found = base.__dict__[name]
            return found if isinstance(found, property) else None
    return None


class Event(DictLikeModel):
    """The base of all events. Subclass it with fields, or give it free-form keyword arguments."""

    if TYPE_CHECKING:  # pydantic's own signature, made for type checkers, knows no extras

        def __init__(self, /, **params: Any) -> None: ...


class StartEvent(Event):
    """The event that begins a run. Subclass it to declare a run's input."""

    if TYPE_CHECKING:  # pydantic's own signature, made for type checkers, knows no extras

        def __init__(self, /, **params: Any) -> None: ...


class _Result(property):
    """The property `StopEvent.result`, which is invisible on the class and gives way to a field of that name.

    pydantic takes whatever a base class shows under a field's name for the field's default, and warns.
    """

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            raise AttributeError("result")
        fields: dict[str, Any] = instance.__dict__
        return fields["result"] if "result" in fields else super().__get__(instance, owner)


_UNSET: Any = object()


class StopEvent(Event):
    """The event that ends a run.

    Args:
        result: What the run returns. The result of a run that ends with a *subclass* is the event itself.
    """

    _result: Any = PrivateAttr(default=None)

    def __init__(self, /, result: Any = _UNSET, **params: Any) -> None:
        if "result" in type(self).__pydantic_fields__:
            # A subclass declares `result` itself: the field is what the name means there.
            super().__init__(**(params if result is _UNSET else {"result": result, **params}))
            return
        super().__init__(**params)
        if result is not _UNSET:
            cast("dict[str, Any]", self.__pydantic_private__)["_result"] = result

    def _get_result(self) -> Any:
        private = self.__pydantic_private__  # read directly: pydantic finds private attributes by way of an exception
        return None if private is None else private["_result"]

    def _set_result(self, value: Any) -> None:
        self._result = value

    if TYPE_CHECKING:
        result: Any = PrivateAttr()  # an attribute that subclasses may declare as a field, but no argument of theirs
    else:
        result = _Result(lambda self: self._get_result(), _set_result, doc="What the run returns.")

    @model_serializer(mode="wrap")
    def _dump(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped = cast("dict[str, Any]", handler(self))
        dumped.pop(_EXTRAS, None)
        if self._result is not None:
            dumped["result"] = self._result
        return dumped

    def __repr__(self) -> str:
        shown = {**self._data, **self.model_dump()}
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in shown.items())})"

    def __str__(self) -> str:
        return str(self.result)


def _begin_without_result(event: StopEvent, _context: Any, /) -> None:
    if type(event) is StopEvent:  # pydantic has seen to a subclass already
        object.__setattr__(event, "__pydantic_private__", {"_result": None})


# Instead of what pydantic puts here, too, once the class is made: a walk through its private attributes and their
# defaults, which made a stop event cost five times what other events do.
StopEvent.model_post_init = _begin_without_result  # type: ignore[assignment]


class InputRequiredEvent(Event):
    """Asks somebody outside the run for input; returned by a step, it also goes to the stream."""

    if TYPE_CHECKING:  # pydantic's own signature, made for type checkers, knows no extras

        def __init__(self, /, **params: Any) -> None: ...


class HumanResponseEvent(Event):
    """The answer from outside to an `InputRequiredEvent`."""

    if TYPE_CHECKING:  # pydantic's own signature, made for type checkers, knows no extras

        def __init__(self, /, **params: Any) -> None: ...


class InternalDispatchEvent(Event):
    """The base of events that tell of the engine's own doings; streams hide them unless asked."""


class WorkflowIdleEvent(InternalDispatchEvent):
    """The run is alive with nothing queued, running or undelivered: it waits for the outside."""


class UnhandledEvent(InternalDispatchEvent):
    """An event arrived that no step takes.

    Attributes:
        event_type: Its class name.
        qualified_name: Its `module.Class`.
        step_name: The step it was addressed to, if any.
        idle: Whether the run is idle now.
    """

    event_type: str
    qualified_name: str
    step_name: str | None = None
    idle: bool = False


class StepState(str, Enum):
    """Where an execution of a step stands."""

    PREPARING = "preparing"
    RUNNING = "running"
    NOT_RUNNING = "not_running"


class StepStateChanged(InternalDispatchEvent):
    """An execution of a step was queued, began or ended.

    Attributes:
        name: The step.
        step_state: Queued (`preparing`), begun (`running`) or over (`not_running`).
        worker_id: The number of its worker slot as text; `<enqueued>` while it has none.
        input_event_name: Class name of the event it works on.
        output_event_name: Class name of what it returned, once it has.
    """

    name: str
    step_state: StepState
    worker_id: str
    input_event_name: str
    output_event_name: str | None = None


class UnreconstructedException(Exception):
    """Stands for an exception whose class could not be found or called again.

    Attributes:
        original_type: The `module.Class` it was dumped with.
    """

    original_type: str | None = None


def _exception_name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


def exception_text(error: BaseException) -> str:
    """Return `str(error)` fit for storing: programs may write exceptions that fail at it, or put half characters in."""
    try:
        text = str(error)
    except Exception:
        return f"{type(error).__name__} (its text can't be made)"
    return text.encode("utf-8", "replace").decode("utf-8")


def dump_exception(error: BaseException | None) -> dict[str, str] | None:
    """Return `error` as `{"exception_type": "module.Class", "exception_message": text}`."""
    if error is None:
        return None
    name = _exception_name(error)
    if type(error).__module__.startswith("workflow_server."):
        name = qualified_name(type(error))
    return {"exception_type": name, "exception_message": exception_text(error)}


def load_exception(dumped: Any) -> Any:
    """Return the exception that `dump_exception` described, or an `UnreconstructedException` with its message.

    Only subclasses of `Exception` are called, with the single message; what is no dump passes unchanged.
    """
    fields = cast("dict[str, Any]", dumped)
    if not isinstance(dumped, dict) or "exception_type" not in fields:
        return fields
    name, message = str(fields["exception_type"]), str(fields.get("exception_message", ""))
    try:
        cls = resolve(name)
        if issubclass(cls, Exception):
            return cls(message)
    except Exception:  # whatever a foreign constructor raises, the message must survive
        pass
    lost = UnreconstructedException(message)
    lost.original_type = name
    return lost


def _need_exception(value: Any) -> Exception:
    loaded = load_exception(value)
    if not isinstance(loaded, Exception):
        raise ValueError("expected an exception")
    return loaded


def _need_exception_or_none(value: Any) -> Exception | None:
    return None if value is None else _need_exception(value)


def _load_event(value: Any) -> Any:
    if value is None or isinstance(value, Event):
        return value
    fields = cast("dict[str, Any]", value)
    if not isinstance(value, dict) or "qualified_name" not in fields:
        raise ValueError("expected an event, or its dump with qualified_name and value")
    return _load_type(fields["qualified_name"]).model_validate(fields.get("value", {}))


def _dump_event(event: Event | None) -> dict[str, Any] | None:
    if event is None:
        return None
    # The shape that `serializers.JsonSerializer` gives every model.
    return {
        "__is_pydantic": True,
        "value": event.model_dump(mode="json"),
        "qualified_name": qualified_name(type(event)),
    }


def _load_type(value: Any) -> type[Event]:
    try:
        found = value if isinstance(value, type) else resolve(str(value))
    except LookupError as error:
        raise ValueError(str(error)) from error
    if not issubclass(found, Event):
        raise ValueError(f"{value} is not an event class")
    return found


_EXCEPTION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"exception_type": {"type": "string"}, "exception_message": {"type": "string"}},
    "required": ["exception_type", "exception_message"],
}

SerializableException = Annotated[
    Exception,
    PlainValidator(_need_exception),
    PlainSerializer(dump_exception),
    WithJsonSchema(_EXCEPTION_SCHEMA),
]
"""An exception as a field: dumps to its type and message."""

SerializableOptionalException = Annotated[
    Exception | None,
    PlainValidator(_need_exception_or_none),
    PlainSerializer(dump_exception),
    WithJsonSchema({"anyOf": [_EXCEPTION_SCHEMA, {"type": "null"}]}),
]
"""An exception or `None` as a field."""

SerializableEvent = Annotated[
    Event, BeforeValidator(_load_event), PlainSerializer(_dump_event), WithJsonSchema({"type": "object"})
]
"""An event of any class as a field: dumps with its qualified name."""

SerializableOptionalEvent = Annotated[
    Event | None,
    BeforeValidator(_load_event),
    PlainSerializer(_dump_event),
    WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "null"}]}),
]
"""An event or `None` as a field."""

SerializableEventType = Annotated[
    type[Event], BeforeValidator(_load_type), PlainSerializer(qualified_name), WithJsonSchema({"type": "string"})
]
"""An event class as a field: dumps to its qualified name."""

EventType = type[Event]


class StepFailedEvent(Event):
    """Given to a `catch_error` handler when a step has used up its attempts.

    Attributes:
        step_name: The step that failed.
        input_event: What it worked on.
        exception: What its last attempt raised.
        attempts: How often it ran.
        elapsed_seconds: From the start of the first attempt to the last failure.
        failed_at: When the last attempt failed (UTC).
    """

    step_name: str
    input_event: SerializableEvent
    exception: SerializableException
    attempts: int
    elapsed_seconds: float
    failed_at: datetime


class CollectionReleaseEvent(Event):
    """What a `catch_error` handler sees as input of a failed collect step: the members it was given."""

    events: list[SerializableEvent] = Field(default_factory=list[Any])
    stream_id: str
    binding_id: str


class WorkflowTimedOutEvent(StopEvent):
    """The run used up its time limit.

    Attributes:
        timeout: The limit in seconds.
        active_steps: Names of the steps that were at work.
    """

    timeout: float
    active_steps: list[str]


class WorkflowCancelledEvent(StopEvent):
    """The run was cancelled."""


class WorkflowFailedEvent(StopEvent):
    """A step failed for good, and the run with it.

    Attributes:
        step_name: The step.
        exception: What it raised.
        attempts: How often it ran.
        elapsed_seconds: From the start of its first attempt to the last failure.
    """

    step_name: str
    exception: SerializableException
    attempts: int | None = None
    elapsed_seconds: float | None = None


class IdleReleasedEvent(StopEvent):
    """The run left memory because it only waits; kept for programs that name it."""


def ancestors(cls: type[Event]) -> tuple[type[Event], ...]:
    """Return the event classes that `cls` descends from, nearest first, without `cls` and `Event`."""
    return tuple(base for base in cls.__mro__[1:] if issubclass(base, Event) and base is not Event)


class _LenientSchema(GenerateJsonSchema):
    """Describes a field that JSON Schema has no word for as "anything", instead of refusing the whole event."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:  # noqa: ARG002  # pydantic's
        return {}


def json_schema(cls: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a model's declared fields; fields of arbitrary types may hold anything."""
    return cls.model_json_schema(schema_generator=_LenientSchema)

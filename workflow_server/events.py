"""Events: what steps exchange and streams show.

An event is a pydantic model that also takes free-form *extras*: keyword arguments that no field
declares. Extras read as attributes or by subscript; the mapping methods (`get`, `keys`, `items`,
`in`, `len`) see extras only, never declared fields. A dump holds the declared fields and, when
there are extras, the key `_data` with all of them; loading a dump puts them back.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from workflow_server.naming import qualified_name, resolve


@lru_cache(maxsize=4096)
def _declared_names(cls: type[BaseModel]) -> frozenset[str]:
    """Names that the constructor of `cls` hands to pydantic: fields and their aliases."""
    names = set(cls.model_fields)
    for info in cls.model_fields.values():
        names.update(alias for alias in (info.alias, info.validation_alias) if isinstance(alias, str))
    return frozenset(names)


class DictLikeModel(BaseModel):
    """A model whose undeclared keyword arguments are kept and read like a dictionary's keys."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    _data: dict[str, Any] = PrivateAttr(default_factory=dict[str, Any])

    def __init__(self, **params: Any) -> None:
        declared = _declared_names(type(self))
        if params.keys() <= declared:
            super().__init__(**params)
            return
        privates = type(self).__private_attributes__
        fields: dict[str, Any] = {}
        private: dict[str, Any] = {}
        extras: dict[str, Any] = {}
        for key, value in params.items():
            target = fields if key in declared else private if key in privates else extras
            target[key] = value
        super().__init__(**fields)
        restored = private.pop("_data", None)
        for key, value in private.items():
            super().__setattr__(key, value)
        if restored:
            self._data.update(restored)
        self._data.update(extras)

    def __getattr__(self, name: str) -> Any:
        if name in type(self).__private_attributes__:
            return super().__getattr__(name)  # pyright: ignore  # pydantic hides its own hook from type checkers
        private = self.__pydantic_private__
        if private is not None and name in (data := private.get("_data", {})):
            return data[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        cls = type(self)
        if name in cls.model_fields or name in cls.__private_attributes__ or hasattr(cls, name):
            super().__setattr__(name, value)
        else:
            self._data[name] = value

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._data[key] = value

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

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]  # a mapping's iteration, on purpose
        return iter(self._data)

    def to_dict(self) -> dict[str, Any]:
        """Return the extras as a new dictionary."""
        return dict(self._data)

    def __bool__(self) -> bool:
        return True

    @model_serializer(mode="wrap")
    def _dump(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped = cast("dict[str, Any]", handler(self))
        if self._data:
            dumped["_data"] = self._data
        return dumped


class Event(DictLikeModel):
    """The base of all events. Subclass it with fields, or give it free-form keyword arguments."""


class StartEvent(Event):
    """The event that begins a run. Subclass it to declare a run's input."""


class StopEvent(Event):
    """The event that ends a run.

    Args:
        result: What the run returns. The result of a run that ends with a *subclass* is the event itself.
    """

    _result: Any = PrivateAttr(default=None)

    def __init__(self, result: Any = None, **params: Any) -> None:
        if "result" in _declared_names(type(self)):
            # A subclass declares `result` itself: the field is what the name means there.
            super().__init__(**(params if result is None else {"result": result, **params}))
            return
        super().__init__(**params)
        if result is not None:
            self._result = result

    @property
    def result(self) -> Any:
        """What the run returns."""
        return self._get_result()

    def _get_result(self) -> Any:
        return self._result

    @model_serializer(mode="wrap")
    def _dump(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped = cast("dict[str, Any]", handler(self))
        if self._result is not None:
            dumped["result"] = self._result
        return dumped

    def __repr__(self) -> str:
        shown = {**self._data, **{name: getattr(self, name) for name in type(self).model_fields}}
        if self._result is not None:
            shown["result"] = self._result
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in shown.items())})"

    def __str__(self) -> str:
        return str(self.result)


class InputRequiredEvent(Event):
    """Asks somebody outside the run for input; returned by a step, it also goes to the stream."""


class HumanResponseEvent(Event):
    """The answer from outside to an `InputRequiredEvent`."""


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


def dump_exception(error: BaseException | None) -> dict[str, str] | None:
    """Return `error` as `{"exception_type": "module.Class", "exception_message": text}`."""
    if error is None:
        return None
    name = _exception_name(error)
    if type(error).__module__.startswith("workflow_server."):
        name = qualified_name(type(error))
    return {"exception_type": name, "exception_message": str(error)}


def load_exception(dumped: Any) -> Any:
    """Return the exception that `dump_exception` described, or an `UnreconstructedException` with its message.

    Only subclasses of `Exception` are called, with the single message; what is no dump passes unchanged.
    """
    if not isinstance(dumped, dict) or "exception_type" not in dumped:
        return dumped
    fields = cast("dict[str, Any]", dumped)
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
    if not isinstance(value, dict) or "__event__" not in value:
        return value
    fields = cast("dict[str, Any]", value)
    cls = resolve(str(fields["__event__"]))
    if not issubclass(cls, Event):
        raise ValueError(f"{fields['__event__']} is not an event class")
    return cls.model_validate(fields.get("value", {}))


def _dump_event(event: Event | None) -> dict[str, Any] | None:
    if event is None:
        return None
    return {"__event__": qualified_name(type(event)), "value": event.model_dump(mode="json")}


def _load_type(value: Any) -> Any:
    return resolve(value) if isinstance(value, str) else value


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

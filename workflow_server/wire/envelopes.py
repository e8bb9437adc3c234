"""Events as they travel: a dump with the name of its class.

Two envelopes exist. `EventEnvelopeWithMetadata` is what a server sends; `EventEnvelope` is what clients
send, in several spellings that `read_event` understands:

    {"type": "Answer", "value": {…}}             the short name of a declared class
    {"qualified_name": "app.Answer", "value": {…}}
    {"type": …, "qualified_name": …, "data": {…}}  `data` is an older spelling of `value`
    {…fields…}                                   bare fields, where the class is known (the start of a run)
    "…"                                          any of these as JSON text

Names are looked up among declared classes and never imported for a client.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import AliasChoices, Field, ValidationError

from workflow_server.errors import WorkflowError
from workflow_server.events import (
    Event,
    EventType,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    ancestors,
)
from workflow_server.naming import TypeTable, imported, qualified_name
from workflow_server.wire.base import WireModel
from workflow_server.wire.strict_json import read_json

_BASIC = (StartEvent, StopEvent, InputRequiredEvent, HumanResponseEvent)
"""Classes that every envelope may hold, whatever is declared."""


class EventValidationError(WorkflowError):
    """What was given as an event is none, or none that is expected here; the text says what and where."""


class EventEnvelope(WireModel):
    """An event as a client sends it.

    Attributes:
        value: The event's fields; `data` is accepted as an older name of this key.
        type: The name of its class.
        qualified_name: `module.Class`.
    """

    value: Any = Field(validation_alias=AliasChoices("value", "data"))
    type: str | None = None
    qualified_name: str | None = None

    @classmethod
    def from_event(cls, event: Event) -> EventEnvelope:
        """Return `event` as an envelope with its short name."""
        return cls.model_validate({"value": event.model_dump(mode="json"), "type": type(event).__name__})

    @classmethod
    def parse(
        cls,
        client_data: dict[str, Any] | str,
        registry: Mapping[str, EventType] | None = None,
        explicit_event: EventType | None = None,
    ) -> Event:
        """Return the event that `client_data` holds.

        Args:
            client_data: An envelope, as a dictionary or as JSON text.
            registry: The classes that are expected, by name.
            explicit_event: The class that bare fields belong to.

        Raises:
            EventValidationError: It is no such event; the text says why.
        """
        return read_event(client_data, TypeTable((registry or {}).values()), explicit_event)


class EventEnvelopeWithMetadata(WireModel):
    """An event as a server sends it.

    Attributes:
        value: The event's dump.
        qualified_name: `module.Class`, unless the reader did not want it.
        type: The name of its class.
        types: Names of its ancestors below `Event`, nearest first; `None` if there are none, or they are not told.
    """

    value: dict[str, Any]
    qualified_name: str | None
    type: str
    types: list[str] | None = None

    @classmethod
    def from_event(cls, event: Event, include_qualified_name: bool = True) -> EventEnvelopeWithMetadata:
        """Return `event` as an envelope."""
        return cls(
            value=event.model_dump(mode="json"),
            qualified_name=qualified_name(type(event)) if include_qualified_name else None,
            type=type(event).__name__,
            types=[base.__name__ for base in ancestors(type(event))] or None,
        )

    def load_event(self, registry: Sequence[EventType] = ()) -> Event:
        """Return the event.

        Args:
            registry: The only classes to choose from, beside the four basic ones (start, stop, question, answer);
                without it, `qualified_name` is imported.

        Raises:
            EventValidationError: The class is not in `registry` or can't be imported, or `value` does not fit it.
        """
        table = TypeTable((*registry, *_BASIC))
        if registry or self.qualified_name is None:
            found = _find(table, self.qualified_name, self.type)
        else:
            found = _import_event(self.qualified_name)
        if found is None:
            raise EventValidationError(_unexpected(self.qualified_name or self.type, table))
        return _build(found, self.value)


def read_event(data: Any, expected: TypeTable, bare: type[Event] | None = None) -> Event:
    """Return the event that a client's JSON value holds.

    Args:
        data: The value: an object, or JSON text of one.
        expected: The classes it may be of.
        bare: The class of an object that is no envelope; `None` if only envelopes will do.

    Raises:
        EventValidationError: It is no such event; the text begins with "Failed to deserialize event" for
            wrong data and with "Invalid event type" for another class.
    """
    fields = _need_object(data)
    # The rule of the documented API: without a value, only both names together make an envelope.
    named = [key for key in ("type", "qualified_name") if fields.get(key) is not None]
    if bare is not None and (not named if "value" in fields else len(named) < 2):
        return _build(bare, fields)
    try:
        envelope = EventEnvelope.model_validate(fields)
    except ValidationError as error:
        raise EventValidationError(f"Failed to deserialize event: {explain('envelope', error)}") from None
    if not named:
        raise EventValidationError("Failed to deserialize event: it has neither a 'type' nor a 'qualified_name'")
    found = _find(expected, envelope.qualified_name, envelope.type)
    if found is None:
        raise EventValidationError(_unexpected(envelope.qualified_name or envelope.type or "", expected))
    return _build(found, envelope.value)


def _need_object(data: Any) -> dict[str, Any]:
    value = data
    if isinstance(data, str):
        try:
            value = read_json(data)
        except ValueError as error:
            raise EventValidationError(f"Failed to deserialize event: the text is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise EventValidationError("Failed to deserialize event: it must be a JSON object, or the JSON text of one")
    return cast("dict[str, Any]", value)


def _find(table: TypeTable, qualified: str | None, short: str | None) -> type[Event] | None:
    found = (table.find(qualified) if qualified else None) or (table.find_short(short) if short else None)
    return found if found is not None and issubclass(found, Event) else None


def _import_event(name: str) -> type[Event] | None:
    try:
        found = imported(name)
    except LookupError as error:
        raise EventValidationError(f"Event type {error}") from error
    return found if isinstance(found, type) and issubclass(found, Event) else None


def _unexpected(name: str, table: TypeTable) -> str:
    names = ", ".join(cls.__name__ for cls in table)
    expected = f"Expected one of {names}" if names else "No event types are registered"
    return f"Invalid event type: {name}. {expected}"


def _build(cls: type[Event], value: Any) -> Event:
    try:
        return cls.model_validate(value)
    except ValidationError as error:
        raise EventValidationError(f"Failed to deserialize event: {explain(cls.__name__, error)}") from error
    except Exception as error:  # validators and constructors are the user's code and may raise anything
        text = f"Failed to deserialize event: {cls.__name__} can't be made of it ({type(error).__name__})"
        raise EventValidationError(text) from error


def explain(name: str, error: ValidationError) -> str:
    """Say for each wrong field of `name` where it is and what is wrong, without its value and pydantic's links."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(".".join([name, *map(str, item["loc"])]) + f": {item['msg']}" for item in found)

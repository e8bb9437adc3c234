"""Events as the engine sees them: names to route by, and a content it does not encode or decode."""

from __future__ import annotations

from dataclasses import field
from functools import lru_cache
from typing import Any

from workflow_server.events import (
    CollectionReleaseEvent,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StopEvent,
    ancestors,
)
from workflow_server.naming import qualified_name, routing_name
from workflow_server.valueclass import dataclass


@dataclass(frozen=True, slots=True)
class EventKind:
    """What routing and envelopes need to know of an event class."""

    name: str
    """Its routing name."""
    lineage: tuple[str, ...]
    """Its own routing name, then those of its ancestors below `Event`, nearest first."""
    type: str
    """Its class name."""
    qualified_name: str
    types: tuple[str, ...]
    """Class names of its ancestors below `Event`."""
    stops: bool
    asks: bool
    """Whether it is an `InputRequiredEvent`: it is published when returned, and nobody need take it."""
    answers: bool
    """Whether it is a `HumanResponseEvent`."""


@lru_cache(maxsize=4096)
def kind_of(cls: type[Event]) -> EventKind:
    """Return the kind of event class `cls`."""
    above = ancestors(cls)
    return EventKind(
        name=routing_name(cls),
        lineage=(routing_name(cls), *(routing_name(base) for base in above)),
        type=cls.__name__,
        qualified_name=qualified_name(cls),
        types=tuple(base.__name__ for base in above),
        stops=issubclass(cls, StopEvent),
        asks=issubclass(cls, InputRequiredEvent),
        answers=issubclass(cls, HumanResponseEvent),
    )


@dataclass(frozen=True, slots=True)
class Message:
    """An event on its way through a run."""

    kind: EventKind
    event: Event
    """The live object, handed to steps; the engine reads it only to test a wait's requirements."""
    value: str | None = field(default=None, compare=False)
    """Its dump as JSON text, made when it entered a stored run, so that later changes to the object don't matter."""


def message_of(event: Event, value: str | None = None) -> Message:
    """Wrap `event`; `value` is its dump as JSON text if it has been encoded."""
    return Message(kind_of(type(event)), event, value)


def whole_input(message: Message, given: tuple[Message, ...]) -> Event:
    """Return what a step works on as one event: for a collect step, the one that stands for what it is given."""
    event = message.event
    if not isinstance(event, CollectionReleaseEvent):
        return event
    return event.model_copy(update={"events": [one.event for one in given]})


def meets(event: Event, requirements: dict[str, Any]) -> bool:
    """Tell whether each required attribute or extra of `event` equals its required value.

    Values compare as their classes like, arrays for example with something that is neither true nor false:
    a comparison that fails is no match, and must not hit whoever sent the event.
    """
    absent = object()
    try:
        return all(getattr(event, name, absent) == value for name, value in requirements.items())
    except Exception:
        return False

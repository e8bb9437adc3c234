"""Reading annotations, as objects: unions, aliases, `Annotated`, event classes and lists of them."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from workflow_server.events import Event


def alternatives(annotation: Any) -> Iterator[Any]:
    """Yield the members of a union, with aliases and `Annotated` taken off."""
    annotation = _without_alias(annotation)
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from alternatives(get_args(annotation)[0])
    elif origin is Union or origin is types.UnionType:
        for member in get_args(annotation):
            yield from alternatives(member)
    else:
        yield annotation


def _without_alias(annotation: Any) -> Any:
    """Return what `type X = …` (Python 3.12 and newer) stands for."""
    while type(annotation).__name__ == "TypeAliasType":
        annotation = annotation.__value__
    return annotation


def is_event_class(annotation: Any) -> bool:
    """Return whether an annotation is an event class."""
    return isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, Event)


def event_classes(annotation: Any) -> tuple[type[Event], ...]:
    """Return the event classes that an annotation names; none if it names anything else but `None`."""
    members = [member for member in alternatives(annotation) if member is not type(None)]
    return tuple(dict.fromkeys(members)) if all(map(is_event_class, members)) else ()


def is_list(annotation: Any) -> bool:
    """Return whether an annotation is `list`, of something or of anything."""
    return annotation is list or get_origin(annotation) is list


def listed_event_classes(annotation: Any) -> tuple[type[Event], ...]:
    """Return the event classes of `list[E]`, also beside `None`; none if the annotation is anything else."""
    members = [member for member in alternatives(annotation) if member is not type(None)]
    elements = get_args(members[0]) if len(members) == 1 and get_origin(members[0]) is list else ()
    return event_classes(elements[0]) if elements else ()  # `typing.List` alone names none


def notes_of(annotation: Any) -> Iterator[Any]:
    """Yield what `Annotated` puts beside a type, also where that is one member of a union."""
    annotation = _without_alias(annotation)
    origin = get_origin(annotation)
    if origin is Annotated:
        held, *notes = get_args(annotation)
        yield from notes
        yield from notes_of(held)
    elif origin is Union or origin is types.UnionType:
        for member in get_args(annotation):
            yield from notes_of(member)

"""The parameters of a step that take events: one event, a list of them, or a set of several.

(self, ev: A | B)          one event
(self, found: list[A])     a collect step: the members of a stream, see `collect`
(self, a: A, b: B)         a join: one event for each parameter
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflow_server.definition.annotations import event_classes, listed_event_classes, notes_of
from workflow_server.definition.collect import All, Cardinality, Collect, Take
from workflow_server.errors import WorkflowValidationError
from workflow_server.events import Event
from workflow_server.valueclass import dataclass


@dataclass(frozen=True, slots=True)
class EventParameters:
    """What a step's parameters take; see `StepConfig` for the meaning of each field."""

    accepted: tuple[type[Event], ...]
    name: str
    collect: Cardinality | None = None
    joined: tuple[tuple[str, type[Event]], ...] = ()


def read_event_parameters(hints: Mapping[str, Any], where: str) -> EventParameters:
    """Return what the parameters that take events say together.

    Args:
        hints: The annotations of the step's parameters, in order.
        where: Names the step in messages.

    Raises:
        WorkflowValidationError: They don't fit together, or there is none.
    """
    single = {name: classes for name, hint in hints.items() if (classes := event_classes(hint))}
    lists = {name: classes for name, hint in hints.items() if (classes := listed_event_classes(hint))}
    for name, hint in hints.items():
        if name not in lists and any(isinstance(note, Collect) for note in notes_of(hint)):
            raise WorkflowValidationError(
                f"Collect markers apply only to collection fan-in: parameter {name!r} of {where} is not a list[E] "
                "of events"
            )
    if len(lists) > 1:
        raise WorkflowValidationError(f"A step takes at most one list[E] parameter; {where} has {', '.join(lists)}")
    if lists and single:
        raise WorkflowValidationError(
            f"A list[E] parameter cannot be combined with other event parameters; {where} has {', '.join(lists)} "
            f"and {', '.join(single)}"
        )
    if lists:
        ((name, classes),) = lists.items()
        return EventParameters(classes, name, _cardinality(name, hints[name], where))
    if not single:
        raise WorkflowValidationError(
            f"Step signature must have at least one parameter annotated as type Event ({where})"
        )
    if len(single) == 1:
        ((name, classes),) = single.items()
        return EventParameters(classes, name)
    return _join(single, where)


def _cardinality(name: str, hint: Any, where: str) -> Cardinality:
    markers = [note for note in notes_of(hint) if isinstance(note, Collect)]
    found = markers[-1].cardinality if markers else All()
    if not isinstance(found, (All, Take)):
        raise WorkflowValidationError(
            f"The cardinality of a Collect marker must be All() or Take(n); parameter {name!r} of {where} has {found!r}"
        )
    return found


def _join(single: Mapping[str, tuple[type[Event], ...]], where: str) -> EventParameters:
    for name, classes in single.items():
        if len(classes) > 1:
            raise WorkflowValidationError(
                f"Each of several event parameters must have a single event type; {name!r} of {where} is a union"
            )
    joined = tuple((name, classes[0]) for name, classes in single.items())
    return EventParameters(tuple(dict.fromkeys(event for _, event in joined)), joined[0][0], None, joined)

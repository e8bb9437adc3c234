"""Which event classes a stored run or a snapshot may name."""

from __future__ import annotations

from collections.abc import Iterable

from workflow_server.events import (
    CollectionReleaseEvent,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
)
from workflow_server.naming import TypeTable, routing_name

_FRAMEWORK_EVENTS = (
    Event,
    StartEvent,
    StopEvent,
    InputRequiredEvent,
    HumanResponseEvent,
    StepFailedEvent,
    CollectionReleaseEvent,
)
"""Classes that may occur in a run of any workflow."""


class EventTypes:
    """The event classes of a workflow, by the names that stored events bear.

    Args:
        declared: Classes that its signatures name, or that it was told of.
        undeclared: Whether others count too, which steps send, wait for, or take as subclasses without naming them.
            Nothing is imported: a class that the program has not made yet is not found.
    """

    def __init__(self, declared: Iterable[type[Event]], *, undeclared: bool = True) -> None:
        self._table = TypeTable((*declared, *_FRAMEWORK_EVENTS))
        self._undeclared = undeclared

    def find(self, name: str) -> type[Event] | None:
        """Return the class that is called `name`, or `None`."""
        found = self._table.find(name)
        if found is None and self._undeclared:
            return _find_anywhere(name)
        return found if found is not None and issubclass(found, Event) else None

    def need(self, name: str) -> type[Event]:
        """Return the class that is called `name`.

        Raises:
            LookupError: There is none.
        """
        found = self.find(name)
        if found is None:
            raise LookupError(f"the workflow has no event {name!r} any more")
        return found


def _find_anywhere(name: str) -> type[Event] | None:
    """Find an event class among all that there are; a later one counts more than an earlier one of the same name."""
    found: type[Event] | None = None
    pending: list[type[Event]] = [Event]
    while pending:
        cls = pending.pop(0)
        found = cls if routing_name(cls) == name else found
        pending.extend(cls.__subclasses__())
    return found

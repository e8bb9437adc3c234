"""Which event classes a stored run or a snapshot may name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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
        subclasses: Whether subclasses of those count too, which steps may take without naming them. Nothing is
            imported: a class that the program has not made yet is not found.
    """

    def __init__(self, declared: Iterable[type[Event]], *, subclasses: bool = True) -> None:
        self._declared = tuple(declared)
        self._table = TypeTable((*self._declared, *_FRAMEWORK_EVENTS))
        self._subclasses = subclasses

    def find(self, name: str) -> type[Event] | None:
        """Return the class that is called `name`, or `None`."""
        found = self._table.find(name)
        if found is None and self._subclasses:
            found = next((cls for cls in self._below() if routing_name(cls) == name), None)
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

    def _below(self) -> Iterator[type[Event]]:
        pending = [cls for declared in self._declared for cls in declared.__subclasses__()]
        while pending:
            cls = pending.pop()
            yield cls
            pending.extend(cls.__subclasses__())

"""The parts of a run that hold what is on its way to being gathered: streams with their members, and sets of joins.

Keys: `stream/3`, `member/3/17`, `partner/21`. A member that arrives is a part of its own, so that a stream of a
thousand is not written a thousand times.
"""

from __future__ import annotations

from dataclasses import field

from workflow_server.engine.message import Message
from workflow_server.valueclass import dataclass


@dataclass(slots=True)
class Stream:
    """What a step that returned a list has set off, until nothing of it is left."""

    id: int
    """Of the work item whose step returned the list."""
    step: str
    place: int
    parent: int | None
    """The stream that this one is in, and that waits for it; `None` at the top, or when nothing awaits it any more."""
    awaited: list[str]
    """Names of the collect steps that are still to be given members, in routing order."""
    recoveries: tuple[tuple[str, int], ...] = ()
    """How often `catch_error` handlers had recovered the lineage of events that led to it."""
    live: int = 0
    """How many work items and streams are in it; follows from those."""
    gathered: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Keys of the members that wait for each collect step, in order of arrival; follows from those."""

    @property
    def key(self) -> str:
        """Return the key of this part."""
        return f"stream/{self.id}"


@dataclass(slots=True)
class Member:
    """An event that has arrived at a collect step, held until that step is given all it waits for."""

    stream: int
    collector: str
    place: int
    """Counts arrivals."""
    message: Message

    @property
    def key(self) -> str:
        """Return the key of this part."""
        return f"member/{self.stream}/{self.place}"


@dataclass(slots=True)
class Partner:
    """An event that has arrived at a join, held until one for each of its parameters is there."""

    step: str
    place: int
    """Counts arrivals."""
    message: Message

    @property
    def key(self) -> str:
        """Return the key of this part."""
        return f"partner/{self.place}"


StreamPart = Stream | Member | Partner

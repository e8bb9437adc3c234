"""What a client was told about one run, and the rule that nothing of it may change afterwards."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from crash.client import Event


class Violation(Exception):
    """A promise was broken."""


@dataclass
class Clock:
    """Dates the entries of histories: seconds since the beginning, and kills so far."""

    begin: float = field(default_factory=time.monotonic)
    kills: int = 0

    def __str__(self) -> str:
        return f"{time.monotonic() - self.begin:8.3f} s, kill {self.kills}"


@dataclass
class RunRecord:
    """A run as its client knows it."""

    kind: str
    handler_id: str
    size: int
    clock: Clock
    number: int = 1
    """Which run of its handler it is."""
    begun: int = field(init=False)
    run_id: str | None = None
    """Known once the start is acknowledged."""
    events: dict[int, str] = field(default_factory=dict[int, str])
    """Envelopes by sequence, as first seen."""
    ending: Any = None
    """The envelope that ended the stream."""
    state: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    """As last shown; every value is a list that only grows."""
    replies: dict[int, str] = field(default_factory=dict[int, str])
    """The texts of the answers that were given to its questions."""
    repeated: bool = False
    """Whether an answer was sent more than once, because the first time nobody said whether it arrived."""
    cancelled: bool = False
    """Whether its cancellation was acknowledged."""
    purged: bool = False
    history: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.begun = self.clock.kills

    def note(self, text: str) -> None:
        """Write down what happened."""
        self.history.append(f"{self.clock}: {text}")

    def fail(self, text: str) -> Violation:
        """Return a violation to raise."""
        self.note(text)
        return Violation(f"run {self.number} of handler {self.handler_id} ({self.kind}, size {self.size}): {text}")

    def accepted(self, handler: Any) -> None:
        """The server has answered for the run with its handler."""
        run_id = handler["run_id"]
        if self.run_id is None:
            self.run_id = run_id
            self.note(f"accepted as run {run_id}")
        elif self.run_id != run_id:
            raise self.fail(f"it was run {self.run_id}, and is now {run_id}")

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.ending is not None or self.purged

    @property
    def last(self) -> int:
        """The last sequence seen, -1 for none."""
        return len(self.events) - 1

    def saw(self, event: Event) -> Any:
        """An event came on the stream; returns its envelope."""
        known = self.events.get(event.sequence)
        if known is None:
            if event.sequence != self.last + 1:
                raise self.fail(f"after sequence {self.last} the stream goes on with {event.sequence}: {event.text}")
            self.events[event.sequence] = event.text
            self.note(f"event {event.sequence}: {event.text}")
        elif known != event.text:
            raise self.fail(f"sequence {event.sequence} was {known}, and is now {event.text}")
        envelope = json.loads(event.text)
        if is_ending(envelope):
            if self.ending not in (None, envelope):
                raise self.fail(f"it ended with {self.ending}, and now with {envelope}")
            self.ending = envelope
        return envelope

    def showed_state(self, values: dict[str, list[Any]]) -> None:
        """The server has shown the state."""
        for key, before in self.state.items():
            now = values.get(key, [])
            if now[: len(before)] != before:
                raise self.fail(f"state {key!r} was {before}, and is now {now}")
        if values != self.state:
            self.note(f"state {values}")
        for key, now in values.items():
            if len(set(now)) != len(now):
                raise self.fail(f"state {key!r} holds an item twice: {now}")
        self.state = values

    @property
    def endings(self) -> int:
        """How many of the events seen end a run."""
        return sum(is_ending(json.loads(text)) for text in self.events.values())

    def told(self, type_name: str) -> list[Any]:
        """Return the values of all events of a class, in the order of the stream."""
        envelopes = [json.loads(self.events[sequence]) for sequence in sorted(self.events)]
        return [envelope["value"] for envelope in envelopes if envelope["type"] == type_name]


def is_ending(envelope: Any) -> bool:
    """Tell whether an event ends its run."""
    return envelope["type"] == "StopEvent" or "StopEvent" in (envelope["types"] or ())

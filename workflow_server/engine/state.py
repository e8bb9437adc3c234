"""A run's state: the small parts it is stored as, and the queues that follow from them.

Parts have keys: `item/7`, `wait/7/my.Answer/0`, `gave/collect/default/7/0`, `stream/3`. A commit writes the parts that
changed; loading reads them all and derives the rest.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from dataclasses import field
from enum import Enum
from typing import Any

from workflow_server.engine.effects import Ending
from workflow_server.engine.inputs import Answer, Execution, Failure
from workflow_server.engine.message import Message, meets
from workflow_server.engine.shape import Shape
from workflow_server.engine.stream_parts import Member, Partner, Stream, StreamPart
from workflow_server.valueclass import dataclass


class ItemPhase(str, Enum):
    """Where a work item stands."""

    QUEUED = "queued"
    DELAYED = "delayed"
    """Failed, and not yet due to run again."""
    RUNNING = "running"
    WAITING = "waiting"
    """Suspended in `wait_for_event`, without a worker slot."""
    ANSWERED = "answered"
    """Its wait is over; it needs a slot to go on."""


@dataclass(slots=True)
class WorkItem:
    """One event given to one step, until the step is done with it."""

    id: int
    step: str
    message: Message
    place: int = 0
    """Where it stands in its queue: smaller is earlier."""
    phase: ItemPhase = ItemPhase.QUEUED
    worker: int | None = None
    incarnation: int = 0
    """Counts its executions; a reload counts as a new one."""
    failures: int = 0
    last_failure: Failure | None = None
    last_failed_at: float | None = None
    first_started: float | None = None
    not_before: float | None = None
    waits_on: list[str] = field(default_factory=list[str])
    """Keys of the waits it is suspended in: one, or several if it awaits them side by side."""
    recoveries: tuple[tuple[str, int], ...] = ()
    """How often each `catch_error` handler has recovered this lineage of events."""
    stream: int | None = None
    """The stream that it is in, if any."""
    given: tuple[Message, ...] = ()
    """What a collect step or a join is given; `message` then is what stands for it, or has completed the set."""
    since: int = 0
    """Sequence from which on its publications are remembered, see `speech`."""
    asleep: bool = field(default=False, compare=False)
    """Whether it waits without being in memory: once answered, its step runs again from its top. A reload sets it."""
    holds: set[str] = field(default_factory=set[str])
    """Keys of the waits it has begun, and of the contributions and sends it has made; follows from those."""

    @property
    def key(self) -> str:
        """Return the key of this part."""
        return f"item/{self.id}"

    @property
    def execution(self) -> Execution:
        """Return what names its current execution."""
        return Execution(self.id, self.incarnation)


@dataclass(slots=True)
class Wait:
    """An open or answered `wait_for_event`; kept until every item that holds it is done."""

    key: str
    step: str
    awaits: str
    """Routing name of the class it is for."""
    subclasses: bool
    place: int
    """Counts beginnings, so that waits keep their order."""
    holders: list[int]
    """The items that began it."""
    requirements: dict[str, Any] | None = field(default_factory=dict[str, Any], compare=False)
    """Attributes of the answer that must have these values. `None` once they are lost, because they have no JSON form:
    then nothing answers it until its step, which runs again, has brought them back."""
    prompt: tuple[str, str] | None = None
    """In a stored run, the question that was published: qualified name and dump, for people who look."""
    due: float | None = None
    answer: Answer | None = None

    def is_answered_by(self, message: Message) -> bool:
        """Tell whether `message` is what it is for."""
        fits = self.awaits == message.kind.name or (self.subclasses and self.awaits in message.kind.lineage)
        return fits and self.requirements is not None and meets(message.event, self.requirements)


@dataclass(slots=True)
class Contribution:
    """An event that an item gave to a buffer. It counts once, however often its step runs."""

    key: str
    buffer: str
    item: int
    place: int
    """Counts arrivals."""
    message: Message | None
    """Held for a set; `None` once it is in one, or if nobody needed it."""
    completed: list[Message] | None = None
    """The set that this contribution completed, kept until its item is done."""


@dataclass(slots=True)
class Utterance:
    """An event that an item has sent since its last state write, remembered by its digest; see `speech`."""

    key: str
    item: int
    place: int
    """Counts sends."""
    digest: str


@dataclass(slots=True)
class Recall:
    """What an interrupted item has said already, and will not be heard to say again."""

    sends: Counter[str]
    """Digests of its sends, with how often."""
    publications: deque[tuple[str, str]]
    """Qualified names and values of its publications, in order."""


Part = WorkItem | Wait | Contribution | Utterance | StreamPart


@dataclass(slots=True)
class StepLoad:
    """The queues and slots of one step; follows from the items."""

    queued: deque[int] = field(default_factory=deque[int])
    answered: deque[int] = field(default_factory=deque[int])
    """Items whose wait is over; they come before new work."""
    busy: set[int] = field(default_factory=set[int])
    """Numbers of the worker slots in use."""

    def clear(self) -> None:
        """Forget all work and free all slots."""
        self.queued.clear()
        self.answered.clear()
        self.busy.clear()

    def take_slot(self, limit: int) -> int | None:
        """Occupy the smallest free worker number below `limit` and return it, or `None`."""
        if len(self.busy) >= limit:
            return None
        number = 0
        while number in self.busy:
            number += 1
        self.busy.add(number)
        return number


class Run:
    """One run: what `reduce` folds inputs into.

    Args:
        shape: The workflow's routing.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.started = False
        """Whether it has begun; until then, what arrives queues."""
        self.ending: Ending | None = None
        self.result: Message | None = None
        """The stop event of a completed run."""
        self.error: str | None = None
        """Why a run failed, for people."""
        self.exception: BaseException | None = None
        """What the step of a failed run raised; not stored."""
        self.active_at_end: tuple[str, ...] = ()
        """Names of the steps that held a worker when the run ended."""
        self.next_item = 0
        self.next_sequence = 0
        self.places = 0
        """How many places in queues and buffers have been given out."""
        self.idle = False
        """Whether idleness has been announced since the last work."""
        self.items: dict[int, WorkItem] = {}
        self.waits: dict[str, Wait] = {}
        self.contributions: dict[str, Contribution] = {}
        self.utterances: dict[str, Utterance] = {}
        self.streams: dict[int, Stream] = {}
        self.members: dict[str, Member] = {}
        self.partners: dict[str, Partner] = {}
        self.recalls: dict[int, Recall] = {}
        """What interrupted items have said, by item; not stored, a reload makes them."""
        # From here on everything follows from the parts.
        self.loads: dict[str, StepLoad] = {name: StepLoad() for name in shape.steps}
        self.held: dict[str, dict[str, dict[str, Message]]] = {}
        """What buffers hold: by buffer, by the routing name of the class, by contribution in order of arrival."""
        self.partners_at: dict[str, dict[str, dict[int, Partner]]] = {}
        """What waits at joins: by step, by the routing name of the class, by place in order of arrival."""
        self.waiting: set[int] = set()
        """Items suspended in a wait."""
        self.open_waits: dict[str, dict[str, Wait]] = {}
        """Unanswered waits by the routing name of their class, in order of beginning."""
        self.dues: list[tuple[float, str]] = []
        """A heap of (time, part key); entries whose part has moved on are skipped."""

    def live(self, execution: Execution) -> WorkItem | None:
        """Return the item that `execution` works on, or `None` if that execution is a past one."""
        item = self.items.get(execution.item)
        return item if item is not None and item.incarnation == execution.incarnation else None

    def part(self, key: str) -> Part | None:
        """Return the part stored under `key`, or `None` if the run no longer has it."""
        family, _, rest = key.partition("/")
        match family:
            case "item":
                return self.items.get(int(rest))
            case "wait":
                return self.waits.get(key)
            case "gave":
                return self.contributions.get(key)
            case "said":
                return self.utterances.get(key)
            case "stream":
                return self.streams.get(int(rest))
            case "member":
                return self.members.get(key)
            case _:
                return self.partners.get(key)

    def add_partner(self, partner: Partner) -> None:
        """Have an event wait at a join."""
        self.partners[partner.key] = partner
        waiting = self.partners_at.setdefault(partner.step, {}).setdefault(partner.message.kind.name, {})
        waiting[partner.place] = partner

    def remove_partner(self, partner: Partner) -> None:
        """Take an event from its join."""
        del self.partners[partner.key]
        waiting = self.partners_at[partner.step]
        del waiting[partner.message.kind.name][partner.place]
        if not any(waiting.values()):
            del self.partners_at[partner.step]

    def parts(self) -> dict[str, Part]:
        """Return all parts by key."""
        items = {item.key: item for item in self.items.values()}
        streams: dict[str, Part] = {stream.key: stream for stream in self.streams.values()}
        held: dict[str, Part] = {**self.waits, **self.contributions, **self.utterances, **self.members, **self.partners}
        return {**items, **streams, **held}

    def next_place(self) -> int:
        """Return the next place in queues and buffers."""
        self.places += 1
        return self.places

    def remember_due(self, at: float, key: str) -> None:
        """Note that the part under `key` is due at `at`."""
        heapq.heappush(self.dues, (at, key))

    def next_due(self) -> tuple[float, str] | None:
        """Return when the next part is due (seconds since the epoch) and its key, or `None`."""
        while self.dues:
            at, key = self.dues[0]
            part = self.part(key)
            if isinstance(part, WorkItem) and part.phase is ItemPhase.DELAYED and part.not_before == at:
                return at, key
            if isinstance(part, Wait) and part.answer is None and part.due == at:
                return at, key
            heapq.heappop(self.dues)
        return None

    @property
    def active_steps(self) -> tuple[str, ...]:
        """Names of the steps that hold a worker, sorted."""
        return tuple(sorted(name for name, load in self.loads.items() if load.busy))

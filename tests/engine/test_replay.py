"""Whatever happens to a run, folding it again gives the same run, and so does loading its stored parts."""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import fields
from typing import Annotated, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests_support.engine_play import reader_of
from workflow_server import Context, Workflow, catch_error, step
from workflow_server.definition.collect import Collect, Take
from workflow_server.definition.compiled import definition_of
from workflow_server.engine.effects import EndRun, LogIgnored, Reaction, ResumeStep, StartStep
from workflow_server.engine.inputs import (
    Answer,
    CancelRequested,
    ClockReached,
    Collected,
    Execution,
    Failed,
    Failure,
    FannedOut,
    Input,
    Published,
    Reloaded,
    Returned,
    Sent,
    Started,
    StateWritten,
    TimeLimitReached,
    WaitAbandoned,
    WaitBegan,
)
from workflow_server.engine.message import Message, kind_of, message_of
from workflow_server.engine.parts import encode_head, encode_part
from workflow_server.engine.reduce import reduce
from workflow_server.engine.shape import Shape, shape_of
from workflow_server.engine.state import Contribution, ItemPhase, Run, Utterance, Wait, WorkItem
from workflow_server.engine.stream_parts import Member, Partner, Stream
from workflow_server.events import (
    CollectionReleaseEvent,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
)
from workflow_server.naming import routing_name


class Job(Event):
    n: int = 0


class Special(Job):
    pass


class Question(InputRequiredEvent):
    pass


class Reply(HumanResponseEvent):
    n: int = 0


class Piece(Event):
    n: int = 0


class Everything(Workflow):
    """Steps of each kind; what they do is decided by the random inputs, not by their code."""

    @step
    async def begin(self, ev: StartEvent) -> Job | Question | None: ...

    @step(num_workers=2)
    async def work(self, ev: Job, ctx: Context) -> Special | Job | Question | StopEvent | None: ...

    @step(num_workers=1, accept_event_subclasses=True)
    async def any_job(self, ev: Job) -> Question | None: ...

    @step
    async def replied(self, ev: Reply) -> Job | None: ...

    @step(num_workers=2)
    async def split(self, ev: Piece) -> list[Piece | Job | Special] | Question: ...

    @step
    async def gather(self, pieces: list[Piece]) -> Piece | Question | None: ...

    @step(num_workers=1, accept_event_subclasses=True)
    async def first(self, jobs: Annotated[list[Job], Collect(Take(2))]) -> list[Piece] | Question: ...

    @step(accept_event_subclasses=True)
    async def pair(self, one: Job, special: Special) -> Question: ...

    @step
    async def hurry(self, ev: Reply) -> list[Special]: ...

    @catch_error(for_steps=["work", "gather"], max_recoveries=2)
    async def rescue(self, ev: StepFailedEvent) -> Job | Piece | None: ...


SHAPE: Shape = shape_of(definition_of(Everything))
READER = reader_of(StartEvent, StopEvent, Job, Special, Piece, Question, Reply, StepFailedEvent, CollectionReleaseEvent)
EVENTS: tuple[type[Event], ...] = (Job, Special, Question, Reply, Piece, Piece)
KEYS = [routing_name(cls) for cls in (Job, Special)]


class World:
    """Plays the part of the runner: knows which executions exist, and makes inputs for them from random numbers."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.at = 1000.0
        self.executions: list[Execution] = []
        self.ordinals: dict[Any, int] = {}

    def ordinal(self, *key: Any) -> int:
        self.ordinals[key] = self.ordinals.get(key, -1) + 1
        return self.ordinals[key]

    def note(self, reaction: Reaction) -> None:
        self.executions += [effect.execution for effect in reaction.effects if isinstance(effect, StartStep)]

    def input(self, choice: tuple[int, int, int]) -> Input:
        kind, pick, number = choice
        self.at += number / 4
        made = StopEvent() if number == 62 else EVENTS[number % len(EVENTS)]()
        event = message_of(made, made.model_dump_json())
        # Past executions stay in the list: what they say must do nothing.
        by = self.executions[pick % len(self.executions)] if self.executions else Execution(99, 0)
        match kind:
            case 0:
                return Sent(self.at, event)
            case 1:
                return Sent(self.at, event, step=["work", "replied", "nowhere"][number % 3], by=by)
            case 2:
                return Published(self.at, event, by)
            case 3 | 4:
                return Returned(self.at, by, None if number % 4 == 0 else event)
            case 5 | 6:
                error = ValueError(f"n{number}")
                delay = [None, 0.0, 2.5][number % 3]
                return Failed(self.at, by, Failure(error, "builtins.ValueError", str(error)), delay)
            case 7:
                ordinal = self.ordinal(by, "collect")
                return Collected(self.at, by, ordinal, event, (KEYS[0], KEYS[1], KEYS[0])[: number % 4], "default")
            case 8 | 9:
                ordinal, due = self.ordinal(by, "wait"), self.at + 3 if number % 2 else None
                shared = "shared" if number % 5 == 0 else None
                return WaitBegan(self.at, by, ordinal, kind_of(Reply), shared, prompt=message_of(Question()), due=due)
            case 12:
                said = (kind_of(Job).qualified_name, "{}")
                return Reloaded(self.at, {by.item: (said,)} if number % 2 else {})
            case 13:
                return StateWritten(self.at, by)
            case 14 | 15 | 16:
                kinds = (Piece, Job, Special, Piece, Question)
                elements = [kinds[(number + at) % 5]() for at in range(number % 5)]
                return FannedOut(self.at, by, tuple(message_of(one, one.model_dump_json()) for one in elements))
            case 10:
                waits = sorted(self.run.waits)
                return WaitAbandoned(self.at, by, waits[pick % len(waits)] if waits else "wait/none")
            case _:
                ends: list[Input] = [CancelRequested(self.at), TimeLimitReached(self.at, 45.0)]
                return ends[number % 2] if number == 63 else ClockReached(self.at)


def plain(value: Any) -> Any:
    """Return `value` with events as their dumps: exceptions inside them are never equal."""
    if isinstance(value, Message):
        return value.kind.name, value.event.model_dump_json()
    if isinstance(value, (WorkItem, Wait, Contribution, Utterance, Stream, Member, Partner)):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value) if field.compare}
    if isinstance(value, Answer):
        return "answer", plain(value.message)
    if isinstance(value, dict):
        return [(key, plain(each)) for key, each in value.items() if each != {}]
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def facts(run: Run) -> dict[str, Any]:
    """Everything there is to know of a run, with the order of its queues."""
    shown: dict[str, Any] = {
        name: value for name, value in vars(run).items() if name not in ("dues", "shape", "exception", "recalls")
    }
    for name in ("items", "waits", "contributions", "utterances", "streams", "members", "partners"):
        shown[name] = sorted((str(key), plain(part)) for key, part in shown[name].items())
    shown["open_waits"] = {name: list(waits) for name, waits in run.open_waits.items() if waits}
    shown["held"] = sorted((buffer, sorted(plain(kinds))) for buffer, kinds in run.held.items() if any(kinds.values()))
    shown["partners_at"] = {
        step: sorted((kind, list(waiting)) for kind, waiting in kinds.items() if waiting)
        for step, kinds in run.partners_at.items()
    }
    shown["result"] = plain(run.result)
    return shown | {"due": run.next_due()}


def check_invariants(run: Run) -> None:
    for name, load in run.loads.items():
        limit = SHAPE.steps[name].num_workers
        items = [item for item in run.items.values() if item.step == name]
        assert load.busy == {item.worker for item in items if item.worker is not None}, "slots are those of the items"
        assert {item.id for item in items if item.phase is ItemPhase.QUEUED} == set(load.queued)
        if load.queued or load.answered:
            assert len(load.busy) >= limit, "nothing queues while a worker is free"
    for item in run.items.values():
        assert (item.worker is not None) == (item.phase is ItemPhase.RUNNING)
        assert item.phase is not ItemPhase.WAITING or item.waits_on, "who waits, waits on something"
        assert all(key in run.waits for key in item.waits_on)
    for wait in run.waits.values():
        assert wait.holders, "a wait that nobody holds is forgotten"
        assert all(id in run.items for id in wait.holders)
    check_streams(run)
    left = (run.items, run.waits, run.contributions, run.utterances, run.streams, run.members, run.partners)
    assert run.ending is None or not any(left), "an ended run leaves nothing"


def check_streams(run: Run) -> None:
    inside = Counter(item.stream for item in run.items.values())
    inside.update(stream.parent for stream in run.streams.values())
    assert inside.keys() - {None} == run.streams.keys(), "what a stream counts has it open, and nothing else does"
    for stream in run.streams.values():
        assert stream.live == inside[stream.id]
        for name, keys in stream.gathered.items():
            assert name in stream.awaited, "what nobody awaits is not kept"
            limit = SHAPE.steps[name].take
            assert limit is None or len(keys) < limit
    assert sorted(run.members) == sorted(
        key for one in run.streams.values() for keys in one.gathered.values() for key in keys
    )
    for name, kinds in run.partners_at.items():
        assert not all(kinds.get(slot) for slot in SHAPE.steps[name].slots), "no set is left lying complete"


choices = st.lists(st.tuples(st.integers(0, 16), st.integers(0, 7), st.integers(0, 63)), max_size=60)


@settings(max_examples=150, deadline=None)
@given(choices)
def test_replay_and_load_equal_live(script: list[tuple[int, int, int]]) -> None:
    """Replaying the inputs, and loading the parts after every commit, both give the live run."""
    live, parts, history = Run(SHAPE), dict[str, str](), list[Input]()
    world = World(live)
    sequences: list[int] = []
    for count, choice in enumerate([None, *script]):
        input = Started(world.at, message_of(StartEvent())) if choice is None else world.input(choice)
        history.append(copy.deepcopy(input))
        reaction = reduce(live, input)
        world.note(reaction)
        sequences += [publication.sequence for publication in reaction.publications]
        before = dict(parts)
        for key in reaction.changed:
            part = live.part(key)
            if part is None:
                parts.pop(key, None)
            else:
                parts[key] = encode_part(part)
        check_invariants(live)
        assert sequences == list(range(live.next_sequence)), "sequence numbers have no gaps"
        assert live.ending is None or not parts
        if live.ending is None and count % 3 == 0:
            head = encode_head(live)
            assert facts(READER.load_run(SHAPE, head, parts)) == facts(live), before
    replayed = Run(SHAPE)
    for input in history:
        reduce(replayed, input)
    assert facts(replayed) == facts(live)


@settings(max_examples=100, deadline=None)
@given(choices)
def test_effects_belong_to_live_executions(script: list[tuple[int, int, int]]) -> None:
    """An effect starts or resumes only what is running now, and the end of a run is its last effect."""
    run = Run(SHAPE)
    world = World(run)
    ended = False
    for choice in [None, *script]:
        input = Started(world.at, message_of(StartEvent())) if choice is None else world.input(choice)
        reaction = reduce(run, input)
        world.note(reaction)
        assert not (ended and (reaction.effects or reaction.publications or reaction.changed))
        for effect in reaction.effects:
            if isinstance(effect, EndRun):
                ended = True
            elif not isinstance(effect, LogIgnored):
                item = run.live(effect.execution)
                assert item is not None
                assert item.phase is ItemPhase.RUNNING
                assert isinstance(effect, ResumeStep) or item.worker is not None


def test_parts_are_readable_json() -> None:
    """A person who opens the database sees what a part means."""
    run = Run(SHAPE)
    reaction = reduce(run, Started(1.0, message_of(StartEvent(name="Ada"))))
    (key,) = reaction.changed
    part = run.part(key)
    assert part is not None
    stored = json.loads(encode_part(part))
    assert key == "item/0"
    assert stored["step"] == "begin"
    assert stored["phase"] == "running"
    assert stored["message"] == {"name": "workflows.events.StartEvent", "value": {"_data": {"name": "Ada"}}}

"""A run played by hand: inputs go in as plain values, what comes out is read as short lines.

    R work 0 Job        an execution of `work` began on worker 0
    N work 0 Job>Done   it ended and returned a Done (`-` for nothing because it failed or waits)
    P work Job          a Job queues for `work`
    idle, unhandled Job, failed work: boom, timed out, cancelled
    "Question"          an event of the workflow on the stream, by its class name

    start 3.0 work, resume 3 Reply, resume 3 timeout, end completed, ignored Job for gather     effects

Items are numbered in the order in which they come to be; the start event's is 0.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, assert_never

from workflow_server.engine.effects import (
    BecameIdle,
    Effect,
    EndRun,
    Fact,
    LogIgnored,
    Reaction,
    ResumeStep,
    RunCancelled,
    RunFailed,
    RunTimedOut,
    StartStep,
    StepChanged,
    WentUnhandled,
)
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
    Returned,
    Sent,
    Started,
    Suspended,
    TimeLimitReached,
    WaitAbandoned,
    WaitBegan,
    WaitName,
)
from workflow_server.engine.message import Message, kind_of, message_of
from workflow_server.engine.parts import PartReader
from workflow_server.engine.reduce import reduce
from workflow_server.engine.shape import Shape, StepShape
from workflow_server.engine.state import Run
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StepState
from workflow_server.naming import TypeTable, routing_name


class Job(Event):
    n: int = 0


class Special(Job):
    pass


class Note(Event):
    pass


class Question(InputRequiredEvent):
    pass


class Reply(HumanResponseEvent):
    n: int = 0
    who: str = ""


class PoliteReply(Reply):
    pass


def takes(
    *events: type[Event],
    subclasses: bool = False,
    workers: int = 4,
    catcher: str | None = None,
    max_recoveries: int = 0,
    feeds: tuple[str, ...] = (),
) -> StepShape:
    """Return a step without a name; `Play` gives it one."""
    accepts = frozenset(routing_name(cls) for cls in events)
    return StepShape("", accepts, subclasses, workers, catcher, max_recoveries, feeds=feeds)


def collects(*events: type[Event], take: int | None = None, **more: Any) -> StepShape:
    """Return a collect step without a name."""
    return replace(takes(*events, **more), collects=True, take=take)


def joins(*events: type[Event], **more: Any) -> StepShape:
    """Return a join without a name."""
    return replace(takes(*events, **more), slots=tuple(routing_name(cls) for cls in events))


def reader_of(*events: type[Event]) -> PartReader:
    """Return what reads back parts that hold events of these classes."""
    table = TypeTable(events)

    def read_message(name: str, value: str) -> Message:
        cls = table.find(name)
        assert cls is not None
        assert issubclass(cls, Event)
        return message_of(cls.model_validate_json(value), value)

    return PartReader(read_message)


class Play:
    """A run of a workflow of the given steps, in the order given.

    Args:
        **steps: What `takes` made, by name.
    """

    def __init__(self, **steps: StepShape) -> None:
        named = {name: replace(one, name=name) for name, one in steps.items()}
        self.run = Run(Shape("played", named))
        self.at = 1000.0
        self.reaction = Reaction()
        self.executions: dict[int, Execution] = {}
        """The newest execution of each item."""
        self.given: dict[int, list[Any]] = {}
        """What the newest execution of a collect step or a join was given, by item."""
        self._ordinals: Counter[Any] = Counter()

    def do(self, input: Input) -> list[str]:
        """Reduce `input` and return what it published, in lines."""
        self.reaction = reduce(self.run, input)
        for effect in self.reaction.effects:
            if isinstance(effect, StartStep):
                self.executions[effect.execution.item] = effect.execution
                self.given[effect.execution.item] = [message.event for message in effect.given]
                for key in [key for key in self._ordinals if key[0] == effect.execution.item]:
                    del self._ordinals[key]
        return [line_of(publication.fact) for publication in self.reaction.publications]

    @property
    def effects(self) -> list[str]:
        """What the last input asked to be done, in lines."""
        return [effect_line(effect) for effect in self.reaction.effects]

    # What may happen; an item is named by its number, its newest execution is meant

    def start(self, event: Event | None = None) -> list[str]:
        """The run begins."""
        return self.do(Started(self.at, message_of(event or StartEvent())))

    def send(self, event: Event, step: str | None = None, by: int | None = None) -> list[str]:
        """Somebody outside, or item `by`, sends an event."""
        return self.do(Sent(self.at, message_of(event), step, None if by is None else self.executions[by]))

    def answers(self, event: Event, wait: WaitName) -> list[str]:
        """Somebody outside answers one wait."""
        return self.do(Sent(self.at, message_of(event), wait=wait))

    def write(self, event: Event, by: int) -> list[str]:
        """Item `by` writes to the stream."""
        return self.do(Published(self.at, message_of(event), self.executions[by]))

    def returns(self, item: int, event: Event | None = None) -> list[str]:
        """The step is done with an item."""
        return self.do(Returned(self.at, self.executions[item], None if event is None else message_of(event)))

    def lists(self, item: int, *events: Event) -> list[str]:
        """The step is done with an item and returns a list."""
        return self.do(FannedOut(self.at, self.executions[item], tuple(map(message_of, events))))

    def fails(self, item: int, error: BaseException | None = None, delay: float | None = None) -> list[str]:
        """The step fails at an item; `delay` is the verdict of its retry policy."""
        error = error or ValueError("boom")
        return self.do(Failed(self.at, self.executions[item], Failure(error, "builtins.ValueError", str(error)), delay))

    def waits(
        self,
        item: int,
        cls: type[Event] = Reply,
        *,
        id: str | None = None,
        prompt: Event | None = None,
        within: float | None = None,
        **requirements: Any,
    ) -> list[str]:
        """The step waits for an event."""
        kind = kind_of(cls)
        ordinal = self._next_ordinal(item, "wait", kind.name)
        due = None if within is None else self.at + within
        asked = None if prompt is None else message_of(prompt)
        return self.do(WaitBegan(self.at, self.executions[item], ordinal, kind, id, requirements, asked, due))

    def abandons(self, item: int, wait: str) -> list[str]:
        """The step gives up a wait."""
        return self.do(WaitAbandoned(self.at, self.executions[item], wait))

    def collects(self, item: int, event: Event, *expected: type[Event], buffer: str = "default") -> Any:
        """The step gives an event to a buffer; return the numbers of the completed set, or `None`."""
        names = tuple(routing_name(cls) for cls in expected)
        ordinal = self._next_ordinal(item, "collect", buffer)
        self.do(Collected(self.at, self.executions[item], ordinal, message_of(event), names, buffer))
        verdict: list[Message] | None = self.reaction.verdict
        return None if verdict is None else [message.event for message in verdict]

    def passes(self, seconds: float) -> list[str]:
        """Time goes by."""
        self.at += seconds
        return self.do(ClockReached(self.at))

    def cancel(self) -> list[str]:
        """Somebody ends the run."""
        return self.do(CancelRequested(self.at))

    def time_is_up(self, limit: float) -> list[str]:
        """The run reaches its time limit."""
        return self.do(TimeLimitReached(self.at, limit))

    @property
    def answer(self) -> Any:
        """The verdict of the last wait: the event, `"timeout"`, or the key of the wait that suspends the step."""
        match self.reaction.verdict:
            case Answer(message=None):
                return "timeout"
            case Answer(message=Message() as message):
                return message.event
            case Suspended(wait=key):
                return key
            case verdict:
                return verdict

    def _next_ordinal(self, item: int, family: str, name: str) -> int:
        self._ordinals[item, family, name] += 1
        return self._ordinals[item, family, name] - 1


def line_of(fact: Fact) -> str:
    """Return what was published as a line."""
    match fact:
        case Message():
            return fact.kind.type
        case StepChanged(state=StepState.PREPARING):
            return f"P {fact.step} {fact.input}"
        case StepChanged(state=StepState.RUNNING):
            return f"R {fact.step} {fact.worker} {fact.input}"
        case StepChanged():
            return f"N {fact.step} {fact.worker} {fact.input}>{fact.output or '-'}"
        case BecameIdle():
            return "idle"
        case WentUnhandled():
            return f"unhandled {fact.kind.type}{' idle' if fact.idle else ''}"
        case RunFailed():
            return f"failed {fact.step}: {fact.failure.text}"
        case RunTimedOut():
            return f"timed out: {', '.join(fact.active)}"
        case RunCancelled():
            return "cancelled"
        case _:
            assert_never(fact)


def effect_line(effect: Effect) -> str:
    """Return an effect as a line."""
    match effect:
        case StartStep():
            return f"start {effect.execution.item}.{effect.execution.incarnation} {effect.step}"
        case ResumeStep():
            answer = effect.answer.message
            return f"resume {effect.execution.item} {'timeout' if answer is None else answer.kind.type}"
        case EndRun():
            return f"end {effect.ending}"
        case LogIgnored():
            return f"ignored {effect.event} for {effect.collector}{' in a stream' if effect.in_stream else ''}"
        case _:
            assert_never(effect)

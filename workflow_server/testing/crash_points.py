"""A crash after every commit, and a second one on top: does the run go on from there as if nothing had happened?

    async def test_a_crash_changes_nothing() -> None:
        survived = await survive_crashes(MyWorkflow, Begin(n=3), answer=lambda question: Reply(text="yes"))
        assert survived.result == 4

Every commit of a run is a point at which its process may die. The workflow is played once to its end, with a copy
of the store kept after each commit; then a new server starts from every copy and finishes the run, and another one
from what a crash after that server's first commit would have left: what a reload has decided is committed before any
step goes on. Each time the run must end the same, what was told before must stand, and nothing may be told twice.
Best under virtual time (`virtual_time`), where waits and retries take no time.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio

from workflow_server.api.commands import GetWaiting, SendEvent, StartRun
from workflow_server.api.outcomes import QuestionsFound, Refused, RunAccepted
from workflow_server.events import Event, StartEvent
from workflow_server.manager.manager import HandlerManager
from workflow_server.manager.options import ManagerOptions
from workflow_server.manager.served import ServedWorkflow
from workflow_server.naming import qualified_name
from workflow_server.runtime.event_types import EventTypes
from workflow_server.runtime.publications import encode_event, result_of
from workflow_server.runtime.workflow import Workflow
from workflow_server.testing.durable_store import DurableStore
from workflow_server.wire.records import EventRecord, HandlerRecord

Answer = Callable[[Event | None], Event | None]
"""Answers a question: is given the event that asks (`None` for a wait without one); `None` leaves it unanswered."""

HANDLER = "handler"
PAUSE = 0.25
"""Seconds between two looks at a run."""


@dataclass(frozen=True, slots=True)
class Survived:
    """What the run came to, every time."""

    result: Any
    """What it returned; `None` if it did not complete."""
    error: str | None
    """Why it failed, if it did."""
    commits: int
    """After how many commits it was crashed."""
    told: tuple[str, ...]
    """Class names of the events that readers of its stream saw, the engine's own left out."""


async def survive_crashes(
    make_workflow: Callable[[], Workflow],
    start_event: StartEvent | None = None,
    *,
    answer: Answer | None = None,
    additional_events: Iterable[type[Event]] = (),
    idle_timeout: float | None = 60.0,
    same_events: bool = True,
    within: float = 10_000.0,
) -> Survived:
    """Play a workflow to its end, then again from what crashes after each of its commits would have left.

    Args:
        make_workflow: Makes an instance, for each new process.
        start_event: What the run begins with; the start event with its defaults by default.
        answer: Answers the run's questions.
        additional_events: Classes of answers that no signature names.
        idle_timeout: Seconds after which a waiting run leaves memory; answered questions find it there.
        same_events: Whether each play must publish the same events. Switch it off for steps that say something
            new each time, such as a random number.
        within: Seconds that each play may take.

    Raises:
        AssertionError: It did not end in time, or differently after some crash; the text says after which.
    """
    stage = _Stage(make_workflow, answer, tuple(additional_events), idle_timeout, within)
    whole, survivors = DurableStore(), list[DurableStore]()
    whole.on_commit = lambda _: survivors.append(whole.copy())
    expected = await stage.play(whole, start_event, "without a crash")
    for number, survivor in enumerate(survivors, 1):
        where = f"after a crash at commit {number} of {len(survivors)}"
        left = await stage.go_on(survivor, expected, where, same_events)
        if left is not None:
            await stage.go_on(left, expected, f"{where}, and one at the next process's first", same_events)
    record, told = expected
    run_result = None if record.result is None else result_of(stage.event(record.result))
    names = tuple(event.type for event in told if not event.internal)
    return Survived(run_result, record.error, len(survivors), names)


Ended = tuple[HandlerRecord, list[EventRecord]]
"""How a play ended: the handler, and all that readers of its stream can have seen."""


@dataclass(slots=True)
class _Stage:
    make_workflow: Callable[[], Workflow]
    answer: Answer | None
    additional_events: tuple[type[Event], ...]
    idle_timeout: float | None
    within: float

    async def play(self, store: DurableStore, start_event: StartEvent | None, where: str) -> Ended:
        """Have a new process start the run, or go on with it, to its end."""
        with anyio.move_on_after(self.within):
            async with self._process(store) as manager:
                if await store.handler(HANDLER) is None:
                    fields = {} if start_event is None else envelope(start_event)
                    accepted = await manager.execute(StartRun("workflow", fields, HANDLER))
                    if not isinstance(accepted, RunAccepted):
                        raise AssertionError(f"{where}: {accepted}")
                await self._until_over(manager, store, where)
        record = await store.handler(HANDLER)
        assert record is not None
        if record.status == "running":
            raise AssertionError(f"{where}: the run did not end in {self.within} seconds; it is {record.phase}")
        assert not store.parts[record.run_id], f"{where}: the run has left parts behind"
        return record, await self.told(store)

    async def go_on(self, store: DurableStore, expected: Ended, where: str, same_events: bool) -> DurableStore | None:
        """Have a new process finish the run that a crash has left, and compare.

        Returns:
            What another crash, after that process's first commit, would leave; `None` if it committed nothing.
        """
        copies: list[DurableStore] = []
        store.on_commit = lambda _: None if copies else copies.append(store.copy())
        before = await self.told(store)
        _compare(await self.play(store, None, where), expected, before, where, same_events)
        return copies[0] if copies else None

    @asynccontextmanager
    async def _process(self, store: DurableStore) -> AsyncGenerator[HandlerManager]:
        served = ServedWorkflow("workflow", self.make_workflow(), self.additional_events)
        options = ManagerOptions(idle_timeout=self.idle_timeout, shutdown_grace=0)
        manager = HandlerManager({"workflow": served}, store, options)
        await manager.start()
        try:
            yield manager
        finally:
            with anyio.CancelScope(shield=True):
                await manager.stop()

    async def _until_over(self, manager: HandlerManager, store: DurableStore, where: str) -> None:
        answered: set[int] = set()
        while (record := await store.handler(HANDLER)) is not None and record.status == "running":
            if record.phase == "blocked":
                raise AssertionError(f"{where}: the run can't go on: {record.error}")
            if self.answer is not None and record.phase in ("waiting", "idle"):
                await self._answer(manager, store, record, answered, self.answer)
            await anyio.sleep(PAUSE)

    async def _answer(
        self, manager: HandlerManager, store: DurableStore, record: HandlerRecord, answered: set[int], answer: Answer
    ) -> None:
        waiting = await manager.execute(GetWaiting(HANDLER))
        assert isinstance(waiting, QuestionsFound)
        for question in waiting.questions:
            asked = None if question.prompt is None else self._read(*question.prompt)
            await self._send(manager, answer(asked), question.waiter_id)
        if any(key.startswith("item/") for key in store.parts[record.run_id]):
            return  # somebody waits, or has not begun: what was asked before that is answered
        asking = [event for event in await self.told(store) if "InputRequiredEvent" in (event.type, *event.types)]
        if asking and asking[-1].sequence not in answered:
            answered.add(asking[-1].sequence)
            await self._send(manager, answer(self.event(asking[-1])), None)

    async def _send(self, manager: HandlerManager, event: Event | None, waiter_id: str | None) -> None:
        if event is None:
            return
        outcome = await manager.execute(SendEvent(HANDLER, envelope(event), waiter_id=waiter_id))
        if isinstance(outcome, Refused):
            raise AssertionError(f"The answer {event!r} was refused: {outcome.detail}")

    def event(self, record: EventRecord) -> Event:
        """Return a published event."""
        return self._read(record.qualified_name, record.value)

    def _read(self, name: str, value: str) -> Event:
        return EventTypes([Event]).need(name).model_validate_json(value)

    async def told(self, store: DurableStore) -> list[EventRecord]:
        """Return what readers of the run's stream can have seen."""
        record = await store.handler(HANDLER)
        return [] if record is None else await store.events(record.run_id, -1, 1_000_000)


def envelope(event: Event) -> dict[str, Any]:
    """Return an event as a client sends it."""
    return {
        "type": type(event).__name__,
        "qualified_name": qualified_name(type(event)),
        "value": json.loads(encode_event(event)),
    }


def _compare(ended: Ended, expected: Ended, before: list[EventRecord], where: str, same_events: bool) -> None:
    (record, told), (wanted, wanted_told) = ended, expected
    if _outcome(record) != _outcome(wanted):
        raise AssertionError(f"{where}: the run ended as {_outcome(record)}, not as {_outcome(wanted)}")
    if told[: len(before)] != before or [event.sequence for event in told] != list(range(len(told))):
        raise AssertionError(f"{where}: what readers had seen has changed")
    if same_events and _said(told) != _said(wanted_told):
        raise AssertionError(f"{where}: it told {_said(told)}, not {_said(wanted_told)}")


def _outcome(record: HandlerRecord) -> tuple[str, str | None, str | None]:
    return record.status, None if record.result is None else record.result.value, record.error


def _said(told: list[EventRecord]) -> list[tuple[str, str]]:
    # The last event says how long a failed step has tried; what the run came to is compared apart.
    return sorted((event.type, event.value) for event in told if not event.internal and not event.stops)

"""How an event answers waits, how work is made, and how it finds a worker."""

from __future__ import annotations

from typing import NamedTuple

from workflow_server.engine.effects import (
    BecameIdle,
    Fact,
    Publication,
    Reaction,
    ResumeStep,
    StartStep,
    StepChanged,
)
from workflow_server.engine.inputs import Answer, Failure, Unwanted, WaitName
from workflow_server.engine.message import Message
from workflow_server.engine.state import ItemPhase, Run, Wait, WorkItem
from workflow_server.events import StepState

UNASSIGNED = "<enqueued>"
"""Stands for the worker number of work that has none yet."""

Recoveries = tuple[tuple[str, int], ...]


class Lineage(NamedTuple):
    """What an event inherits from the execution that returned or sent it."""

    recoveries: Recoveries = ()
    """How often each `catch_error` handler has recovered it."""
    stream: int | None = None
    """The stream that it is in; what is sent is in none."""


NO_LINEAGE = Lineage()


def publish(run: Run, at: float, fact: Fact, reaction: Reaction, item: int | None = None) -> None:
    """Put `fact` on the stream, under the next sequence number; `item` if it is of a work item."""
    reaction.publications.append(Publication(run.next_sequence, at, fact, item))
    run.next_sequence += 1


def tell_step(
    run: Run,
    at: float,
    item: WorkItem,
    state: StepState,
    reaction: Reaction,
    *,
    output: str | None = None,
    failure: Failure | None = None,
) -> None:
    """Publish that the execution of `item` began or ended."""
    worker = UNASSIGNED if item.worker is None else str(item.worker)
    news = StepChanged(item.step, state, worker, item.message.kind.type, output, item.failures + 1, failure)
    publish(run, at, news, reaction, item.id)


def answer_waits(run: Run, at: float, message: Message, step: str | None, reaction: Reaction) -> set[str]:
    """Answer all waits (of `step`, if given) that `message` fits; return the names of their steps."""
    steps: set[str] = set()
    for name in message.kind.lineage:
        for wait in list(run.open_waits.get(name, {}).values()):
            if (step is None or wait.step == step) and wait.is_answered_by(message):
                answer_wait(run, at, wait, Answer(message), reaction)
                steps.add(wait.step)
    return steps


def answer_named(run: Run, at: float, message: Message, name: WaitName, reaction: Reaction) -> Unwanted | None:
    """Give an event to one wait. Return what is wrong with that, if anything."""
    wait = run.waits.get(name.key)
    if wait is None or wait.place != name.place or wait.answer is not None:
        return Unwanted(is_over=True)
    if not wait.is_answered_by(message):
        return Unwanted(is_over=False)
    answer_wait(run, at, wait, Answer(message), reaction)
    return None


def answer_wait(run: Run, at: float, wait: Wait, answer: Answer, reaction: Reaction) -> None:
    """Close `wait` with `answer`; whoever is suspended in it goes on as soon as a slot is free."""
    wait.answer = answer
    run.open_waits[wait.awaits].pop(wait.key, None)
    reaction.changed.add(wait.key)
    for id in wait.holders:
        item = run.items[id]
        if wait.key not in item.waits_on:
            continue
        if item.phase is ItemPhase.RUNNING:
            # Another of its waits was answered before, so it has a worker already.
            _resume(run, item, reaction)
        elif item.phase is ItemPhase.WAITING:
            run.waiting.discard(id)
            item.phase = ItemPhase.ANSWERED
            item.place = run.next_place()
            run.loads[item.step].answered.append(id)
            reaction.changed.add(item.key)
    fill_slots(run, at, wait.step, reaction)


def add_item(
    run: Run,
    at: float,
    step: str,
    message: Message,
    reaction: Reaction,
    lineage: Lineage,
    given: tuple[Message, ...] = (),
) -> None:
    """Make new work for `step`: it begins at once if a worker is free, else it queues."""
    recoveries, stream = lineage
    item = WorkItem(run.next_item, step, message, run.next_place(), recoveries=recoveries, stream=stream, given=given)
    if stream is not None:
        run.streams[stream].live += 1
    run.next_item += 1
    run.items[item.id] = item
    reaction.changed.add(item.key)
    run.loads[step].queued.append(item.id)
    fill_slots(run, at, step, reaction)
    if item.phase is ItemPhase.QUEUED:
        publish(run, at, StepChanged(step, StepState.PREPARING, UNASSIGNED, message.kind.type), reaction, item.id)


def requeue_first(run: Run, at: float, item: WorkItem, reaction: Reaction) -> None:
    """Put a failed item before all other new work of its step."""
    item.phase = ItemPhase.QUEUED
    item.not_before = None
    # Before everything that queues, and before what was put first earlier.
    item.place = -run.next_place()
    reaction.changed.add(item.key)
    run.loads[item.step].queued.appendleft(item.id)
    fill_slots(run, at, item.step, reaction)


def free_slot(run: Run, item: WorkItem) -> None:
    """Take the worker from `item`, if it has one."""
    if item.worker is not None:
        run.loads[item.step].busy.discard(item.worker)
        item.worker = None


def fill_slots(run: Run, at: float, step: str, reaction: Reaction) -> None:
    """Give the free workers of `step` to what waits for one: answered waits first, then new work in order."""
    if not run.started:
        return
    load, limit = run.loads[step], run.shape.steps[step].num_workers
    while (load.answered or load.queued) and (worker := load.take_slot(limit)) is not None:
        resumed = bool(load.answered)
        item = run.items[load.answered.popleft() if resumed else load.queued.popleft()]
        item.worker = worker
        item.phase = ItemPhase.RUNNING
        if item.first_started is None:
            item.first_started = at
        reaction.changed.add(item.key)
        tell_step(run, at, item, StepState.RUNNING, reaction)
        if resumed and not item.asleep:
            _resume(run, item, reaction)
        else:
            item.asleep, item.waits_on = False, []
            reaction.effects.append(StartStep(item.execution, step, item.message, item.failures, item.given))


def _resume(run: Run, item: WorkItem, reaction: Reaction) -> None:
    """Hand `item` the answers of those of its waits that have one."""
    for key in dict.fromkeys(item.waits_on):
        answer = run.waits[key].answer
        if answer is not None:
            reaction.effects.append(ResumeStep(item.execution, key, answer))
    item.waits_on = [key for key in item.waits_on if run.waits[key].answer is None]
    reaction.changed.add(item.key)


def is_idle(run: Run) -> bool:
    """Tell whether nothing is about to begin, queued, delayed, running or about to go on."""
    return run.started and len(run.items) == len(run.waiting)


def announce_idleness(run: Run, at: float, reaction: Reaction) -> None:
    """Publish once that the run has become idle."""
    idle = run.ending is None and is_idle(run)
    if idle and not run.idle:
        publish(run, at, BecameIdle(), reaction)
    run.idle = idle

"""Waiting and collecting: what a step asks of the run while it executes.

A wait is known by the item that began it and its place among that execution's waits for the same class,
so a step that runs again finds its answers and does not ask twice. A wait with an id given by the step is
shared by all items of that step that use the id.
"""

from __future__ import annotations

from collections import Counter

from workflow_server.engine.effects import Reaction
from workflow_server.engine.inputs import Collected, Suspended, WaitAbandoned, WaitBegan
from workflow_server.engine.message import Message
from workflow_server.engine.routing import fill_slots, free_slot, publish, tell_step
from workflow_server.engine.speech import forget_speech
from workflow_server.engine.state import Contribution, ItemPhase, Run, Wait, WorkItem
from workflow_server.events import StepState


def begin_wait(run: Run, item: WorkItem, began: WaitBegan, reaction: Reaction) -> None:
    """Answer a wait that is decided already; else suspend `item` in it, which frees its worker."""
    key = _wait_key(item, began)
    wait = run.waits.get(key)
    is_new = wait is None
    if wait is None:
        wait = _open_wait(run, key, item, began, reaction)
    if item.id not in wait.holders:
        wait.holders.append(item.id)
        item.holds.add(key)
        reaction.changed.add(key)
    if wait.answer is not None:
        reaction.verdict = wait.answer
        return
    wait.requirements = began.requirements
    item.waits_on.append(key)
    reaction.changed.update((key, item.key))
    reaction.verdict = Suspended(key)
    suspends = item.phase is ItemPhase.RUNNING
    if suspends:
        tell_step(run, began.at, item, StepState.NOT_RUNNING, reaction)
    if is_new and began.prompt is not None:
        publish(run, began.at, began.prompt, reaction)
    if suspends:
        free_slot(run, item)
        item.phase = ItemPhase.WAITING
        run.waiting.add(item.id)
        fill_slots(run, began.at, item.step, reaction)


def _wait_key(item: WorkItem, began: WaitBegan) -> str:
    if began.shared_id is not None:
        return f"wait/{item.step}/{began.shared_id}"
    return f"wait/{item.id}/{began.kind.name}/{began.ordinal}"


def _open_wait(run: Run, key: str, item: WorkItem, began: WaitBegan, reaction: Reaction) -> Wait:
    wait = Wait(
        key=key,
        step=item.step,
        awaits=began.kind.name,
        subclasses=run.shape.steps[item.step].subclasses,
        place=run.next_place(),
        holders=[],
        prompt=_question(began.prompt),
        due=began.due,
    )
    run.waits[key] = wait
    run.open_waits.setdefault(began.kind.name, {})[key] = wait
    reaction.changed.add(key)
    if began.due is not None:
        run.remember_due(began.due, key)
    return wait


def _question(prompt: Message | None) -> tuple[str, str] | None:
    return None if prompt is None or prompt.value is None else (prompt.kind.qualified_name, prompt.value)


def abandon_wait(run: Run, item: WorkItem, abandoned: WaitAbandoned, reaction: Reaction) -> None:
    """Close a wait that its step no longer awaits; the step goes on at once, over its limit of workers if need be."""
    key = abandoned.wait
    if key not in item.waits_on:
        return
    item.waits_on.remove(key)
    reaction.changed.update((key, item.key))
    if key not in item.waits_on:  # else another task of the step awaits the same wait
        item.holds.discard(key)
        _let_go(run, run.waits[key], item)
    if item.phase is ItemPhase.RUNNING:
        return
    load = run.loads[item.step]
    if item.phase is ItemPhase.ANSWERED:
        load.answered.remove(item.id)
    run.waiting.discard(item.id)
    item.worker = load.take_slot(len(load.busy) + 1)
    item.phase = ItemPhase.RUNNING
    tell_step(run, abandoned.at, item, StepState.RUNNING, reaction)


def _let_go(run: Run, wait: Wait, item: WorkItem) -> None:
    wait.holders.remove(item.id)
    if not wait.holders:
        del run.waits[wait.key]
        run.open_waits.get(wait.awaits, {}).pop(wait.key, None)


def collect(run: Run, item: WorkItem, given: Collected, reaction: Reaction) -> None:
    """Add an event to a buffer; the verdict is the complete set, or `None`.

    A contribution already counted (its step runs again) is not counted twice, and one that completed a set
    gets the same set again.
    """
    if not given.expected:
        reaction.verdict = []
        return
    buffer = f"{item.step}/{given.buffer}"
    key = f"gave/{buffer}/{item.id}/{given.ordinal}"
    known = run.contributions.get(key)
    if known is not None:
        reaction.verdict = known.completed
        return
    kind = given.message.kind.name
    same = run.held.setdefault(buffer, {}).setdefault(kind, {})
    made = Contribution(key, buffer, item.id, run.next_place(), None)
    run.contributions[key] = made
    item.holds.add(key)
    reaction.changed.add(key)
    if len(same) < given.expected.count(kind):
        made.message = same[key] = given.message
        made.completed = reaction.verdict = _take_set(run, buffer, given.expected, reaction)


def _take_set(run: Run, buffer: str, expected: tuple[str, ...], reaction: Reaction) -> list[Message] | None:
    """Take the set for `expected` out of a buffer if all of it is there; within a class, first come first served."""
    held = run.held[buffer]
    if any(len(held.get(name, ())) < count for name, count in Counter(expected).items()):
        return None
    chosen: list[Message] = []
    for name in expected:
        key = next(iter(held[name]))
        chosen.append(held[name].pop(key))
        member = run.contributions[key]
        member.message = None
        reaction.changed.add(key)
        if member.item not in run.items:
            del run.contributions[key]
    if not any(held.values()):
        del run.held[buffer]
    return chosen


def forget_item(run: Run, item: WorkItem, reaction: Reaction) -> None:
    """Remove a finished item, with the waits and the contributions that nobody needs any more."""
    forget_speech(run, item, reaction)
    del run.items[item.id]
    run.waiting.discard(item.id)
    reaction.changed.add(item.key)
    for key in item.holds:
        reaction.changed.add(key)
        if (wait := run.waits.get(key)) is not None:
            _let_go(run, wait, item)
        elif (made := run.contributions.get(key)) is not None and made.message is None:
            del run.contributions[key]

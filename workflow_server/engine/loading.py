"""Parts that were read back become a run: whether they fit the workflow, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from workflow_server.engine.message import Message
from workflow_server.engine.shape import Shape, StepShape
from workflow_server.engine.state import Contribution, ItemPhase, Part, Run, Utterance, Wait, WorkItem
from workflow_server.engine.stream_parts import Member, Partner, Stream
from workflow_server.errors import WorkflowError
from workflow_server.events import CollectionReleaseEvent


class LoadError(WorkflowError):
    """A stored run can't be loaded."""


def check_part(part: Part, shape: Shape) -> None:
    """Refuse a part that does not fit the workflow any more.

    Raises:
        LookupError: It doesn't; the text says why.
    """
    match part:
        case WorkItem():
            _check_item(part, _step(shape, part.step))
        case Wait():
            _step(shape, part.step)
        case Stream():
            _step(shape, part.step)
            for name in part.awaited:
                _check_collects(_step(shape, name), True)
        case Member():
            _check_takes(_step(shape, part.collector), part.message)
        case Partner():
            step = _step(shape, part.step)
            _check_slots(step, max(len(step.slots), 2))  # however many others it waits for
            _check_takes(step, part.message)
        case Contribution() | Utterance():
            pass
        case _:
            assert_never(part)


def _step(shape: Shape, name: str) -> StepShape:
    if name not in shape.steps:
        raise LookupError(f"the workflow has no step {name!r} any more")
    return shape.steps[name]


def _check_item(item: WorkItem, step: StepShape) -> None:
    released = isinstance(item.message.event, CollectionReleaseEvent)
    _check_collects(step, released)
    if not released:
        _check_slots(step, len(item.given))
    for message in item.given or (() if released else (item.message,)):
        _check_takes(step, message)


def _check_collects(step: StepShape, collects: bool) -> None:
    if step.collects != collects:
        raise LookupError(f"step {step.name!r} is {'no' if collects else 'a'} collect step now")


def _check_slots(step: StepShape, slots: int) -> None:
    if len(step.slots) != slots:
        raise LookupError(f"step {step.name!r} has other event parameters now")


def _check_takes(step: StepShape, message: Message) -> None:
    if not step.takes(message.kind):
        raise LookupError(f"step {step.name!r} does not take {message.kind.type} any more")


def derive(run: Run, parts: Iterable[Part]) -> None:
    """Fill in what follows from the parts of a run, which come in the order of their places."""
    in_order = list(parts)
    run.streams.update({part.id: part for part in in_order if isinstance(part, Stream)})
    for part in sorted(in_order, key=lambda part: not isinstance(part, WorkItem)):  # what others hold on to comes first
        match part:
            case WorkItem():
                _add_item(run, part)
            case Wait():
                run.waits[part.key] = part
                for id in part.holders:
                    run.items[id].holds.add(part.key)
                if part.answer is None:
                    run.open_waits.setdefault(part.awaits, {})[part.key] = part
                    if part.due is not None:
                        run.remember_due(part.due, part.key)
            case Contribution():
                run.contributions[part.key] = part
                if part.item in run.items:
                    run.items[part.item].holds.add(part.key)
                if part.message is not None:
                    held = run.held.setdefault(part.buffer, {})
                    held.setdefault(part.message.kind.name, {})[part.key] = part.message
            case Utterance():
                run.utterances[part.key] = part
                run.items[part.item].holds.add(part.key)
            case Stream():
                if part.parent is not None:
                    run.streams[part.parent].live += 1
            case Member():
                run.members[part.key] = part
                run.streams[part.stream].gathered.setdefault(part.collector, []).append(part.key)
            case Partner():
                run.add_partner(part)
            case _:
                assert_never(part)


def _add_item(run: Run, item: WorkItem) -> None:
    run.items[item.id] = item
    if item.stream is not None:
        run.streams[item.stream].live += 1
    load = run.loads[item.step]
    if item.worker is not None:
        load.busy.add(item.worker)
    if item.phase is ItemPhase.QUEUED:
        load.queued.append(item.id)
    elif item.phase is ItemPhase.ANSWERED:
        load.answered.append(item.id)
    elif item.phase is ItemPhase.WAITING:
        run.waiting.add(item.id)
    elif item.not_before is not None:
        run.remember_due(item.not_before, item.key)

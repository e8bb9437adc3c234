"""Parts that were read back become a run: whether they fit the workflow, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from workflow_server.engine.shape import Shape
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
    steps: list[str] = []
    if isinstance(part, (WorkItem, Wait, Partner)):
        steps = [part.step]
    elif isinstance(part, Stream):
        steps = [part.step, *part.awaited]
    for step in steps:
        if step not in shape.steps:
            raise LookupError(f"the workflow has no step {step!r} any more")
    if isinstance(part, WorkItem):
        _check_item(part, shape)


def _check_item(item: WorkItem, shape: Shape) -> None:
    step = shape.steps[item.step]
    released = isinstance(item.message.event, CollectionReleaseEvent)
    if step.collects != released:
        raise LookupError(f"step {item.step!r} is {'no' if released else 'a'} collect step now")
    if not released and len(item.given) != len(step.slots):
        raise LookupError(f"step {item.step!r} has other event parameters now")
    for message in item.given or (() if released else (item.message,)):
        if not step.takes(message.kind):
            raise LookupError(f"step {item.step!r} does not take {message.kind.type} any more")


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

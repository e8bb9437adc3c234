"""Who gets an event: waits, plain steps, collect steps and joins."""

from __future__ import annotations

from workflow_server.engine.effects import Reaction, WentUnhandled
from workflow_server.engine.inputs import Misdirected
from workflow_server.engine.joins import meet
from workflow_server.engine.message import Message
from workflow_server.engine.routing import NO_LINEAGE, Lineage, add_item, answer_waits, is_idle, publish
from workflow_server.engine.shape import StepShape
from workflow_server.engine.state import Run, WorkItem
from workflow_server.engine.streams import gather, leave, open_stream


def deliver(run: Run, at: float, message: Message, reaction: Reaction, lineage: Lineage = NO_LINEAGE) -> None:
    """Give an untargeted event to every wait and step that takes it; tell if there is none."""
    if not _offer(run, at, message, lineage, reaction):
        _tell_unhandled(run, at, message, reaction)


def deliver_to(
    run: Run, at: float, message: Message, step: str, reaction: Reaction, lineage: Lineage = NO_LINEAGE
) -> Misdirected | None:
    """Give an event to one step: to its waits, else as new work. Return what is wrong with the target, if anything."""
    shape = run.shape.steps.get(step)
    if shape is None:
        return Misdirected(step, exists=False)
    if answer_waits(run, at, message, step, reaction):
        return None
    if not shape.takes(message.kind):
        return Misdirected(step, exists=True)
    if shape.collects:
        return Misdirected(step, exists=True, collects=True)
    _give(run, at, shape, message, lineage, reaction)
    return None


def deliver_returned(run: Run, at: float, item: WorkItem, messages: tuple[Message, ...], reaction: Reaction) -> None:
    """Pass on what an item has returned, then have the item leave its stream."""
    _deliver_all(run, at, messages, Lineage(item.recoveries, item.stream), reaction)


def deliver_list(run: Run, at: float, item: WorkItem, messages: tuple[Message, ...], reaction: Reaction) -> None:
    """Pass on the list that an item has returned, in a stream of its own."""
    stream = open_stream(run, item, reaction)
    _deliver_all(run, at, messages, Lineage(item.recoveries, stream.id), reaction)
    leave(run, at, item.stream, reaction)


def _deliver_all(run: Run, at: float, messages: tuple[Message, ...], lineage: Lineage, reaction: Reaction) -> None:
    for message in messages:
        if message.kind.asks:
            publish(run, at, message, reaction)
    lost = [message for message in messages if not _offer(run, at, message, lineage, reaction)]
    leave(run, at, lineage.stream, reaction)
    for message in lost:
        _tell_unhandled(run, at, message, reaction)


def _offer(run: Run, at: float, message: Message, lineage: Lineage, reaction: Reaction) -> bool:
    """Give an event to whatever takes it and return whether anything does.

    A step whose wait it answers does not get it as new work too.
    """
    answered = answer_waits(run, at, message, None, reaction)
    takers = [taker for taker in run.shape.takers(message.kind) if taker.name not in answered]
    for taker in takers:
        _give(run, at, taker, message, lineage, reaction)
    return bool(takers or answered or message.kind.asks)


def _give(run: Run, at: float, taker: StepShape, message: Message, lineage: Lineage, reaction: Reaction) -> None:
    if taker.collects:
        gather(run, at, taker, message, lineage.stream, reaction)
    elif taker.slots:
        meet(run, at, taker, message, lineage, reaction)
    else:
        add_item(run, at, taker.name, message, reaction, lineage)


def _tell_unhandled(run: Run, at: float, message: Message, reaction: Reaction) -> None:
    publish(run, at, WentUnhandled(message.kind, None, is_idle(run)), reaction)

"""Streams: what a returned list sets off, and the collect steps that are given what comes of it.

A stream is open while a work item is in it, or a stream that it awaits. Counting these is all the accounting there
is: an item stays in its stream however often it is retried, rescued or suspended, and hands its place on to what it
returns. When the count falls to nothing, each collect step bound to the stream is given what arrived for it, as a
work item of the enclosing stream, which so stays open in turn.

    opened by a list          count 1, for the opening itself; each element's items are in it
    an item made in it        +1
    an item done              -1, after what it returned was delivered
    a stream opened in it     +1, if collect steps are bound to it: else nothing of it can come back
    that stream has given all its collect steps their members   -1

A stream can't be open while the run has nothing to do: each count is an item that runs, queues, is due or waits.
"""

from __future__ import annotations

from workflow_server.engine.effects import LogIgnored, Reaction
from workflow_server.engine.message import Message, message_of
from workflow_server.engine.routing import Lineage, add_item
from workflow_server.engine.shape import StepShape
from workflow_server.engine.state import Run, WorkItem
from workflow_server.engine.stream_parts import Member, Stream
from workflow_server.events import CollectionReleaseEvent


def open_stream(run: Run, item: WorkItem, reaction: Reaction) -> Stream:
    """Open the stream of the list that `item` has returned; `leave` it once the elements are delivered."""
    feeds = run.shape.steps[item.step].feeds
    stream = Stream(
        id=item.id,
        step=item.step,
        place=run.next_place(),
        parent=item.stream if feeds else None,
        awaited=list(feeds),
        recoveries=item.recoveries,
        live=1,
    )
    run.streams[stream.id] = stream
    if stream.parent is not None:
        run.streams[stream.parent].live += 1
    reaction.changed.add(stream.key)
    return stream


def leave(run: Run, at: float, id: int | None, reaction: Reaction) -> None:
    """Note that something in stream `id` is over; `None` is the top, which nobody counts."""
    while id is not None:
        stream = run.streams[id]
        stream.live -= 1
        if stream.live:
            return
        parent = stream.parent
        for collector in list(stream.awaited):
            _release(run, at, stream, collector, reaction)
        del run.streams[id]
        reaction.changed.add(stream.key)
        id = parent


def gather(run: Run, at: float, collector: StepShape, message: Message, stream: int | None, reaction: Reaction) -> None:
    """Take an event for a collect step; one that is in no stream, or in one that is not the step's, is ignored."""
    found = None if stream is None else run.streams[stream]
    if found is None or collector.name not in run.shape.steps[found.step].feeds:
        reaction.effects.append(LogIgnored(collector.name, message.kind.type, found is not None))
        return
    if collector.name not in found.awaited:
        return  # it has taken as many as it wanted
    member = Member(found.id, collector.name, run.next_place(), message)
    run.members[member.key] = member
    arrived = found.gathered.setdefault(collector.name, [])
    arrived.append(member.key)
    reaction.changed.add(member.key)
    if len(arrived) == collector.take:
        _release(run, at, found, collector.name, reaction)
        if not found.awaited:
            # The rest runs on, and nobody waits for it.
            parent, found.parent = found.parent, None
            leave(run, at, parent, reaction)


def _release(run: Run, at: float, stream: Stream, collector: str, reaction: Reaction) -> None:
    """Give a collect step the members that have arrived for it."""
    stream.awaited.remove(collector)
    keys = stream.gathered.pop(collector, [])
    reaction.changed.update((stream.key, *keys))
    members = tuple(run.members.pop(key).message for key in keys)
    # The members are kept beside the event that stands for them: as they are, and encoded once.
    event = CollectionReleaseEvent(stream_id=str(stream.id), binding_id=f"{stream.step}->{collector}")
    message = message_of(event, event.model_dump_json())
    add_item(run, at, collector, message, reaction, Lineage(stream.recoveries, stream.parent), members)

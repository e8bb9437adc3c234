"""A run is loaded only under a workflow that its parts fit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests_support.engine_play import Job, Note, Play, PoliteReply, Reply, collects, joins, reader_of, takes
from workflow_server.engine.loading import LoadError
from workflow_server.engine.parts import encode_head, encode_part
from workflow_server.engine.shape import Shape, StepShape
from workflow_server.events import CollectionReleaseEvent, Event, StartEvent

READER = reader_of(Job, Note, Reply, PoliteReply, StartEvent, CollectionReleaseEvent)

STEPS = {
    "go": takes(StartEvent, feeds=("gather",)),
    "work": takes(Job),
    "gather": collects(Note),
    "join": joins(Reply, PoliteReply),
}


def load(play: Play, **changed: StepShape) -> None:
    """Load what a play has stored, under a workflow in which these steps have changed."""
    shape = Shape("played", {**play.run.shape.steps, **changed})
    parts = {key: encode_part(part) for key, part in play.run.parts().items()}
    READER.load_run(shape, encode_head(play.run), parts)


def played(*done: Event, sent: tuple[Event, ...] = ()) -> Play:
    """Two Jobs side by side; as many as given have returned, and events were sent."""
    play = Play(**STEPS)
    play.start()
    play.lists(0, Job(), Job())
    for item, event in enumerate(done, 1):
        play.returns(item, event)
    for event in sent:
        play.send(event)
    return play


@pytest.mark.parametrize(
    ("play", "changed", "reason"),
    [
        (played(), {"work": takes(Note)}, "item/1: step 'work' does not take Job any more"),
        (played(), {"work": collects(Job)}, "item/1: step 'work' is a collect step now"),
        (played(), {"gather": takes(Note)}, "stream/0: step 'gather' is no collect step now"),
        (played(Note()), {"gather": collects(Job)}, "member/0/5: step 'gather' does not take Note any more"),
        (played(Note(), Note()), {"gather": collects(Job)}, "item/3: step 'gather' does not take Note any more"),
        (played(Note(), Note()), {"gather": takes(Note)}, "item/3: step 'gather' is no collect step now"),
        (played(sent=(Reply(),)), {"join": joins(Job, Note)}, "partner/5: step 'join' does not take Reply any more"),
        (played(sent=(Reply(),)), {"join": takes(Reply)}, "partner/5: step 'join' has other event parameters now"),
        (
            played(sent=(Reply(), PoliteReply())),
            {"join": takes(PoliteReply)},
            "item/3: step 'join' has other event parameters now",
        ),
    ],
)
def test_what_does_not_fit_is_named(play: Play, changed: dict[str, StepShape], reason: str) -> None:
    load(play)
    with pytest.raises(LoadError) as caught:
        load(play, **{name: replace(step, name=name) for name, step in changed.items()})
    assert str(caught.value) == reason

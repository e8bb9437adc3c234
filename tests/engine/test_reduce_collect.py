"""Collecting events into sets."""

from __future__ import annotations

from tests_support.engine_play import Job, Note, Play, Special, takes
from workflow_server.events import StartEvent


def played(jobs: int) -> Play:
    """A run in which items 1, 2, … are Jobs of the step `work`."""
    play = Play(go=takes(StartEvent), work=takes(Job, subclasses=True, workers=8))
    play.start()
    for n in range(1, jobs + 1):
        play.send(Job(n=n), by=0)
    play.returns(0)
    return play


def test_the_call_that_completes_the_set_gets_it_in_the_order_expected() -> None:
    play = played(3)
    assert play.collects(1, Note(), Job, Note, Job) is None
    assert play.collects(2, Job(n=2), Job, Note, Job) is None
    found = play.collects(3, Job(n=3), Job, Note, Job)
    assert [type(event) for event in found] == [Job, Note, Job]
    assert (found[0].n, found[2].n) == (2, 3), "within a class, first come first served"


def test_the_next_round_begins_anew() -> None:
    play = played(4)
    for item in (1, 2):
        play.collects(item, Job(n=item), Job, Job)
    assert play.collects(3, Job(n=3), Job, Job) is None
    assert [event.n for event in play.collects(4, Job(n=4), Job, Job)] == [3, 4]


def test_nothing_expected_is_complete_at_once() -> None:
    play = played(1)
    assert play.collects(1, Job()) == []


def test_an_event_that_is_not_needed_is_dropped() -> None:
    play = played(4)
    assert play.collects(1, Special(), Job, Note) is None
    assert play.collects(2, Job(n=2), Job, Note) is None
    assert play.collects(3, Job(n=3), Job, Note) is None
    found = play.collects(4, Note(), Job, Note)
    assert found[0].n == 2


def test_buffers_are_apart() -> None:
    play = played(3)
    assert play.collects(1, Job(n=1), Job, Job, buffer="a") is None
    assert play.collects(2, Job(n=2), Job, Job, buffer="b") is None
    assert [event.n for event in play.collects(3, Job(n=3), Job, Job, buffer="a")] == [1, 3]


def test_a_step_may_collect_twice() -> None:
    play = played(1)
    assert play.collects(1, Job(n=1), Job, Job) is None
    assert [event.n for event in play.collects(1, Job(n=2), Job, Job)] == [1, 2]


def test_an_item_counts_once_however_often_it_is_tried() -> None:
    play = played(2)
    assert play.collects(1, Job(n=1), Job, Job) is None
    play.fails(1, delay=0)
    assert play.collects(1, Job(n=1), Job, Job) is None
    assert [event.n for event in play.collects(2, Job(n=2), Job, Job)] == [1, 2]


def test_a_retry_gets_its_set_again() -> None:
    play = played(3)
    play.collects(1, Job(n=1), Job, Job)
    assert [event.n for event in play.collects(2, Job(n=2), Job, Job)] == [1, 2]
    play.fails(2, delay=0)
    assert [event.n for event in play.collects(2, Job(n=2), Job, Job)] == [1, 2]
    assert play.collects(3, Job(n=3), Job, Job) is None, "the next round is not disturbed"


def test_a_dropped_event_stays_dropped_in_a_retry() -> None:
    play = played(3)
    play.collects(1, Job(n=1), Job, Note)
    play.collects(2, Job(n=2), Job, Note)
    play.collects(3, Note(), Job, Note)
    play.fails(2, delay=0)
    assert play.collects(2, Job(n=2), Job, Note) is None


def test_what_is_held_outlives_its_item() -> None:
    play = played(2)
    play.collects(1, Job(n=1), Job, Job)
    play.returns(1)
    assert play.run.contributions
    assert [event.n for event in play.collects(2, Job(n=2), Job, Job)] == [1, 2]
    play.returns(2)
    assert not play.run.contributions
    assert not play.run.held


def test_concurrent_rounds_lose_nothing() -> None:
    """Two items that both began before a set was complete: one completes it, the other begins the next."""
    play = played(4)
    sets = [play.collects(item, Job(n=item), Job, Job) for item in (1, 2, 3, 4)]
    assert [[event.n for event in found] if found else None for found in sets] == [None, [1, 2], None, [3, 4]]

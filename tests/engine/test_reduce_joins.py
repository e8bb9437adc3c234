"""Steps with several event parameters: who is paired with whom, and when."""

from __future__ import annotations

from typing import Any

from tests_support.engine_play import Job, Note, Play, Reply, Special, collects, joins, takes
from workflow_server.events import Event, StartEvent, StepFailedEvent


class Other(Event):
    n: int = 0


class Twin(Job):
    pass


class Sum(Event):
    pass


def play_of(join: Any, **more: Any) -> Play:
    play = Play(go=takes(StartEvent), join=join, **more)
    play.start()
    return play


def numbers(given: list[Any]) -> list[int]:
    return [event.n for event in given]


def test_a_set_is_complete_when_each_parameter_has_its_event() -> None:
    play = play_of(joins(Other, Job))
    assert play.send(Job(n=1)) == []
    assert play.send(Job(n=2)) == []
    assert play.send(Other(n=3)) == ["R join 0 Other"]
    assert numbers(play.given[1]) == [3, 1], "in the order of the parameters, first come first served"
    assert list(play.run.partners) == ["partner/3"], "what is left waits for the next set"
    play.send(Other(n=4))
    assert numbers(play.given[2]) == [4, 2]
    assert not play.run.partners
    assert not play.run.partners_at


def test_parameters_of_one_class_are_filled_in_order() -> None:
    play = play_of(joins(Job, Job))
    for n in range(5):
        play.send(Job(n=n))
    assert [numbers(play.given[item]) for item in (1, 2)] == [[0, 1], [2, 3]]


def test_a_parameter_of_a_base_class_does_not_starve_another() -> None:
    play = play_of(joins(Job, Special, subclasses=True))
    play.send(Special(n=1))
    assert play.send(Job(n=2)) == ["R join 0 Job"]
    assert numbers(play.given[1]) == [2, 1]


def test_a_subclass_fills_the_place_of_its_base() -> None:
    play = play_of(joins(Job, Special, subclasses=True))
    play.send(Special(n=1))
    play.send(Special(n=2))
    assert numbers(play.given[1]) == [1, 2]


def test_whoever_fits_only_one_place_gets_it() -> None:
    """The search goes back on its first choice: the Special that came first is needed further on."""
    play = play_of(joins(Job, Job, Special, Twin, subclasses=True))
    play.send(Twin(n=1))
    play.send(Special(n=2))
    play.send(Job(n=3))
    assert not play.given.get(1)
    play.send(Special(n=4))
    assert numbers(play.given[1]) == [2, 3, 4, 1]


def test_without_subclasses_only_the_class_itself_counts() -> None:
    play = play_of(joins(Job, Other), also=takes(Special))
    play.send(Special())
    assert play.send(Other()) == [], "the special one is no job here"


def test_a_set_that_finds_no_worker_queues() -> None:
    play = play_of(joins(Job, Other, workers=1))
    for n in (1, 2):
        play.send(Job(n=n))
        last = play.send(Other(n=n))
    assert last == ["P join Other"]
    assert play.returns(1) == ["N join 0 Other>NoneType", "R join 0 Other"]
    assert numbers(play.given[2]) == [2, 2]


def test_an_event_for_the_join_alone() -> None:
    play = play_of(joins(Job, Other), read=takes(Job))
    assert play.send(Job(n=1), step="join") == []
    assert play.send(Other(n=2), step="join") == ["R join 0 Other"]


def test_a_failed_set_is_the_event_that_completed_it() -> None:
    play = play_of(joins(Job, Other, catcher="rescue"), rescue=takes(StepFailedEvent, max_recoveries=1))
    play.send(Job(n=1))
    play.send(Other(n=2))
    play.fails(1, delay=0)
    assert numbers(play.given[1]) == [1, 2], "tried again with the same set"
    play.fails(1)
    failed: Any = play.run.items[2].message.event
    assert isinstance(failed.input_event, Other)


def test_a_join_has_no_part_in_collect_events() -> None:
    play = play_of(joins(Job, Other))
    play.send(Job(n=1))
    play.send(Other(n=2))
    assert play.collects(1, Job(n=3), Job, Other) is None
    assert list(play.run.contributions) == ["gave/join/default/1/0"]


def test_the_end_of_the_run_forgets_what_waits_at_joins() -> None:
    play = play_of(joins(Job, Other))
    play.send(Job())
    play.cancel()
    assert not play.run.parts()
    assert play.reaction.changed == {"item/0", "partner/2"}


def test_a_join_in_a_stream() -> None:
    """A set is in the stream of the event that completes it; what waits has left the stream."""
    play = Play(
        go=takes(StartEvent, feeds=("gather",)),
        one=takes(Reply),
        two=takes(Reply),
        join=joins(Job, Other),
        gather=collects(Sum),
    )
    play.start()
    play.lists(0, Reply(n=1), Reply(n=2))
    play.returns(1, Job(n=1))
    assert play.returns(2, Other(n=1)) == ["N two 0 Reply>Other", "R join 0 Other"]
    play.returns(3, Job(n=2))
    play.returns(4, Note())
    assert play.run.streams, "the set is still worked on"
    assert play.returns(5, Sum()) == ["N join 0 Other>Sum", "R gather 0 CollectionReleaseEvent"]
    assert len(play.given[6]) == 1
    assert play.run.partners, "the other half of a set waits on"


def test_many_that_wait_cost_nothing() -> None:
    """A thousand events wait for a partner; each that comes is paired with the first of them."""
    play = play_of(joins(Job, Other, workers=1000))
    for n in range(1000):
        play.send(Job(n=n))
        assert len(play.reaction.changed) == 1
    for n in range(1000):
        play.send(Other(n=n))
        assert len(play.reaction.changed) == 3
        assert numbers(play.given[n + 1]) == [n, n]

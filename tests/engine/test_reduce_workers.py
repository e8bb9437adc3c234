"""Workers, queues, and the order in which readers see them."""

from __future__ import annotations

from tests_support.engine_play import Job, Note, Play, takes
from workflow_server.events import StartEvent, StopEvent


def played(workers: int) -> Play:
    play = Play(first=takes(StartEvent), next=takes(Note), work=takes(Job, workers=workers))
    play.start()
    return play


def test_more_events_than_workers_queue_in_order() -> None:
    play = played(workers=1)
    assert play.send(Job(n=1), by=0) == ["R work 0 Job"]
    assert play.send(Job(n=2), by=0) == ["P work Job"]
    assert play.send(Job(n=3), by=0) == ["P work Job"]
    assert play.returns(0) == ["N first 0 StartEvent>NoneType"]
    assert play.returns(1, Note()) == ["N work 0 Job>Note", "R work 0 Job", "R next 0 Note"], "queue head first"
    assert play.effects == ["start 2.0 work", "start 4.0 next"]
    assert play.returns(2) == ["N work 0 Job>NoneType", "R work 0 Job"]
    assert play.effects == ["start 3.0 work"]


def test_the_smallest_free_worker_number_is_used() -> None:
    play = played(workers=3)
    for _ in range(4):
        play.send(Job(), by=0)
    assert play.returns(2) == ["N work 1 Job>NoneType", "R work 1 Job"]
    assert play.returns(1) == ["N work 0 Job>NoneType"]
    assert play.send(Job(), by=0) == ["R work 0 Job"]


def test_a_step_that_sends_while_it_runs_has_receivers_start_beside_it() -> None:
    play = played(workers=1)
    assert play.send(Note(), by=0) == ["R next 0 Note"]
    assert play.write(Job(), by=0) == ["Job"]
    assert play.returns(0) == ["N first 0 StartEvent>NoneType"]


def test_active_steps_are_those_with_a_worker() -> None:
    play = played(workers=1)
    play.send(Job(), by=0)
    play.send(Note(), by=0)
    assert play.run.active_steps == ("first", "next", "work")
    play.waits(2)
    assert play.run.active_steps == ("first", "work")


# Ends


def test_a_stop_event_clears_everything() -> None:
    play = played(workers=1)
    play.send(Job(), by=0)
    play.send(Job(), by=0)
    play.send(Note(), by=0)
    play.waits(3, within=10)
    play.collects(1, Job(), Job, Note)
    assert play.returns(0, StopEvent(result=7)) == ["N first 0 StartEvent>StopEvent", "StopEvent"]
    assert play.effects == ["end completed"]
    run = play.run
    for left in (run.items, run.waits, run.contributions, run.held, run.waiting):
        assert not left
    assert run.next_due() is None
    assert {"item/1", "item/2", "item/3"} <= play.reaction.changed, "the commit removes all parts"
    assert all(run.part(key) is None for key in play.reaction.changed)
    assert run.result is not None
    assert play.returns(1, StopEvent(result=8)) == [], "the first stop event counts"


def test_the_time_limit_names_the_steps_at_work() -> None:
    play = played(workers=1)
    play.send(Job(), by=0)
    assert play.time_is_up(0.2) == ["timed out: first, work"]
    assert play.run.active_at_end == ("first", "work")
    assert play.effects == ["end timed_out"]


def test_a_step_that_waits_is_not_at_work() -> None:
    play = played(workers=1)
    play.waits(0)
    assert play.time_is_up(0.2) == ["timed out: "]
    assert play.run.active_at_end == ()


def test_cancelling_tells_no_end_of_steps() -> None:
    play = played(workers=1)
    assert play.cancel() == ["cancelled"]
    assert play.effects == ["end cancelled"]


def test_sequence_numbers_and_times() -> None:
    play = played(workers=1)
    play.at = 1007.5
    play.returns(0, Note())
    assert [(one.sequence, one.at) for one in play.reaction.publications] == [(1, 1007.5), (2, 1007.5)]

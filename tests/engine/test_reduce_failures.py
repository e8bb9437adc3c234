"""Failures: retries, `catch_error` handlers, the end of a run."""

from __future__ import annotations

from tests_support.engine_play import Job, Note, Play, takes
from workflow_server.engine.effects import RunFailed, StartStep
from workflow_server.engine.state import ItemPhase
from workflow_server.events import StartEvent, StepFailedEvent, StopEvent


def test_a_failure_ends_the_run() -> None:
    play = Play(go=takes(StartEvent), other=takes(Job))
    play.start()
    play.send(Job(), by=0)
    error = ValueError("no")
    assert play.fails(0, error) == ["N go 0 StartEvent>-", "failed go: no"]
    assert play.effects == ["end failed"]
    assert play.run.exception is error
    assert play.run.error == "no"


def test_a_retry_at_once() -> None:
    play = Play(go=takes(StartEvent))
    play.start()
    assert play.fails(0, delay=0) == ["N go 0 StartEvent>-", "R go 0 StartEvent"]
    assert play.effects == ["start 0.1 go"]
    (effect,) = play.reaction.effects
    assert isinstance(effect, StartStep)
    assert effect.attempts == 1


def test_a_retry_goes_before_everything_that_queues() -> None:
    play = Play(go=takes(StartEvent), work=takes(Job, workers=1))
    play.start()
    play.send(Job(n=1), by=0)
    play.send(Job(n=2), by=0)
    assert play.fails(1, delay=0) == ["N work 0 Job>-", "R work 0 Job"]
    assert play.effects == ["start 1.1 work"]


def test_a_delayed_retry_leaves_its_worker_to_others_and_comes_back_in_front() -> None:
    play = Play(go=takes(StartEvent), work=takes(Job, workers=1))
    play.start()
    for n in (1, 2, 3):
        play.send(Job(n=n), by=0)
    play.returns(0)
    assert play.fails(1, delay=2.5) == ["N work 0 Job>-", "R work 0 Job"]
    assert play.run.items[1].phase is ItemPhase.DELAYED
    assert play.run.next_due() == (play.at + 2.5, "item/1")
    assert play.passes(2.5) == [], "no worker is free"
    assert play.returns(2) == ["N work 0 Job>NoneType", "R work 0 Job"]
    assert play.effects == ["start 1.1 work"]


def test_a_run_with_delayed_work_is_not_idle() -> None:
    play = Play(go=takes(StartEvent))
    play.start()
    assert play.fails(0, delay=1) == ["N go 0 StartEvent>-"]
    assert play.passes(1) == ["R go 0 StartEvent"]


def test_attempts_and_elapsed_time_are_told() -> None:
    play = Play(go=takes(StartEvent))
    play.start()
    play.fails(0, delay=4)
    play.passes(4)
    play.at += 1
    assert play.fails(0) == ["N go 0 StartEvent>-", "failed go: boom"]
    fact = play.reaction.publications[-1].fact
    assert isinstance(fact, RunFailed)
    assert (fact.attempts, fact.elapsed) == (2, 5.0)


# Handlers


def rescued(max_recoveries: int = 1) -> Play:
    play = Play(
        go=takes(StartEvent, catcher="rescue"),
        work=takes(Job, catcher="rescue"),
        plain=takes(Note),
        rescue=takes(StepFailedEvent, workers=1, max_recoveries=max_recoveries),
    )
    play.start()
    return play


def test_a_handler_is_given_what_failed() -> None:
    play = rescued()
    error = ValueError("no")
    lines = play.fails(0, error)
    assert lines == ["N go 0 StartEvent>-", "R rescue 0 StepFailedEvent"]
    (effect,) = play.reaction.effects
    assert isinstance(effect, StartStep)
    event = effect.message.event
    assert isinstance(event, StepFailedEvent)
    assert event.exception is error
    assert isinstance(event.input_event, StartEvent)
    assert (event.step_name, event.attempts, event.failed_at.timestamp()) == ("go", 1, play.at)
    assert play.returns(1, StopEvent()) == ["N rescue 0 StepFailedEvent>StopEvent", "StopEvent"]
    assert play.run.error is None


def test_a_handlers_own_failure_fails_the_run_in_its_name() -> None:
    play = rescued()
    play.fails(0)
    assert play.fails(1, ValueError("worse")) == ["N rescue 0 StepFailedEvent>-", "failed rescue: worse"]


def test_a_step_without_handler_fails_the_run() -> None:
    play = rescued()
    play.send(Note(), by=0)
    assert play.fails(1) == ["N plain 0 Note>-", "failed plain: boom"]


def test_the_budget_goes_along_the_lineage_of_returned_events() -> None:
    play = rescued(max_recoveries=2)
    play.fails(0)
    play.returns(1, Job())
    assert play.fails(2) == ["N work 0 Job>-", "R rescue 0 StepFailedEvent"]
    play.returns(3, Job())
    assert play.fails(4) == ["N work 0 Job>-", "failed work: boom"]


def test_the_budget_goes_along_the_lineage_of_sent_events() -> None:
    play = rescued()
    play.fails(0)
    play.send(Job(), by=1)
    assert play.fails(2) == ["N work 0 Job>-", "failed work: boom"]


def test_another_lineage_has_a_budget_of_its_own() -> None:
    play = rescued()
    play.fails(0)
    play.returns(1)
    play.send(Job())
    assert play.fails(2) == ["N work 0 Job>-", "R rescue 0 StepFailedEvent"]


def test_handlers_count_separately() -> None:
    play = Play(
        go=takes(StartEvent, catcher="a"),
        work=takes(Job, catcher="b"),
        a=takes(StepFailedEvent, max_recoveries=1),
        b=takes(StepFailedEvent, max_recoveries=1),
    )
    play.start()
    assert play.fails(0)[-1] == "R a 0 StepFailedEvent", "and not to the other handler"
    play.returns(1, Job())
    assert play.fails(2)[-1] == "R b 0 StepFailedEvent"


def test_retries_come_before_the_handler_and_what_the_item_gave_and_asked_goes_with_it() -> None:
    play = rescued()
    play.waits(0)
    play.fails(0, delay=0)
    assert play.run.waits
    play.fails(0)
    assert not play.run.waits


def test_what_is_no_exception_is_no_handlers_business() -> None:
    play = rescued()
    assert play.fails(0, KeyboardInterrupt("never an input, but the engine need not know"))[-1].startswith("failed go")


def test_a_failure_of_a_waiting_item_makes_room_for_nobody() -> None:
    """It had no worker to give back."""
    play = Play(go=takes(StartEvent), work=takes(Job, workers=1))
    play.start()
    play.send(Job(), by=0)
    play.waits(1)
    play.send(Job(), by=0)
    play.send(Job(), by=0)
    play.returns(0)
    assert play.fails(1, delay=9) == ["N work <enqueued> Job>-"]
    assert play.run.loads["work"].busy == {0}

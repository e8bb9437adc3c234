"""Waiting for events: who is answered, when, and what happens to the worker meanwhile."""

from __future__ import annotations

import json

import pytest

from tests_support.engine_play import Job, Note, Play, PoliteReply, Question, Reply, takes
from workflow_server.engine.inputs import Misdirected, Sent, Unwanted, WaitName
from workflow_server.engine.message import message_of
from workflow_server.engine.parts import encode_part
from workflow_server.engine.state import ItemPhase
from workflow_server.events import StartEvent, StopEvent
from workflow_server.wire.records import IdempotencyKey


def played(workers: int = 4, *, subclasses: bool = False, jobs: int = 1) -> Play:
    """A run in which items 1, 2, … are Jobs of the step `work`."""
    play = Play(go=takes(StartEvent), work=takes(Job, workers=workers, subclasses=subclasses), other=takes(Note))
    play.start()
    for n in range(jobs):
        play.send(Job(n=n), by=0)
    play.returns(0)
    return play


def test_a_wait_frees_the_worker_asks_and_is_idle() -> None:
    play = played()
    assert play.waits(1, prompt=Question()) == ["N work 0 Job>-", "Question", "idle"]
    assert play.send(Reply(n=5)) == ["R work 0 Job"]
    assert play.effects == ["resume 1 Reply"]
    assert play.returns(1, StopEvent()) == ["N work 0 Job>StopEvent", "StopEvent"]


def test_a_free_worker_goes_to_the_next_event_at_once() -> None:
    play = played(workers=1, jobs=2)
    assert play.waits(1) == ["N work 0 Job>-", "R work 0 Job"]
    assert play.effects == ["start 2.0 work"]


def test_answered_waits_come_before_new_work() -> None:
    play = played(workers=1, jobs=3)
    play.waits(1)
    assert play.send(Reply()) == []
    assert play.run.items[1].phase is ItemPhase.ANSWERED
    assert play.returns(2) == ["N work 0 Job>NoneType", "R work 0 Job"]
    assert play.effects == ["resume 1 Reply"]
    assert play.returns(1) == ["N work 0 Job>NoneType", "R work 0 Job"]
    assert play.effects == ["start 3.0 work"]


def test_two_waits_in_a_row_are_two() -> None:
    play = played()
    play.waits(1)
    play.send(Reply(n=1))
    assert play.waits(1) == ["N work 0 Job>-", "idle"]
    play.send(Reply(n=2))
    assert play.effects == ["resume 1 Reply"]


def test_two_waits_side_by_side() -> None:
    play = played()
    assert play.waits(1, n=1) == ["N work 0 Job>-", "idle"]
    assert play.waits(1, n=2) == []
    assert play.send(Reply(n=2)) == ["R work 0 Job"]
    assert play.send(Reply(n=1)) == []
    assert play.effects == ["resume 1 Reply"], "it has a worker already"


def test_one_event_answers_both_waits_side_by_side() -> None:
    play = played()
    play.waits(1)
    play.waits(1)
    assert play.send(Reply()) == ["R work 0 Job"]
    assert play.effects == ["resume 1 Reply", "resume 1 Reply"]


def test_one_event_answers_all_waits_that_it_fits() -> None:
    play = played(jobs=2)
    play.waits(1)
    play.waits(2)
    assert play.send(Reply()) == ["R work 0 Job", "R work 1 Job"]
    assert play.effects == ["resume 1 Reply", "resume 2 Reply"]


def test_identical_waits_of_two_items_are_two() -> None:
    play = played(jobs=2)
    play.waits(1, who="a", prompt=Question())
    assert play.waits(2, who="a", prompt=Question()) == ["N work 1 Job>-", "Question", "idle"]
    assert len(play.run.waits) == 2


def test_an_answer_to_one_wait_goes_nowhere_else() -> None:
    play = played(jobs=2)
    play.waits(1, who="a")
    play.waits(2, who="b")
    one, other = (WaitName(wait.key, wait.place) for wait in play.run.waits.values())
    assert play.answers(Reply(who="a"), other) == []
    assert play.reaction.verdict == Unwanted(is_over=False), "it is for something else"
    assert play.answers(Reply(who="b"), other) == ["R work 0 Job"]
    assert play.effects == ["resume 2 Reply"]
    assert play.answers(Reply(who="b"), other) == []
    assert play.reaction.verdict == Unwanted(is_over=True)
    for wrong in (WaitName(one.key, one.place + 9), WaitName("wait/9/x/0", 1)):
        assert play.answers(Reply(who="a"), wrong) == []
        assert play.reaction.verdict == Unwanted(is_over=True)
    assert play.answers(Reply(who="a"), one) == ["R work 1 Job"]


def test_the_keys_of_a_request_are_told_only_if_it_did_something() -> None:
    play = played()
    keys = (IdempotencyKey("h", "k", "p"),)
    play.do(Sent(play.at, message_of(Reply()), "nowhere", keys=keys))
    assert (play.reaction.verdict, play.reaction.keys) == (Misdirected("nowhere", exists=False), ())
    play.do(Sent(play.at, message_of(Reply()), keys=keys))
    assert play.reaction.keys == keys


def test_requirements() -> None:
    play = played()
    play.waits(1, who="ann", n=3)
    assert play.send(Reply(n=3)) == ["unhandled Reply idle", "idle"]
    assert play.send(Reply(who="ann", n=4)) == ["unhandled Reply idle", "idle"]
    assert play.send(Reply(who="ann", n=3)) == ["R work 0 Job"]


def test_a_requirement_may_hold_half_a_surrogate_pair() -> None:
    """As a file name may. JSON has an escape for it, UTF-8 has no bytes."""
    play = played()
    play.waits(1, who="\udcff")
    stored = encode_part(next(iter(play.run.waits.values())))
    assert json.loads(stored)["requirements"] == {"who": "\udcff"}
    assert play.send(Reply(who="\udcff")) == ["R work 0 Job"]


def test_an_event_lacks_a_required_attribute() -> None:
    play = played()
    play.waits(1, colour=None)
    assert play.send(Reply()) == ["unhandled Reply idle", "idle"]
    assert play.send(Reply(colour=None)) == ["R work 0 Job"]


@pytest.mark.parametrize("subclasses", [False, True])
def test_subclasses_answer_where_the_step_takes_subclasses(subclasses: bool) -> None:
    play = played(subclasses=subclasses)
    play.waits(1)
    expected = ["R work 0 Job"] if subclasses else ["unhandled PoliteReply idle", "idle"]
    assert play.send(PoliteReply()) == expected


def test_a_step_whose_wait_is_answered_does_not_get_the_event_as_work_too() -> None:
    play = Play(go=takes(StartEvent, Reply), other=takes(Reply))
    play.start()
    play.waits(0)
    assert play.send(Reply()) == ["R go 0 StartEvent", "R other 0 Reply"]
    assert play.effects == ["resume 0 Reply", "start 1.0 other"]


# Shared ids


def test_waits_of_one_step_with_one_id_are_one() -> None:
    play = played(jobs=2)
    assert play.waits(1, id="boss", prompt=Question()) == ["N work 0 Job>-", "Question"]
    assert play.waits(2, id="boss", prompt=Question()) == ["N work 1 Job>-", "idle"], "asked once"
    assert list(play.run.waits) == ["wait/work/boss"]
    play.send(Reply())
    assert play.effects == ["resume 1 Reply", "resume 2 Reply"]
    play.returns(1)
    assert play.run.waits, "item 2 may still come back to it"
    play.returns(2)
    assert not play.run.waits


def test_a_shared_wait_that_is_answered_answers_late_comers_at_once() -> None:
    play = played(jobs=2)
    play.waits(1, id="boss")
    play.send(Reply(n=9))
    assert play.waits(2, id="boss") == []
    assert play.answer.n == 9


def test_equal_ids_of_two_steps_are_two_waits() -> None:
    play = Play(go=takes(StartEvent), other=takes(Job))
    play.start()
    play.send(Job(), by=0)
    play.waits(0, id="boss")
    play.waits(1, id="boss")
    assert sorted(play.run.waits) == ["wait/go/boss", "wait/other/boss"]


def test_one_item_waits_twice_on_one_id() -> None:
    """Two tasks of a step may await the same shared wait; each may give up without harming the other."""
    play = played()
    play.waits(1, id="boss")
    play.waits(1, id="boss")
    assert play.abandons(1, "wait/work/boss") == ["R work 0 Job"]
    assert play.run.waits, "the other task still waits"
    play.send(Reply())
    assert play.effects == ["resume 1 Reply"]
    assert play.returns(1) == ["N work 0 Job>NoneType", "idle"]
    assert not play.run.waits


def test_one_item_gives_up_one_id_twice() -> None:
    play = played()
    play.waits(1, id="boss")
    play.waits(1, id="boss")
    play.abandons(1, "wait/work/boss")
    assert play.abandons(1, "wait/work/boss") == []
    assert not play.run.waits
    assert play.returns(1) == ["N work 0 Job>NoneType", "idle"]


# Time


def test_a_wait_times_out() -> None:
    play = played()
    play.waits(1, within=10)
    assert play.passes(9.9) == []
    assert play.passes(0.1) == ["R work 0 Job"]
    assert play.effects == ["resume 1 timeout"]


def test_an_answer_in_time_disarms_the_deadline() -> None:
    play = played()
    play.waits(1, within=10)
    play.send(Reply())
    assert play.run.next_due() is None
    assert play.passes(20) == []


def test_due_waits_time_out_in_the_order_of_their_deadlines() -> None:
    play = played(jobs=2)
    play.waits(1, within=10)
    play.waits(2, within=5)
    play.passes(20)
    assert play.effects == ["resume 2 timeout", "resume 1 timeout"]


def test_late_comers_of_a_shared_wait_that_timed_out_are_told_at_once() -> None:
    play = played(jobs=2)
    play.waits(1, id="boss", within=1)
    play.passes(2)
    play.waits(2, id="boss", within=10)
    assert play.answer == "timeout"


# Giving up


def test_a_step_that_gives_up_goes_on_at_once() -> None:
    play = played()
    play.waits(1)
    assert play.abandons(1, "wait/1/tests_support.engine_play.Reply/0") == ["R work 0 Job"]
    assert not play.run.waits
    assert play.send(Reply()) == ["unhandled Reply"]
    assert play.returns(1) == ["N work 0 Job>NoneType", "idle"]


def test_a_step_that_gives_up_goes_over_its_limit_of_workers() -> None:
    play = played(workers=1, jobs=2)
    play.waits(1)
    assert play.abandons(1, "wait/1/tests_support.engine_play.Reply/0") == ["R work 1 Job"]
    assert play.send(Job()) == ["P work Job"]
    assert play.returns(2) == ["N work 0 Job>NoneType"], "still as many as allowed"
    assert play.returns(1) == ["N work 1 Job>NoneType", "R work 0 Job"]


def test_a_step_that_gives_up_an_answered_wait_before_it_has_a_worker() -> None:
    play = played(workers=1, jobs=2)
    play.waits(1)
    play.send(Reply())
    assert play.abandons(1, "wait/1/tests_support.engine_play.Reply/0") == ["R work 1 Job"]
    assert play.returns(2) == ["N work 0 Job>NoneType"]
    assert play.returns(1) == ["N work 1 Job>NoneType", "idle"]


def test_giving_up_one_of_two_waits_side_by_side_goes_on() -> None:
    play = played()
    play.waits(1, who="a")
    play.waits(1, who="b")
    assert play.abandons(1, "wait/1/tests_support.engine_play.Reply/0") == ["R work 0 Job"]
    assert play.send(Reply(who="b")) == []
    assert play.effects == ["resume 1 Reply"]


def test_giving_up_what_is_over_does_nothing() -> None:
    play = played()
    play.waits(1)
    play.send(Reply())
    assert play.abandons(1, "wait/1/tests_support.engine_play.Reply/0") == []
    assert play.abandons(1, "wait/nowhere") == []


# Ends of steps that wait


def test_a_step_ends_while_a_task_of_its_own_waits() -> None:
    play = played()
    play.waits(1)
    assert play.returns(1, Note()) == ["N work <enqueued> Job>Note", "R other 0 Note"]
    assert not play.run.waits


def test_a_step_ends_while_its_answer_waits_for_a_worker() -> None:
    play = played(workers=1, jobs=2)
    play.waits(1)
    play.send(Reply())
    assert play.run.items[1].phase is ItemPhase.ANSWERED
    play.returns(1)
    assert play.returns(2) == ["N work 0 Job>NoneType", "idle"]


def test_a_step_fails_while_its_answer_waits_for_a_worker() -> None:
    play = played(workers=1, jobs=2)
    play.waits(1)
    play.send(Reply())
    play.fails(1, delay=0)
    assert play.returns(2) == ["N work 0 Job>NoneType", "R work 0 Job"]
    assert play.effects == ["start 1.1 work"]
    assert play.returns(1) == ["N work 0 Job>NoneType", "idle"]


def test_the_answer_survives_a_retry() -> None:
    play = played()
    play.waits(1, prompt=Question())
    play.send(Reply(n=4))
    assert play.fails(1, delay=0) == ["N work 0 Job>-", "R work 0 Job"]
    assert play.waits(1, prompt=Question()) == []
    assert play.answer.n == 4
    assert play.waits(1) == ["N work 0 Job>-", "idle"], "the next wait is another"


def test_what_a_retry_requires_instead_is_stored() -> None:
    play = played()
    play.waits(1, n=1)
    (key,) = play.run.waits
    play.fails(1, delay=0)
    play.waits(1, n=2)
    assert play.reaction.changed == {"item/1", key}
    assert play.run.waits[key].requirements == {"n": 2}


def test_an_open_wait_is_found_again_by_a_retry_and_asks_no_second_time() -> None:
    play = played()
    play.waits(1, prompt=Question(), within=10)
    assert play.fails(1, delay=0)[-1] == "R work 0 Job"
    assert play.waits(1, prompt=Question(), within=10) == ["N work 0 Job>-", "idle"]
    play.passes(10)
    assert play.effects == ["resume 1 timeout"]


def test_an_answer_that_comes_between_two_attempts_is_kept() -> None:
    play = played()
    play.waits(1)
    play.fails(1, delay=5)
    assert play.send(Reply(n=6)) == []
    play.passes(5)
    assert play.waits(1) == []
    assert play.answer.n == 6


def test_waits_of_finished_items_are_forgotten() -> None:
    play = played()
    play.waits(1)
    play.send(Reply())
    play.returns(1)
    assert not play.run.waits
    assert play.send(Reply()) == ["unhandled Reply idle", "idle"]


class Vector:
    """Compares as arrays do."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("neither true nor false")

    __hash__ = None  # type: ignore[assignment]


def test_a_comparison_that_fails_is_no_match() -> None:
    play = played()
    play.waits(1, n=Vector())
    assert play.send(Reply(n=1)) == ["unhandled Reply idle", "idle"]

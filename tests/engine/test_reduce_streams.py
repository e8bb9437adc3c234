"""Fan-out and fan-in: when a stream closes, who is given what, and what stays out of it."""

from __future__ import annotations

from typing import Any

from tests_support.engine_play import Job, Note, Play, Question, Reply, Special, collects, takes
from workflow_server.events import CollectionReleaseEvent, Event, StartEvent, StepFailedEvent, StopEvent


class Done(Event):
    n: int = 0


class Page(Event):
    n: int = 0


class Sum(Event):
    n: int = 0


def numbers(given: list[Any]) -> list[int]:
    return [event.n for event in given]


def play_of(**more: Any) -> Play:
    """A fan-out of Jobs, worked on one by one, their results collected."""
    play = Play(
        **{
            "end": takes(Sum),
            "gather": collects(Done),
            "go": takes(StartEvent, feeds=("gather",)),
            "work": takes(Job),
        }
        | more
    )
    play.start()
    return play


def fanned_out(count: int, **more: Any) -> Play:
    play = play_of(**more)
    play.lists(0, *(Job(n=n) for n in range(1, count + 1)))
    return play


def test_members_are_given_in_order_of_arrival() -> None:
    play = play_of()
    assert play.lists(0, Job(n=1), Job(n=2), Job(n=3)) == [
        "N go 0 StartEvent>Job",
        "R work 0 Job",
        "R work 1 Job",
        "R work 2 Job",
    ]
    assert play.returns(3, Done(n=3)) == ["N work 2 Job>Done"]
    assert play.returns(1, Done(n=1)) == ["N work 0 Job>Done"]
    assert play.returns(2, Done(n=2)) == ["N work 1 Job>Done", "R gather 0 CollectionReleaseEvent"]
    assert numbers(play.given[4]) == [3, 1, 2]
    assert play.returns(4, Sum()) == ["N gather 0 CollectionReleaseEvent>Sum", "R end 0 Sum"]


def test_what_is_over_leaves_nothing() -> None:
    play = fanned_out(2)
    play.returns(1, Done())
    assert sorted(play.run.members) == ["member/0/5"]
    play.returns(2, Done())
    assert not play.run.members
    assert not play.run.streams
    play.returns(3)
    assert not play.run.items


def test_an_empty_list_is_collected_too() -> None:
    play = play_of()
    assert play.lists(0) == ["N go 0 StartEvent>NoneType", "R gather 0 CollectionReleaseEvent"]
    assert play.given[1] == []
    assert not play.run.streams


def test_nothing_returned_opens_no_stream() -> None:
    play = play_of()
    assert play.returns(0) == ["N go 0 StartEvent>NoneType", "idle"]


def test_a_list_may_go_straight_to_its_collect_step() -> None:
    play = play_of(gather=collects(Job), work=takes(Note))
    assert play.lists(0, Job(n=1), Job(n=2)) == ["N go 0 StartEvent>Job", "R gather 0 CollectionReleaseEvent"]
    assert numbers(play.given[1]) == [1, 2]


def test_a_list_is_told_by_its_last_event() -> None:
    assert play_of().lists(0, Done(), Job())[0] == "N go 0 StartEvent>Job"


def test_a_branch_that_ends_is_no_member() -> None:
    play = fanned_out(3)
    play.returns(1)
    play.returns(2, Note())
    assert play.returns(3, Done(n=3)) == ["N work 2 Job>Done", "R gather 0 CollectionReleaseEvent"]
    assert numbers(play.given[4]) == [3]


def test_what_nobody_takes_is_told_after_all_else() -> None:
    play = play_of()
    assert play.lists(0, Note(), Question()) == [
        "N go 0 StartEvent>Question",
        "Question",
        "R gather 0 CollectionReleaseEvent",
        "unhandled Note",
    ]


def test_every_branch_counts() -> None:
    """A member is taken by two steps: the stream waits for both."""
    play = fanned_out(1, again=takes(Job))
    play.returns(1, Done(n=1))
    assert play.returns(2, Done(n=2)) == ["N again 0 Job>Done", "R gather 0 CollectionReleaseEvent"]
    assert numbers(play.given[3]) == [1, 2]


def test_a_type_may_be_taken_and_collected() -> None:
    play = fanned_out(2, read=takes(Done))
    assert play.returns(1, Done(n=1)) == ["N work 0 Job>Done", "R read 0 Done"]
    play.returns(2, Done(n=2))
    play.returns(3)
    assert play.returns(4) == ["N read 1 Done>NoneType", "R gather 0 CollectionReleaseEvent"]
    assert numbers(play.given[5]) == [1, 2]


def test_each_collect_step_sees_the_whole_stream() -> None:
    play = fanned_out(
        2, gather=collects(Done), tally=collects(Done, Note), go=takes(StartEvent, feeds=("gather", "tally"))
    )
    play.returns(1, Done(n=1))
    play.returns(2, Note())
    assert numbers(play.given[3]) == [1]
    assert [type(event) for event in play.given[4]] == [Done, Note]


def test_a_member_that_stops_the_run_stops_it() -> None:
    play = fanned_out(2)
    play.returns(1, Done())
    assert play.returns(2, StopEvent(result=1)) == ["N work 1 Job>StopEvent", "StopEvent"]
    assert not play.run.parts()


def test_a_list_that_stops_the_run_does_nothing_else() -> None:
    play = play_of()
    assert play.lists(0, Job(), StopEvent(result=1), Job()) == ["N go 0 StartEvent>Job", "StopEvent"]
    assert play.effects == ["end completed"]


# ---------------------------------------------------------------------------------------------- accounting


def test_a_retried_member_stays_and_counts_once() -> None:
    play = fanned_out(2)
    play.fails(1, delay=5)
    play.returns(2, Done(n=2))
    play.passes(5)
    play.fails(1, delay=0)
    assert play.returns(1, Done(n=1)) == ["N work 0 Job>Done", "R gather 0 CollectionReleaseEvent"]
    assert numbers(play.given[3]) == [2, 1]


def test_a_rescued_member_stays_and_counts_once() -> None:
    play = fanned_out(2, work=takes(Job, catcher="rescue"), rescue=takes(StepFailedEvent, max_recoveries=1))
    assert play.fails(1) == ["N work 0 Job>-", "R rescue 0 StepFailedEvent"]
    play.returns(2, Done(n=2))
    assert play.returns(3, Done(n=1)) == ["N rescue 0 StepFailedEvent>Done", "R gather 0 CollectionReleaseEvent"]
    assert numbers(play.given[4]) == [2, 1]


def test_a_member_that_waits_holds_the_stream() -> None:
    play = fanned_out(2)
    play.waits(1)
    play.returns(2, Done(n=2))
    assert play.run.idle
    assert play.run.streams
    play.send(Reply())
    assert play.returns(1, Done(n=1)) == ["N work 0 Job>Done", "R gather 0 CollectionReleaseEvent"]


def test_a_wait_that_times_out_goes_on_in_the_stream() -> None:
    play = fanned_out(1)
    play.waits(1, within=5)
    play.passes(5)
    assert play.effects == ["resume 1 timeout"]
    assert play.returns(1)[-1] == "R gather 0 CollectionReleaseEvent"


def test_collect_events_in_a_stream() -> None:
    play = fanned_out(3)
    assert play.collects(1, Job(n=1), Job, Job) is None
    play.returns(1)
    assert numbers(play.collects(2, Job(n=2), Job, Job)) == [1, 2]
    play.returns(2, Done(n=12))
    assert play.collects(3, Job(n=3), Job, Job) is None
    play.returns(3)
    assert numbers(play.given[4]) == [12]


def test_the_answer_to_a_wait_may_come_from_a_member() -> None:
    """The member that waits takes it; the collect step gets it as well."""
    play = fanned_out(2)
    play.waits(1, Done)
    play.returns(2, Done(n=2))
    assert play.effects == ["resume 1 Done"]
    play.returns(1, Done(n=20))
    assert numbers(play.given[3]) == [2, 20]


# -------------------------------------------------------------------------------------------------- taking


def test_some_are_enough() -> None:
    play = fanned_out(4, gather=collects(Done, take=2))
    play.returns(2, Done(n=2))
    assert play.returns(1, Done(n=1)) == ["N work 0 Job>Done", "R gather 0 CollectionReleaseEvent"]
    assert numbers(play.given[5]) == [2, 1]
    assert play.returns(3, Done(n=3)) == ["N work 2 Job>Done"], "the rest goes unheard"
    assert not play.run.members
    assert play.returns(5, Sum()) == ["N gather 0 CollectionReleaseEvent>Sum", "R end 0 Sum"]
    play.returns(4, Done(n=4))
    assert not play.run.streams


def test_fewer_are_taken_at_the_end() -> None:
    play = fanned_out(2, gather=collects(Done, take=5))
    play.returns(1, Done(n=1))
    play.returns(2)
    assert numbers(play.given[3]) == [1]


def test_all_of_one_and_some_of_another() -> None:
    play = fanned_out(3, first=collects(Done, take=1), go=takes(StartEvent, feeds=("first", "gather")))
    assert play.returns(1, Done(n=1))[-1] == "R first 0 CollectionReleaseEvent"
    play.returns(2, Done(n=2))
    assert play.returns(3, Done(n=3))[-1] == "R gather 0 CollectionReleaseEvent"
    assert numbers(play.given[4]) == [1]
    assert numbers(play.given[5]) == [1, 2, 3]


# ------------------------------------------------------------------------------------------------- nesting


def nested(*, take: int | None = None) -> Play:
    """Two Jobs in an outer stream, each opens an inner one of Pages."""
    play = Play(
        go=takes(StartEvent, feeds=("gather",)),
        split=takes(Job, feeds=("bind",)),
        read=takes(Page),
        bind=collects(Note, take=take),
        gather=collects(Done),
    )
    play.start()
    play.lists(0, Job(n=1), Job(n=2))
    return play


def test_what_an_inner_stream_gives_belongs_to_the_outer_one() -> None:
    play = nested()
    play.lists(1, Page(n=1), Page(n=2))
    assert play.lists(2) == ["N split 1 Job>NoneType", "R bind 0 CollectionReleaseEvent"], "streams never merge"
    play.returns(5, Done(n=0))
    play.returns(3, Note())
    play.returns(4, Note())
    assert len(play.given[6]) == 2
    assert play.returns(6, Done(n=2)) == [
        "N bind 0 CollectionReleaseEvent>Done",
        "R gather 0 CollectionReleaseEvent",
    ]
    assert numbers(play.given[7]) == [0, 2]
    assert not play.run.streams


def test_inner_steps_that_return_nothing_close_the_outer_stream() -> None:
    play = nested()
    play.lists(1)
    play.lists(2)
    play.returns(3)
    assert play.returns(4) == ["N bind 1 CollectionReleaseEvent>NoneType", "R gather 0 CollectionReleaseEvent"]
    assert play.given[5] == []


def test_nobody_waits_for_an_inner_stream_without_a_collect_step() -> None:
    play = Play(go=takes(StartEvent, feeds=("gather",)), split=takes(Job), read=takes(Page), gather=collects(Done))
    play.start()
    play.lists(0, Job())
    assert play.lists(1, Page()) == ["N split 0 Job>Page", "R read 0 Page", "R gather 0 CollectionReleaseEvent"]
    assert list(play.run.streams) == [1], "it goes on by itself"
    play.returns(2)
    assert not play.run.streams


def test_nobody_waits_for_the_rest_of_what_was_taken() -> None:
    """An inner stream that gave what was wanted no longer holds the outer one, though it is not over."""
    play = nested(take=1)
    play.lists(1, Page(), Page())
    play.lists(2, Page())
    play.returns(3, Note())
    play.returns(5, Note())
    play.returns(6, Done(n=1))
    assert play.returns(7, Done(n=2))[-1] == "R gather 0 CollectionReleaseEvent"
    assert list(play.run.streams) == [1]
    play.returns(8, Sum())
    play.returns(4, Note())
    assert not play.run.streams
    assert play.run.idle


def test_a_collect_step_may_open_a_stream() -> None:
    play = Play(go=takes(StartEvent, feeds=("first",)), first=collects(Job, feeds=("second",)), second=collects(Done))
    play.start()
    play.lists(0, Job(n=1))
    assert play.lists(1, Done(n=5), Done(n=6)) == [
        "N first 0 CollectionReleaseEvent>Done",
        "R second 0 CollectionReleaseEvent",
    ]
    assert numbers(play.given[2]) == [5, 6]


def test_each_execution_has_a_stream_of_its_own() -> None:
    play = Play(go=takes(StartEvent), split=takes(Job, feeds=("gather",)), read=takes(Page), gather=collects(Done))
    play.start()
    play.send(Job(n=1), by=0)
    play.send(Job(n=2), by=0)
    play.returns(0)
    play.lists(1, Page(n=1))
    play.lists(2, Page(n=2))
    play.returns(4, Done(n=2))
    assert numbers(play.given[5]) == [2]
    play.returns(3, Done(n=1))
    assert numbers(play.given[6]) == [1]


# --------------------------------------------------------------------------------- failures of collect steps


def test_a_collect_step_is_retried_with_the_same_members() -> None:
    play = fanned_out(2)
    play.returns(1, Done(n=1))
    play.returns(2, Done(n=2))
    play.fails(3, delay=0)
    assert play.effects == ["start 3.1 gather"]
    assert numbers(play.given[3]) == [1, 2]


def test_a_handler_sees_what_the_collect_step_was_given() -> None:
    play = fanned_out(2, gather=collects(Done, catcher="rescue"), rescue=takes(StepFailedEvent, max_recoveries=1))
    play.returns(1, Done(n=1))
    play.returns(2, Done(n=2))
    play.fails(3)
    failed: Any = play.run.items[4].message.event
    assert isinstance(failed.input_event, CollectionReleaseEvent)
    assert numbers(failed.input_event.events) == [1, 2]
    assert (failed.input_event.stream_id, failed.input_event.binding_id) == ("0", "go->gather")
    assert play.returns(4, Sum())[-1] == "R end 0 Sum", "what it returns belongs to where the list was returned"


def test_recoveries_before_the_list_count_for_all_that_it_leads_to() -> None:
    """Else a failing step behind a fan-out could be rescued for ever, by way of the fan-out."""
    play = fanned_out(
        1,
        go=takes(StartEvent, Note, feeds=("gather",), catcher="rescue"),
        gather=collects(Done, catcher="rescue"),
        work=takes(Job, catcher="rescue"),
        rescue=takes(StepFailedEvent, max_recoveries=2),
    )
    play.fails(1)
    play.returns(2, Done())
    assert play.run.items[3].recoveries == (), "what a member was rescued from is not held against the others"
    play.fails(3)
    play.returns(4, Note())
    play.lists(5, Job())
    assert play.run.items[6].recoveries == (("rescue", 1),)
    play.returns(6, Done())
    play.fails(7)
    play.returns(8, Note())
    play.lists(9)
    assert play.fails(10) == ["N gather 0 CollectionReleaseEvent>-", "failed gather: boom"]


# ----------------------------------------------------------------------------------- what is in no stream


def test_what_is_sent_is_in_no_stream() -> None:
    play = fanned_out(1)
    assert play.send(Done(n=9), by=1) == []
    assert play.effects == ["ignored Done for gather"]
    play.returns(1, Done(n=1))
    assert numbers(play.given[2]) == [1]


def test_what_is_sent_from_within_a_stream_does_not_hold_it() -> None:
    play = fanned_out(1, helper=takes(Note))
    play.send(Note(), by=1)
    play.returns(1, Done(n=1))
    assert numbers(play.given[3]) == [1]
    assert play.returns(2, Done(n=2)) == ["N helper 0 Note>Done"]
    assert play.effects == ["ignored Done for gather"]


def test_plain_steps_get_what_a_collect_step_ignores() -> None:
    play = fanned_out(1, read=takes(Done))
    assert play.send(Done(n=9)) == ["R read 0 Done"]
    assert play.effects == ["ignored Done for gather", "start 2.0 read"]


def test_a_stream_that_is_not_the_collect_steps_own() -> None:
    play = Play(go=takes(StartEvent), gather=collects(Done))
    play.start()
    assert play.lists(0, Done()) == ["N go 0 StartEvent>Done", "idle"]
    assert play.effects == ["ignored Done for gather in a stream"]


def test_an_event_for_a_collect_step_alone_fails_the_run() -> None:
    play = fanned_out(1)
    (told,) = play.send(Done(), step="gather", by=1)
    assert told == (
        "failed gather: Done was sent to step 'gather', but a collect step can't be given targeted events: "
        "it gathers what a returned list has set off"
    )
    assert play.effects == ["end failed"]
    assert play.reaction.verdict is None


def test_a_collect_step_may_be_answered_by_name() -> None:
    play = fanned_out(1)
    play.returns(1, Done())
    play.waits(2)
    assert play.send(Reply(), step="gather") == ["R gather 0 CollectionReleaseEvent"]
    assert play.run.ending is None


def test_events_of_other_classes_are_refused_at_a_collect_step() -> None:
    play = fanned_out(1)
    play.send(Special(), step="gather")
    assert (play.reaction.verdict.step, play.reaction.verdict.exists) == ("gather", True)
    assert play.run.ending is None


# ---------------------------------------------------------------------------------------------------- cost


def test_the_work_for_a_member_does_not_grow_with_the_stream() -> None:
    """However many have arrived, one more changes the parts of that one alone."""
    play = fanned_out(1000, work=takes(Job, workers=1000))
    changes = []
    for item in range(1, 1000):
        play.returns(item, Done(n=item))
        changes.append(len(play.reaction.changed))
    assert set(changes) == {2}, "its item and itself as a member"
    play.returns(1000, Done(n=1000))
    assert numbers(play.given[1001]) == list(range(1, 1001))

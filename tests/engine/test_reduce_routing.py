"""Which step gets which event, and what readers see of it."""

from __future__ import annotations

from tests_support.engine_play import Job, Note, Play, Question, Reply, Special, takes
from workflow_server.engine.inputs import CancelRequested, Execution, Misdirected, Returned
from workflow_server.engine.message import message_of
from workflow_server.engine.reduce import reduce
from workflow_server.events import StartEvent, StopEvent


def test_one_step() -> None:
    play = Play(go=takes(StartEvent))
    assert play.start() == ["R go 0 StartEvent"]
    assert play.effects == ["start 0.0 go"]
    assert play.returns(0, StopEvent()) == ["N go 0 StartEvent>StopEvent", "StopEvent"]
    assert play.effects == ["end completed"]
    assert play.run.ending == "completed"


def test_a_chain() -> None:
    play = Play(first=takes(StartEvent), second=takes(Job))
    play.start()
    assert play.returns(0, Job()) == ["N first 0 StartEvent>Job", "R second 0 Job"]
    assert play.effects == ["start 1.0 second"]


def test_every_step_that_takes_an_event_gets_it_in_routing_order() -> None:
    play = Play(b=takes(Job), a=takes(Job), go=takes(StartEvent), other=takes(Note))
    play.start()
    assert play.returns(0, Job())[1:] == ["R b 0 Job", "R a 0 Job"], "the shape has the steps in routing order"


def test_exact_classes_unless_a_step_takes_subclasses() -> None:
    play = Play(exact=takes(Job), family=takes(Job, subclasses=True), special=takes(Special), go=takes(StartEvent))
    play.start()
    assert play.send(Special()) == ["R family 0 Special", "R special 0 Special"]
    assert play.send(Job()) == ["R exact 0 Job", "R family 1 Job"]


def test_an_event_nobody_takes_is_told_and_so_is_idleness() -> None:
    play = Play(go=takes(StartEvent))
    play.start()
    assert play.returns(0, Note()) == ["N go 0 StartEvent>Note", "unhandled Note idle", "idle"]


def test_an_event_nobody_takes_while_others_work() -> None:
    play = Play(go=takes(StartEvent))
    play.start()
    assert play.send(Note(), by=0) == ["unhandled Note"]
    assert play.returns(0) == ["N go 0 StartEvent>NoneType", "idle"]


def test_a_request_for_input_is_published_when_returned_and_need_not_be_taken() -> None:
    play = Play(go=takes(StartEvent), done=takes(Reply))
    play.start()
    assert play.returns(0, Question()) == ["N go 0 StartEvent>Question", "Question", "idle"]
    assert play.send(Reply()) == ["R done 0 Reply"]


def test_a_request_for_input_that_a_step_takes_goes_to_it_too() -> None:
    play = Play(go=takes(StartEvent), ask=takes(Question))
    play.start()
    assert play.returns(0, Question()) == ["N go 0 StartEvent>Question", "Question", "R ask 0 Question"]


def test_a_request_for_input_that_is_sent_is_not_published() -> None:
    play = Play(go=takes(StartEvent))
    play.start()
    assert play.send(Question(), by=0) == []


def test_idleness_is_announced_once_until_something_happens() -> None:
    play = Play(go=takes(StartEvent), work=takes(Job))
    play.start()
    assert play.returns(0) == ["N go 0 StartEvent>NoneType", "idle"]
    assert play.passes(1) == []
    assert play.send(Note()) == ["unhandled Note idle", "idle"], "an event from outside is a new stretch of work"
    assert play.send(Job()) == ["R work 0 Job"]
    assert play.returns(1) == ["N work 0 Job>NoneType", "idle"]


def test_a_stop_event_is_never_routed() -> None:
    play = Play(go=takes(StartEvent), never=takes(StopEvent))
    play.start()
    assert play.send(StopEvent(), by=0) == ["unhandled StopEvent"]
    assert play.run.ending is None


# Targets


def test_a_targeted_event_goes_to_that_step_alone() -> None:
    play = Play(go=takes(StartEvent), a=takes(Job), b=takes(Job))
    play.start()
    assert play.send(Job(), step="b") == ["R b 0 Job"]
    assert play.reaction.verdict is None


def test_a_target_that_does_not_exist() -> None:
    play = Play(go=takes(StartEvent))
    play.start()
    assert play.send(Job(), step="nowhere") == []
    assert play.reaction.verdict == Misdirected("nowhere", exists=False)
    assert not play.reaction.changed


def test_a_target_that_does_not_take_the_event() -> None:
    play = Play(go=takes(StartEvent), a=takes(Job))
    play.start()
    assert play.send(Special(), step="a", by=0) == []
    assert play.reaction.verdict == Misdirected("a", exists=True)


def test_a_target_that_waits_for_what_it_does_not_take() -> None:
    play = Play(go=takes(StartEvent), other=takes(Job))
    play.start()
    play.waits(0)
    assert play.send(Reply(), step="other") == []
    assert play.reaction.verdict == Misdirected("other", exists=True)
    assert play.send(Reply(), step="go") == ["R go 0 StartEvent"]
    assert play.reaction.verdict is None


def test_a_refused_event_changes_nothing() -> None:
    """Not even the announcement of idleness: nothing happened."""
    play = Play(go=takes(StartEvent))
    play.start()
    play.returns(0)
    before = play.run.next_sequence
    assert play.send(Job(), step="nowhere") == []
    assert play.send(Job(), step="go") == []
    assert play.run.next_sequence == before


# Past executions


def test_what_a_past_execution_says_does_nothing() -> None:
    play = Play(go=takes(StartEvent), work=takes(Job))
    play.start()
    old = play.executions[0]
    play.fails(0, delay=0)
    assert play.executions[0] == Execution(0, 1)
    new, play.executions[0] = play.executions[0], old
    assert play.returns(0, StopEvent()) == []
    assert play.send(Job(), by=0) == []
    assert play.write(Note(), by=0) == []
    assert play.fails(0) == []
    assert play.waits(0) == []
    assert play.answer is None
    assert play.collects(0, Job(), Job) is None
    assert play.abandons(0, "wait/0/x/0") == []
    assert not play.reaction.changed
    play.executions[0] = new
    assert play.returns(0, StopEvent()) == ["N go 0 StartEvent>StopEvent", "StopEvent"]


def test_unknown_executions_do_nothing() -> None:
    play = Play(go=takes(StartEvent))
    play.start()
    assert play.do(Returned(play.at, Execution(7, 0), message_of(StopEvent()))) == []


def test_a_run_that_has_ended_ignores_everything() -> None:
    play = Play(go=takes(StartEvent))
    play.start()
    play.cancel()
    reaction = reduce(play.run, CancelRequested(play.at))
    assert (reaction.publications, reaction.effects, reaction.changed) == ([], [], set())
    assert play.send(Job()) == []
    assert play.time_is_up(1) == []
    assert play.passes(100) == []
    assert play.run.ending == "cancelled"


# Before the start


def test_what_comes_before_the_start_queues_until_then() -> None:
    """A run may have to wait for its turn, and is known by its id meanwhile."""
    play = Play(go=takes(StartEvent), work=takes(Job, workers=1))
    assert play.send(Job(n=1)) == ["P work Job"]
    assert play.send(Job(n=2)) == ["P work Job"]
    assert play.effects == []
    assert play.start() == ["R go 0 StartEvent", "R work 0 Job"]
    assert play.effects == ["start 2.0 go", "start 0.0 work"]


def test_a_run_is_not_idle_before_it_has_begun() -> None:
    play = Play(go=takes(StartEvent))
    assert play.send(Note()) == ["unhandled Note"]


def test_a_run_may_end_before_it_has_begun() -> None:
    play = Play(go=takes(StartEvent), work=takes(Job))
    play.send(Job())
    assert play.cancel() == ["cancelled"]
    assert play.start() == []

"""The engine's one function: `reduce(run, input) -> Reaction`.

    input                 what it does
    Started, Sent         route the event: answer waits, make work, or report it unhandled
    Published             put it on the stream
    Returned, FannedOut   finish the work item, then route what it returned; a stop event ends the run
    Failed                retry at once or later, hand over to a `catch_error` handler, or fail the run
    Collected, WaitBegan, WaitAbandoned  see `waiting`
    StateWritten          see `speech`
    Reloaded              see `reload`
    ClockReached          let delayed work and waits that are due take their course
    TimeLimitReached, CancelRequested  end the run

A run that has ended ignores every input, and so does each input of a past execution.
"""

from __future__ import annotations

from typing import assert_never

from workflow_server.engine.delivery import deliver, deliver_list, deliver_returned, deliver_to
from workflow_server.engine.effects import (
    Ending,
    EndRun,
    Fact,
    Reaction,
    RunCancelled,
    RunFailed,
    RunTimedOut,
)
from workflow_server.engine.inputs import (
    Answer,
    CancelRequested,
    ClockReached,
    Collected,
    Failed,
    Failure,
    FannedOut,
    Input,
    Misdirected,
    Published,
    Reloaded,
    Returned,
    Sent,
    Started,
    StateWritten,
    TimeLimitReached,
    WaitAbandoned,
    WaitBegan,
)
from workflow_server.engine.reload import reload
from workflow_server.engine.rescue import to_catcher
from workflow_server.engine.routing import (
    NO_LINEAGE,
    Lineage,
    announce_idleness,
    answer_named,
    answer_wait,
    fill_slots,
    free_slot,
    publish,
    requeue_first,
    tell_step,
)
from workflow_server.engine.speech import forget_speech, remember_send, was_published, was_sent
from workflow_server.engine.state import ItemPhase, Run, Wait, WorkItem
from workflow_server.engine.streams import leave
from workflow_server.engine.waiting import abandon_wait, begin_wait, collect, forget_item
from workflow_server.errors import WorkflowRuntimeError
from workflow_server.events import StepState
from workflow_server.naming import qualified_name


def reduce(run: Run, input: Input) -> Reaction:
    """Fold `input` into `run`.

    Args:
        run: Changed in place.
        input: What happened.

    Returns:
        What to commit, what to do after the commit, and the verdict for the caller.
    """
    reaction = Reaction()
    if run.ending is not None:
        return reaction
    match input:
        case Started():
            _start(run, input, reaction)
        case Sent():
            _send(run, input, reaction)
        case Published():
            _publish(run, input, reaction)
        case Returned() | FannedOut():
            if (item := run.live(input.by)) is not None:
                _finish(run, item, input, reaction)
        case Failed():
            if (item := run.live(input.by)) is not None:
                _fail(run, item, input, reaction)
        case Collected():
            if (item := run.live(input.by)) is not None:
                collect(run, item, input, reaction)
        case WaitBegan():
            if (item := run.live(input.by)) is not None:
                begin_wait(run, item, input, reaction)
        case WaitAbandoned():
            if (item := run.live(input.by)) is not None:
                abandon_wait(run, item, input, reaction)
        case StateWritten():
            if (item := run.live(input.by)) is not None:
                forget_speech(run, item, reaction)
                reaction.changed.add(item.key)
        case Reloaded():
            reload(run, input, reaction)
        case ClockReached():
            _catch_up(run, input.at, reaction)
        case TimeLimitReached():
            run.error = f"Workflow timed out after {input.limit}s"
            _end(run, input.at, "timed_out", RunTimedOut(input.limit, run.active_steps), reaction)
        case CancelRequested():
            _end(run, input.at, "cancelled", RunCancelled(), reaction)
        case _:
            assert_never(input)
    announce_idleness(run, input.at, reaction)
    return reaction


def _start(run: Run, started: Started, reaction: Reaction) -> None:
    run.started = True
    deliver(run, started.at, started.message, reaction)
    for step in run.loads:
        # Events that came while the run waited for its turn.
        fill_slots(run, started.at, step, reaction)


def _send(run: Run, sent: Sent, reaction: Reaction) -> None:
    lineage = NO_LINEAGE
    item: WorkItem | None = None
    if sent.by is not None:
        item = run.live(sent.by)
        if item is None or was_sent(run, item, sent):
            return
        lineage = Lineage(item.recoveries)
    if sent.wait is not None:
        reaction.verdict = answer_named(run, sent.at, sent.message, sent.wait, reaction)
    elif sent.step is None:
        deliver(run, sent.at, sent.message, reaction, lineage)
    else:
        reaction.verdict = deliver_to(run, sent.at, sent.message, sent.step, reaction, lineage)
    verdict = reaction.verdict
    if isinstance(verdict, Misdirected) and verdict.collects:
        reaction.verdict = None
        error = WorkflowRuntimeError(verdict.describe(type(sent.message.event)))
        failure = Failure(error, qualified_name(WorkflowRuntimeError), str(error))
        _end_failed(run, sent.at, RunFailed(verdict.step, failure), reaction)
    if reaction.verdict is not None or run.ending is not None:
        return
    reaction.keys = sent.keys
    if item is not None:
        remember_send(run, item, sent, reaction)
    else:
        # An event from outside begins a new stretch of work: idleness after it is announced anew.
        run.idle = False


def _publish(run: Run, published: Published, reaction: Reaction) -> None:
    item = None if published.by is None else run.live(published.by)
    if item is None and published.by is not None:
        return
    if item is None or not was_published(run, item, published):
        publish(run, published.at, published.message, reaction, None if item is None else item.id)


def _finish(run: Run, item: WorkItem, returned: Returned | FannedOut, reaction: Reaction) -> None:
    at = returned.at
    if isinstance(returned, FannedOut):
        messages = returned.messages
    else:
        messages = () if returned.message is None else (returned.message,)
    _leave_worker(run, at, item, reaction, output=messages[-1].kind.type if messages else "NoneType")
    forget_item(run, item, reaction)
    for message in messages:
        if message.kind.stops:
            run.result = message
            _end(run, at, "completed", message, reaction)
            return
    fill_slots(run, at, item.step, reaction)
    if isinstance(returned, FannedOut):
        deliver_list(run, at, item, messages, reaction)
    else:
        deliver_returned(run, at, item, messages, reaction)


def _fail(run: Run, item: WorkItem, failed: Failed, reaction: Reaction) -> None:
    at = failed.at
    _leave_worker(run, at, item, reaction, failure=failed.failure)
    item.failures += 1
    forget_speech(run, item, reaction)
    item.incarnation += 1
    item.last_failure, item.last_failed_at = failed.failure, at
    reaction.changed.add(item.key)
    if failed.delay is not None:
        if failed.delay > 0:
            item.phase = ItemPhase.DELAYED
            item.not_before = at + failed.delay
            run.remember_due(item.not_before, item.key)
            fill_slots(run, at, item.step, reaction)
        else:
            requeue_first(run, at, item, reaction)
        return
    elapsed = at - (at if item.first_started is None else item.first_started)
    handed_over = to_catcher(run, item, failed, elapsed)
    if handed_over is None:
        _end_failed(run, at, RunFailed(item.step, failed.failure, item.failures, elapsed), reaction)
        return
    message, catcher, recoveries = handed_over
    forget_item(run, item, reaction)
    fill_slots(run, at, item.step, reaction)
    deliver_to(run, at, message, catcher, reaction, Lineage(recoveries, item.stream))
    leave(run, at, item.stream, reaction)


def _leave_worker(
    run: Run,
    at: float,
    item: WorkItem,
    reaction: Reaction,
    *,
    output: str | None = None,
    failure: Failure | None = None,
) -> None:
    tell_step(run, at, item, StepState.NOT_RUNNING, reaction, output=output, failure=failure)
    free_slot(run, item)
    # A step may end while a task of its own still waits, or has its answer and no worker yet.
    item.waits_on.clear()
    run.waiting.discard(item.id)
    if item.phase is ItemPhase.ANSWERED:
        run.loads[item.step].answered.remove(item.id)


def _catch_up(run: Run, at: float, reaction: Reaction) -> None:
    while (due := run.next_due()) is not None and due[0] <= at:
        part = run.part(due[1])
        if isinstance(part, WorkItem):
            requeue_first(run, at, part, reaction)
        elif isinstance(part, Wait):
            answer_wait(run, at, part, Answer(None), reaction)


def _end_failed(run: Run, at: float, failed: RunFailed, reaction: Reaction) -> None:
    run.error, run.exception = failed.failure.text, failed.failure.exception
    _end(run, at, "failed", failed, reaction)


def _end(run: Run, at: float, ending: Ending, fact: Fact, reaction: Reaction) -> None:
    """End the run: nothing that still executes is heard again, and nothing is left to continue."""
    publish(run, at, fact, reaction)
    run.ending = ending
    run.active_at_end = run.active_steps
    for item in run.items.values():
        reaction.changed.add(item.key)
    for stream in run.streams.values():
        reaction.changed.add(stream.key)
    reaction.changed.update(run.waits, run.contributions, run.utterances, run.members, run.partners)
    for parts in (run.items, run.waits, run.contributions, run.utterances, run.recalls, run.held, run.open_waits):
        parts.clear()
    for gathered in (run.streams, run.members, run.partners, run.partners_at):
        gathered.clear()
    run.waiting.clear()
    run.dues.clear()
    for load in run.loads.values():
        load.clear()
    run.idle = False
    reaction.effects = [EndRun(ending)]

"""`WorkflowTestRunner`: one run, with all it published."""

from __future__ import annotations

import pytest
from workflows.testing import WorkflowTestRunner
from workflows.testing.runner import WorkflowTestResult

from workflow_server import Context, Workflow, step
from workflow_server.events import Event, StartEvent, StepStateChanged, StopEvent


class Begin(StartEvent):
    n: int = 3


class Note(Event):
    n: int = 0


class Special(Note):
    pass


class Tells(Workflow):
    @step
    async def go(self, ev: Begin, ctx: Context) -> StopEvent:
        ctx.write_event_to_stream(Note(n=ev.n))
        ctx.write_event_to_stream(Special())
        await ctx.store.set("runs", await ctx.store.get("runs", default=0) + 1)
        return StopEvent(result=ev.n)


async def test_all_that_a_run_publishes_is_collected() -> None:
    told = await WorkflowTestRunner(Tells()).run(start_event=Begin(n=7))
    assert isinstance(told, WorkflowTestResult)
    assert [type(event) for event in told.collected] == [StepStateChanged, Note, Special, StepStateChanged, StopEvent]
    assert told.event_types == {StepStateChanged: 2, Note: 1, Special: 1, StopEvent: 1}
    assert told.result == 7
    assert await told.ctx.store.get("runs") == 1


async def test_some_events_are_left_out() -> None:
    told = await WorkflowTestRunner(Tells()).run(expose_internal=False, exclude_events=[Note])
    assert [type(event) for event in told.collected] == [Special, StopEvent]
    assert told.event_types == {Special: 1, StopEvent: 1}
    assert told.result == 3, "without a start event, that of the workflow with its defaults"


async def test_a_context_goes_from_run_to_run() -> None:
    workflow = Tells()
    first = await WorkflowTestRunner(workflow).run()
    second = await WorkflowTestRunner(workflow).run(ctx=first.ctx)
    assert await second.ctx.store.get("runs") == 2


async def test_what_the_run_raises_is_raised() -> None:
    class Fails(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        await WorkflowTestRunner(Fails()).run()

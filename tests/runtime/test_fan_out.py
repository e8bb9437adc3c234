"""Fan-out and fan-in by list, and joins, as programs see them."""

from __future__ import annotations

import json
import logging
from typing import Annotated, Any

import anyio
import pytest

from workflow_server import Context, Workflow, catch_error, step
from workflow_server.definition.collect import Collect, Take
from workflow_server.errors import WorkflowRuntimeError
from workflow_server.events import (
    CollectionReleaseEvent,
    Event,
    HumanResponseEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
    WorkflowFailedEvent,
)


class Job(Event):
    n: int = 0


class Done(Event):
    n: int = 0


class Reply(HumanResponseEvent):
    n: int = 0


class Squares(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[Job]:
        return [Job(n=n) for n in range(ev.count)]

    @step(num_workers=8)
    async def work(self, ev: Job) -> Done:
        return Done(n=ev.n * ev.n)

    @step
    async def gather(self, done: list[Done]) -> StopEvent:
        return StopEvent(result=[one.n for one in done])


@pytest.mark.parametrize("count", [0, 1, 5])
async def test_a_list_fans_out_and_in(count: int) -> None:
    assert await Squares().run(count=count) == [n * n for n in range(count)]


async def test_steps_in_threads_fan_out_and_in() -> None:
    class InThreads(Workflow):
        @step
        def split(self, ev: StartEvent) -> list[Job]:
            return [Job(n=1), Job(n=2)]

        @step
        def gather(self, jobs: list[Job], ctx: Context) -> StopEvent:
            ctx.write_event_to_stream(Done(n=len(jobs)))
            return StopEvent(result=sum(job.n for job in jobs))

    handler = InThreads().run()
    assert [type(event).__name__ async for event in handler.stream_events()] == ["Done", "StopEvent"]
    assert await handler == 3


async def test_a_join_is_given_one_event_for_each_parameter() -> None:
    class Joins(Workflow):
        @step
        async def go(self, ev: StartEvent) -> list[Job | Done]:
            return [Done(n=1), Job(n=2)]

        @step
        async def join(self, ctx: Context, job: Job, done: Done | None) -> StopEvent:
            assert ctx.is_running if done is None else done
            return StopEvent(result=[type(job).__name__, type(done).__name__])

    assert await Joins().run() == ["Job", "Done"]


async def test_what_was_collected_is_given_as_it_is() -> None:
    """In process, events are the very objects that were returned."""
    made = Job(n=1)

    class Passes(Workflow):
        @step
        async def go(self, ev: StartEvent) -> list[Job]:
            return [made]

        @step
        async def gather(self, jobs: list[Job]) -> StopEvent:
            return StopEvent(result=jobs[0] is made)

    assert await Passes().run() is True


# ------------------------------------------------------------------------------------------- wrong returns


class Returns(Workflow):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    @step
    async def go(self, ev: StartEvent) -> list[Job] | StopEvent:
        return self.value  # type: ignore[no-any-return]

    @step
    async def gather(self, jobs: list[Job]) -> StopEvent:
        return StopEvent(result=len(jobs))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Job(), "returned a bare Job"),
        (Done(), "returned a bare Done"),
        ([Job(), 3], "returned a list that contains int instead of an Event instance"),
        ((Job(),), "returned tuple instead of an Event instance"),
    ],
)
async def test_what_is_neither_a_list_of_events_nor_declared_fails_the_step(value: Any, message: str) -> None:
    with pytest.raises(WorkflowRuntimeError, match=f"Step function go {message}"):
        await Returns(value).run()


async def test_what_is_declared_beside_the_list_may_be_returned() -> None:
    assert await Returns(StopEvent(result="beside")).run() == "beside"


async def test_a_list_that_is_not_annotated_fails_the_step() -> None:
    class Unannotated(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            return [StopEvent()]  # type: ignore[return-value]

    with pytest.raises(WorkflowRuntimeError, match="returned list instead of an Event"):
        await Unannotated().run()


# --------------------------------------------------------------------------------------------------- sends


class Sends(Workflow):
    @step
    async def go(self, ev: StartEvent) -> list[Job]:
        return [Job(n=1)]

    @step
    async def work(self, ev: Job, ctx: Context) -> Done:
        ctx.send_event(Done(n=100))
        return Done(n=ev.n)

    @step
    async def gather(self, done: list[Done]) -> StopEvent:
        return StopEvent(result=[one.n for one in done])


async def test_a_send_joins_no_stream_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "workflow_server"):
        assert await Sends().run() == [1]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("Done is ignored for collect step 'gather': it was sent outside any collection stream")


async def test_a_collect_step_is_no_target() -> None:
    class Targets(Sends):
        @step
        async def work(self, ev: Job, ctx: Context) -> Done:
            ctx.send_event(Done(n=100), step="gather")
            await anyio.sleep(5)
            return Done(n=ev.n)

    handler = Targets().run()
    events = [event async for event in handler.stream_events()]
    assert isinstance(events[-1], WorkflowFailedEvent)
    assert (events[-1].step_name, events[-1].attempts) == ("gather", None)
    with pytest.raises(WorkflowRuntimeError, match=r"Done was sent to step 'gather', .* targeted events"):
        await handler


# ---------------------------------------------------------------------------------------------- composition


async def test_a_handler_sees_what_a_collect_step_was_given() -> None:
    class Fails(Squares):
        @step
        async def gather(self, done: list[Done]) -> StopEvent:
            raise ValueError("too many")

        @catch_error
        async def rescue(self, ev: StepFailedEvent) -> StopEvent:
            assert isinstance(ev.input_event, CollectionReleaseEvent)
            given: Any = ev.input_event.events
            return StopEvent(result=[ev.input_event.binding_id, *(one.n for one in given)])

    assert await Fails().run(count=3) == ["split->gather", 0, 1, 4]


async def test_a_snapshot_holds_open_streams() -> None:
    """A run with an open stream and half a set is copied, and both go on to the same end."""

    class Open(Workflow):
        @step
        async def split(self, ev: StartEvent) -> list[Job]:
            return [Job(n=1), Job(n=2), Job(n=3)]

        @step
        async def work(self, ev: Job, ctx: Context) -> Done:
            if ev.n == 2:
                await ctx.wait_for_event(Reply)
            return Done(n=ev.n)

        @step
        async def gather(self, done: list[Done]) -> StopEvent:
            return StopEvent(result=[one.n for one in done])

    workflow = Open()
    handler = workflow.run()
    async for event in handler.stream_events(expose_internal=True):
        if type(event).__name__ == "WorkflowIdleEvent":
            break
    snapshot = json.loads(json.dumps(handler.ctx.to_dict()))
    assert {key.partition("/")[0] for key in snapshot["run"]["parts"]} == {"item", "wait", "stream", "member"}
    handler.ctx.send_event(Reply())
    assert await handler == [1, 3, 2]
    again = workflow.run(ctx=Context.from_dict(workflow, snapshot))
    again.ctx.send_event(Reply())
    assert await again == [1, 3, 2]


async def test_the_first_answers_are_enough() -> None:
    class First(Workflow):
        @step
        async def ask(self, ev: StartEvent) -> list[Job]:
            return [Job(n=n) for n in (3, 1, 2)]

        @step
        async def answer(self, ev: Job) -> Done:
            await anyio.sleep(ev.n)
            return Done(n=ev.n)

        @step
        async def decide(self, done: Annotated[list[Done], Collect(Take(2))]) -> StopEvent:
            return StopEvent(result=[one.n for one in done])

    assert await First().run() == [1, 2]

"""A program's hold on a run in process."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests_support.facts import until
from workflow_server import Context, Workflow, step
from workflow_server.errors import ContextStateError, WorkflowCancelledByUser, WorkflowRuntimeError
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent
from workflow_server.runtime.handler import WorkflowHandler


class Progress(Event):
    n: int = 0


class Question(InputRequiredEvent):
    pass


class Reply(HumanResponseEvent):
    n: int = 0


class Done(StopEvent):
    n: int = 0


class Counts(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        for n in range(3):
            ctx.write_event_to_stream(Progress(n=n))
        ctx.write_event_to_stream(None)
        return StopEvent(result="counted")


class Asks(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> Done:
        reply = await ctx.wait_for_event(Reply, waiter_event=Question())
        return Done(n=reply.n)

    @step
    async def note(self, ev: Progress) -> None:
        await anyio.lowlevel.checkpoint()


class Fails(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        raise ValueError("no")


def shown(event: Event) -> str:
    return f"{type(event).__name__} {event.n}" if isinstance(event, (Progress, Done)) else type(event).__name__


async def asking() -> WorkflowHandler:
    handler = Asks(disable_validation=True).run(run_id="ask")
    await anyio.wait_all_tasks_blocked()
    return handler


# Results


async def test_a_stop_event_of_its_own_class_is_the_result() -> None:
    handler = await asking()
    await handler.send_event(Reply(n=4))
    with anyio.fail_after(5):
        result = await handler
        assert isinstance(result, Done)
        assert result.n == 4
        assert await handler.stop_event_result() is result
    assert handler.get_stop_event() is result


async def test_before_the_end_there_is_no_stop_event() -> None:
    handler = await asking()
    assert handler.get_stop_event() is None
    assert not handler.is_done()
    await handler.cancel_run()
    assert handler.is_done()


async def test_what_it_is_called() -> None:
    handler = await asking()
    assert str(handler) == f"WorkflowHandler(workflow={Asks.__module__}.Asks, run_id=ask, result=None)"
    await handler.send_event(Reply(n=4))
    await handler
    assert str(handler).endswith("run_id=ask, result=None)"), "a stop event's text is that of its result"
    counted = Counts().run()
    await counted
    assert str(counted).endswith("result=counted)")


async def test_several_may_await_at_once() -> None:
    handler = await asking()
    results: list[Any] = []

    async def wait() -> None:
        results.append(await handler)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await handler.send_event(Reply(n=1))
    assert len(results) == 2


async def test_whoever_stops_waiting_stops_nothing() -> None:
    handler = await asking()
    with anyio.move_on_after(0.01):
        await handler
    assert not handler.is_done()
    await handler.send_event(Reply(n=2))
    assert (await handler).n == 2


# The stream


async def test_the_stream_has_everything_from_the_start_also_after_the_end() -> None:
    handler = Counts().run()
    await handler
    events = [shown(event) async for event in handler.stream_events()]
    assert events == ["Progress 0", "Progress 1", "Progress 2", "StopEvent"]


async def test_the_stream_as_it_happens() -> None:
    handler = Asks(disable_validation=True).run()
    seen: list[str] = []
    with anyio.fail_after(5):
        async for event in handler.stream_events():
            seen.append(shown(event))
            if isinstance(event, Question):
                await anyio.wait_all_tasks_blocked()
                handler.ctx.send_event(Reply(n=1))
    assert seen == ["Question", "Done 1"]


async def test_internal_events_are_shown_on_request() -> None:
    handler = Counts().run()
    events = [type(event).__name__ async for event in handler.stream_events(expose_internal=True)]
    assert events == ["StepStateChanged", *["Progress"] * 3, "StepStateChanged", "StopEvent"]


async def test_leaving_early_keeps_the_rest() -> None:
    handler = Counts().run()
    seen: list[str] = []
    for _ in range(4):
        async for event in handler.stream_events():
            seen.append(shown(event))
            break
    assert seen == ["Progress 0", "Progress 1", "Progress 2", "StopEvent"]


async def test_a_reader_that_is_cancelled_keeps_the_rest() -> None:
    handler = await asking()
    with anyio.move_on_after(0.01):
        async for _ in handler.stream_events():
            pass
    await handler.send_event(Reply(n=1))
    with anyio.fail_after(5):
        assert [shown(event) async for event in handler.stream_events()] == ["Done 1"]


async def test_a_second_pass_is_refused() -> None:
    handler = Counts().run()
    async for _ in handler.stream_events():
        pass
    with pytest.raises(WorkflowRuntimeError, match=r"^All the streamed events have already been consumed.$"):
        async for _ in handler.stream_events():
            pass
    with pytest.raises(WorkflowRuntimeError, match=r"^Event stream already consumed"):
        async for _ in handler.ctx.stream_events():
            pass


async def test_a_stream_that_was_left_can_be_closed_and_read_by_the_context() -> None:
    handler = Counts().run()
    async with aclosing(handler.stream_events()) as events:
        assert shown(await anext(events)) == "Progress 0"
    assert [shown(event) async for event in handler.ctx.stream_events()] == ["Progress 1", "Progress 2", "StopEvent"]


async def test_a_second_reader_at_the_same_time_is_refused() -> None:
    handler = await asking()

    async def read() -> None:
        async for _ in handler.stream_events():
            pass

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(WorkflowRuntimeError, match="already consumed"):
                async for _ in handler.stream_events():
                    pass
            await handler.send_event(Reply())


async def test_the_stream_of_a_failed_run_ends_before_awaiting_raises() -> None:
    handler = Fails().run()
    with anyio.fail_after(5):
        assert [shown(event) async for event in handler.stream_events()] == ["WorkflowFailedEvent"]
        with pytest.raises(ValueError, match="no"):
            await handler


async def test_the_stream_of_a_cancelled_run() -> None:
    handler = await asking()
    await handler.cancel_run()
    assert [shown(event) async for event in handler.stream_events()] == ["Question", "WorkflowCancelledEvent"]


@pytest.mark.virtual_time
async def test_the_stream_of_a_run_that_timed_out(virtual_clock: None) -> None:
    handler = Asks(disable_validation=True, timeout=1).run()
    events = [event async for event in handler.stream_events()]
    assert [shown(event) for event in events] == ["Question", "WorkflowTimedOutEvent"]
    assert repr(events[-1]) == "WorkflowTimedOutEvent(timeout=1.0, active_steps=[])"


# Events from outside


async def test_targets_are_checked() -> None:
    handler = await asking()
    with pytest.raises(WorkflowRuntimeError, match=r"^Step nowhere does not exist$"):
        await handler.send_event(Reply(), step="nowhere")
    with pytest.raises(WorkflowRuntimeError, match=r"^Step note does not accept event of type <class '.*Reply'>$"):
        handler.ctx.send_event(Reply(), step="note")
    await handler.send_event(Reply(n=1), step="go")
    assert (await handler).n == 1


async def test_after_the_end_events_are_dropped() -> None:
    handler = Counts().run()
    await handler
    await handler.send_event(Reply())
    handler.ctx.send_event(Reply())
    await handler.cancel_run()
    assert await handler == "counted"


# The context of a run


async def test_what_its_context_tells() -> None:
    handler = await asking()
    ctx = handler.ctx
    assert ctx.is_running
    assert await ctx.running_steps() == []
    for call in (
        lambda: ctx.write_event_to_stream(Progress()),
        lambda: ctx.collect_events(Progress(), [Progress]),
        ctx.retry_info,
    ):
        with pytest.raises(ContextStateError, match="only available from within step functions"):
            call()
    with pytest.raises(ContextStateError, match="only available from within step functions"):
        await ctx.wait_for_event(Reply)
    with pytest.raises(ContextStateError, match="requires a finished run"):
        ctx.get_result()
    await handler.send_event(Reply(n=3))
    await handler
    assert not ctx.is_running
    assert ctx.get_result().n == 3


async def test_running_steps() -> None:
    class Holds(Workflow):
        let_go = anyio.Event()

        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            await self.let_go.wait()
            return StopEvent()

    workflow = Holds()
    workflow.let_go = anyio.Event()
    handler = workflow.run()
    assert await handler.ctx.running_steps() == ["go"]
    workflow.let_go.set()
    await handler
    assert await handler.ctx.running_steps() == []


async def test_before_a_run_a_context_says_so() -> None:
    ctx: Context[Any] = Context(Asks(disable_validation=True))
    assert not ctx.is_running
    with pytest.raises(ContextStateError, match=r"^send_event\(\) called before workflow started"):
        ctx.send_event(Reply())
    with pytest.raises(ContextStateError, match=r"^running_steps requires a running workflow. Call workflow.run"):
        await ctx.running_steps()
    calls = {
        "stream_events": ctx.stream_events,
        "get_result": ctx.get_result,
        "retry_info": ctx.retry_info,
        "write_event_to_stream": lambda: ctx.write_event_to_stream(Progress()),
        "collect_events": lambda: ctx.collect_events(Progress(), [Progress]),
    }
    for name, call in calls.items():
        with pytest.raises(ContextStateError, match=rf"^{name} requires a running workflow"):
            call()
    with pytest.raises(ContextStateError, match=r"^wait_for_event requires a running workflow"):
        await ctx.wait_for_event(Reply)


# Names from when a handler was a future


async def test_deprecated_names_work_and_say_what_to_use() -> None:
    handler = await asking()
    with pytest.deprecated_call(match="is_done"):
        assert handler.done() is False
    with pytest.deprecated_call(match="cancel_run"):
        handler.cancel()
    with pytest.deprecated_call(match="get_stop_event"):
        assert handler.cancelled() is True
    with pytest.deprecated_call(match="await handler"):
        assert handler.exception() is None
    with pytest.raises(WorkflowCancelledByUser):
        await handler


async def test_the_exception_of_a_failed_run() -> None:
    handler = Fails().run()
    await until(handler.is_done)
    with pytest.deprecated_call():
        assert isinstance(handler.exception(), ValueError)
    with pytest.deprecated_call():
        assert handler.cancelled() is False

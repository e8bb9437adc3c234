"""Scenarios of programs put together wrongly, and of contexts and handlers used at the wrong time."""

from __future__ import annotations

from typing import Any

import anyio
from play import raised, raised_async, result_of, shown
from workflows import Context, Workflow, catch_error, step
from workflows.events import Event, HumanResponseEvent, StartEvent, StepFailedEvent, StopEvent


class A(Event):
    n: int = 0


class B(Event):
    n: int = 0


class Answer(HumanResponseEvent):
    text: str = ""


class Input(StartEvent):
    a: int


class OtherInput(StartEvent):
    b: int = 0


class OtherStop(StopEvent):
    x: int = 0


async def decoration() -> Any:
    def no_event() -> None:
        @step
        async def go(self: Any) -> StopEvent:
            return StopEvent()

    def no_return() -> None:
        @step
        async def go(self: Any, ev: StartEvent):  # type: ignore[no-untyped-def]
            return StopEvent()

    def no_workers() -> None:
        @step(num_workers=0)
        async def go(self: Any, ev: StartEvent) -> StopEvent:
            return StopEvent()

    def free_function() -> None:
        @step
        async def go(ev: StartEvent) -> StopEvent:
            return StopEvent()

    def wrong_handler() -> None:
        @catch_error
        async def go(self: Any, ev: A) -> StopEvent:
            return StopEvent()

    def no_recoveries() -> None:
        @catch_error(max_recoveries=0)
        async def go(self: Any, ev: StepFailedEvent) -> StopEvent:
            return StopEvent()

    def generator() -> None:
        @step
        async def go(self: Any, ev: StartEvent) -> StopEvent:  # type: ignore[misc]
            yield StopEvent()

    cases = (no_event, no_return, no_workers, free_function, wrong_handler, no_recoveries, generator)
    return {case.__name__: raised(case) for case in cases}


async def construction() -> Any:
    class NoStart(Workflow):
        @step
        async def go(self, ev: A) -> StopEvent:
            return StopEvent()

    class NoStop(Workflow):
        @step
        async def go(self, ev: StartEvent) -> A:
            return A()

    class TwoStarts(Workflow):
        @step
        async def go(self, ev: Input) -> StopEvent:
            return StopEvent()

        @step
        async def go_too(self, ev: OtherInput) -> StopEvent:
            return StopEvent()

    class TwoStops(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent | OtherStop:
            return StopEvent()

    class NoSteps(Workflow):
        pass

    shown_errors = {cls.__name__: raised(cls) for cls in (NoStart, NoStop, NoSteps)}
    for cls in (TwoStarts, TwoStops):
        kind, text = raised(cls)
        # The classes follow in the order of a set.
        shown_errors[cls.__name__] = [kind, text.partition(":")[0]]
    for value in (0, True, "3"):
        shown_errors[f"num_concurrent_runs={value!r}"] = raised(lambda value=value: Good(num_concurrent_runs=value))
    shown_errors["unknown check"] = raised(lambda: Good(skip_graph_checks={"nothing"}))
    return shown_errors


class Good(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result="good")


async def validation() -> Any:
    class NeverProduced(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            return StopEvent()

        @step
        async def lost(self, ev: A) -> StopEvent:
            return StopEvent()

    class NeverConsumed(Workflow):
        @step
        async def go(self, ev: StartEvent) -> A | StopEvent:
            return A()

    class AcceptsStop(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            return StopEvent()

        @step
        async def after(self, ev: StopEvent) -> None:
            return None

    class Unreachable(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            return StopEvent()

        @step
        async def island(self, ev: A) -> B:
            return B()

        @step
        async def shore(self, ev: B) -> A:
            return A()

    class TwoWildcards(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            return StopEvent()

        @catch_error
        async def one(self, ev: StepFailedEvent) -> StopEvent:
            return StopEvent()

        @catch_error
        async def two(self, ev: StepFailedEvent) -> StopEvent:
            return StopEvent()

    class UnknownStep(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            return StopEvent()

        @catch_error(for_steps=["nowhere"])
        async def one(self, ev: StepFailedEvent) -> StopEvent:
            return StopEvent()

    cases = (NeverProduced, NeverConsumed, AcceptsStop, Unreachable, TwoWildcards, UnknownStep, Good)
    return {cls.__name__: raised(lambda cls=cls: cls().validate()) for cls in cases}


async def skipped_checks() -> Any:
    class Island(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result="reached")

        @step(skip_graph_checks={"reachability", "dead_end"})
        async def island(self, ev: A) -> B:
            return B()

        @step(skip_graph_checks={"reachability", "dead_end"})
        async def shore(self, ev: B) -> A:
            return A()

    return [raised(lambda: Island().validate()), await Island().run()]


async def human_in_the_loop_is_noticed() -> Any:
    class Human(Workflow):
        @step
        async def go(self, ev: StartEvent) -> None:
            return None

        @step
        async def end(self, ev: Answer) -> StopEvent:
            return StopEvent()

    return Human().validate()


async def free_functions() -> Any:
    class Host(Workflow):
        @step
        async def first(self, ev: StartEvent) -> A:
            return A(n=1)

    @step(workflow=Host)
    async def second(ev: A) -> StopEvent:
        return StopEvent(result=ev.n)

    async def undecorated(ev: A) -> StopEvent:
        return StopEvent()

    def clash() -> None:
        @step(workflow=Host)
        async def first(ev: A) -> StopEvent:
            return StopEvent()

    return [await Host().run(), raised(clash), raised(lambda: Host.add_step(undecorated))]


class TakesInput(Workflow):
    @step
    async def go(self, ev: Input) -> StopEvent:
        return StopEvent(result=ev.a)


class Sleeps(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        await anyio.sleep(5)
        return StopEvent()


async def arguments_of_run() -> Any:
    workflow = TakesInput()
    alive = Sleeps().run(run_id="the one")
    gave = {
        "no fields": raised(workflow.run),
        "wrong fields": raised(lambda: workflow.run(a="x")),
        "a dictionary": raised(lambda: workflow.run(start_event={"a": 1})),  # type: ignore[arg-type]
        "an event and fields": await workflow.run(start_event=Input(a=3), b=4),
        "run_id in use": raised(lambda: Sleeps().run(run_id="the one")),
        "run_id": alive.run_id,
        "text": str(alive).replace(__name__, "MODULE"),
    }
    await alive.cancel_run()
    return gave


async def names_and_classes_of_a_workflow() -> Any:
    workflow = TakesInput()
    return {
        "name": workflow.workflow_name.replace(__name__, "MODULE"),
        "given name": TakesInput(workflow_name="mine").workflow_name,
        "start": workflow.start_event_class.__name__,
        "stop": workflow.stop_event_class.__name__,
        "events": sorted(event.__name__ for event in workflow.events),
    }


async def a_context_before_its_run() -> Any:
    context = Context(Good())
    return {
        "is_running": context.is_running,
        "send_event": raised(lambda: context.send_event(A())),
        "running_steps": await raised_async(context.running_steps()),
        "stream_events": raised(context.stream_events),
        "collect_events": raised(lambda: context.collect_events(A(), [A])),
        "wait_for_event": await raised_async(context.wait_for_event(A)),
        "write_event_to_stream": raised(lambda: context.write_event_to_stream(A())),
        "retry_info": raised(context.retry_info),
    }


async def a_context_outside_its_steps() -> Any:
    handler = Sleeps().run()
    async for _ in handler.stream_events(expose_internal=True):
        break  # the first event tells that the step runs
    context = handler.ctx
    gave = {
        "is_running": context.is_running,
        "running_steps": await context.running_steps(),
        "write_event_to_stream": raised(lambda: context.write_event_to_stream(A())),
        "collect_events": raised(lambda: context.collect_events(A(), [A])),
        "wait_for_event": await raised_async(context.wait_for_event(A)),
        "unknown step": raised(lambda: context.send_event(A(), step="nowhere")),
        "wrong step": raised(lambda: context.send_event(A(), step="go")),
        "second run": raised(lambda: Sleeps().run(ctx=context)),
        "no step": raised(Context.get_step_context),
    }
    await handler.cancel_run()
    return gave


async def a_handler_of_a_finished_run() -> Any:
    handler = Good().run()
    before = [handler.is_done(), handler.get_stop_event()]
    return {
        "before": before,
        "awaited": [await handler, await handler],
        "done": handler.is_done(),
        "stop event": shown(await handler.stop_event_result()),
        "stream": [shown(event) async for event in handler.stream_events()],
        "again": await raised_async(anext(aiter(handler.stream_events()))),
        "raw stream": await raised_async(anext(aiter(handler.ctx.stream_events()))),
        "cancel": await raised_async(handler.cancel_run()),
        "send": await raised_async(handler.send_event(A())),
        "running": handler.ctx.is_running,
        "text": str(handler).replace(handler.run_id, "RUN").replace(__name__, "MODULE"),
    }


async def a_handler_of_a_failed_run() -> Any:
    class Fails(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            raise ValueError("boom")

    handler = Fails().run()
    return {
        "stream": [shown(event) async for event in handler.stream_events()],
        "awaited": [await raised_async(handler), await raised_async(handler)],
        "done": handler.is_done(),
        "stop event": handler.get_stop_event(),
        "stop_event_result": await raised_async(handler.stop_event_result()),
    }


async def a_stream_is_left_and_taken_up_again() -> Any:
    class Talks(Workflow):
        @step
        async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
            for n in range(3):
                ctx.write_event_to_stream(A(n=n))
            return StopEvent(result=3)

    handler = Talks().run()
    seen = []
    async for event in handler.stream_events():
        seen.append(shown(event))
        break
    seen.append("left")
    seen += [shown(event) async for event in handler.stream_events()]
    return [seen, result_of(await handler)]


async def runs_one_after_another() -> Any:
    class OneByOne(Workflow):
        busy = 0

        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            OneByOne.busy += 1
            together = OneByOne.busy
            await anyio.sleep(0.02)
            OneByOne.busy -= 1
            return StopEvent(result=[ev.n, together])

    workflow = OneByOne(num_concurrent_runs=1)
    handlers = [workflow.run(n=n) for n in range(3)]
    return [await handler for handler in handlers]

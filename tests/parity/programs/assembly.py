"""Scenarios of putting workflows together: free functions, checks that are left out, names, and runs that queue."""

from __future__ import annotations

from typing import Any

import anyio
from play import raised, raised_async
from workflows import Workflow, catch_error, step
from workflows.events import Event, InputRequiredEvent, StartEvent, StepFailedEvent, StopEvent
from workflows.testing import WorkflowTestRunner


class A(Event):
    n: int = 0


class SubA(A):
    pass


class B(Event):
    pass


class Ask(InputRequiredEvent):
    pass


class Good(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result="good")


async def free_functions_belong_to_one_class() -> Any:
    class Host(Workflow):
        @step
        async def go(self, ev: StartEvent) -> A:
            return A(n=1)

    class Heir(Host):
        pass

    before = raised(Host)[0]

    @step(workflow=Host)
    async def end(ev: A) -> StopEvent:
        return StopEvent(result=ev.n)

    def alone() -> None:
        @step
        async def nobody(ev: A) -> StopEvent:
            return StopEvent()

    def again() -> None:
        @step(workflow=Host)
        async def end(ev: A) -> StopEvent:
            return StopEvent()

    return [before, await Host().run(), raised(Heir)[0], raised(alone), raised(again)]


async def a_free_function_handles_failures() -> Any:
    class Host(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            raise ValueError("boom")

    @catch_error
    async def rescue(ev: StepFailedEvent) -> StopEvent:
        return StopEvent(result=ev.step_name)

    Host.add_step(rescue)
    return await Host().run()


async def validation_is_done_once_until_the_steps_change() -> Any:
    class Host(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=1)

    workflow = Host()
    first = await workflow.run()

    @step(workflow=Host)
    async def lost(ev: A) -> StopEvent:
        return StopEvent()

    sentence = raised(workflow.run)
    return [first, sentence[0], "consumed but never produced: A" in sentence[1]]


async def steps_named_like_members() -> Any:
    class Named(Workflow):
        @step
        async def plan(self, ev: StartEvent) -> A:
            return A(n=1)

        @step
        async def validate(self, ev: A) -> B:
            return B()

        @step
        async def serializer(self, ev: B) -> SubA:
            return SubA(n=2)

        @step
        async def workflow_name(self, ev: SubA) -> StopEvent:
            return StopEvent(result=ev.n)

    return await Named().run()


async def checks_left_out() -> Any:
    def two(workflow: Any = None, first: Any = None, second: Any = None) -> list[Any]:
        class Two(Workflow):
            @step
            async def go(self, ev: StartEvent) -> StopEvent:
                return StopEvent()

            @step(skip_graph_checks=first)
            async def a(self, ev: A) -> B:
                return B()

            @step(skip_graph_checks=second)
            async def b(self, ev: B) -> A:
                return A()

        kind, text = raised(lambda: Two(skip_graph_checks=workflow).validate())
        # Each problem has an explanation in the words of the engine.
        return [kind, [line for line in text.splitlines() if "[" in line]]

    return {
        "none": two(),
        "one": two({"reachability"}),
        "both": two({"reachability", "dead_end"}),
        "of one step": two(None, {"reachability"}),
        "of both steps": two(None, {"reachability", "dead_end"}, {"reachability", "dead_end"}),
    }


async def subclasses_count_where_a_step_takes_them() -> Any:
    class Takes(Workflow):
        @step
        async def go(self, ev: StartEvent) -> SubA:
            return SubA(n=2)

        @step(accept_event_subclasses=True)
        async def end(self, ev: A) -> StopEvent:
            return StopEvent(result=[type(ev).__name__, ev.n])

    class Refuses(Workflow):
        @step
        async def go(self, ev: StartEvent) -> SubA:
            return SubA()

        @step
        async def end(self, ev: A) -> StopEvent:
            return StopEvent()

    kind, text = raised(lambda: Refuses().validate())
    return [raised(lambda: Takes().validate()), await Takes().run(), kind, "consumed but never produced: A" in text]


async def validation_in_other_cases() -> Any:
    class Asks(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent | A:
            return StopEvent()

        @step
        async def ask(self, ev: A) -> Ask:
            return Ask()

    class Silent(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result="heard")

        @step
        async def log(self, ev: StartEvent) -> None:
            return None

    class Broken(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result="unchecked")

        @step
        async def lost(self, ev: A) -> StopEvent:
            return StopEvent()

    explicit = raised(lambda: Broken(disable_validation=True).validate())[0]
    return [
        raised(lambda: Asks().validate()),
        raised(lambda: Silent().validate()),
        await Silent().run(),
        await Broken(disable_validation=True).run(),
        explicit,
    ]


async def names_of_local_workflows() -> Any:
    class Local(Workflow):
        @step
        async def go(self, ev: StartEvent) -> StopEvent:
            return StopEvent()

    return [Local().workflow_name.replace(__name__, "MODULE"), Local(workflow_name="mine").workflow_name]


class Slow(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        await anyio.sleep(0.08)
        return StopEvent(result=ev.n)


async def runs_that_queue() -> Any:
    workflow = Slow(num_concurrent_runs=1, timeout=0.5)
    handlers = [workflow.run(n=n) for n in range(3)]
    await handlers[1].cancel_run()
    results = [await handlers[0], await handlers[2]]
    cancelled = await raised_async(handlers[1])
    many = Slow(num_concurrent_runs=1, timeout=0.3)
    # Six runs of 0.08 s each: waiting for its turn does not count against the time limit.
    return [results, cancelled[0], [await one for one in [many.run(n=n) for n in range(6)]]]


async def the_runner_for_tests() -> Any:
    class Tells(Workflow):
        @step
        async def go(self, ev: StartEvent) -> SubA:
            return SubA(n=3)

        @step(accept_event_subclasses=True)
        async def end(self, ev: A) -> StopEvent:
            return StopEvent(result=ev.n)

    told = await WorkflowTestRunner(Tells()).run()
    less = await WorkflowTestRunner(Tells()).run(expose_internal=False, exclude_events=[StopEvent])
    return [
        told.result,
        {cls.__name__: number for cls, number in told.event_types.items()},
        [type(event).__name__ for event in told.collected],
        less.collected,
        less.event_types,
    ]

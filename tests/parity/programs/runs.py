"""Scenarios of runs: routing, workers, waiting, failing, ending."""

from __future__ import annotations

import time
from typing import Any

import anyio
from play import cancel, raised, run, send
from workflows import Context, Workflow, catch_error, step
from workflows.events import (
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
)


class A(Event):
    n: int = 0


class B(Event):
    n: int = 0


class SubA(A):
    more: str = "m"


class Note(Event):
    n: int = 0


class Ask(InputRequiredEvent):
    prompt: str = "?"


class Answer(HumanResponseEvent):
    text: str = ""


class Input(StartEvent):
    a: int
    b: str = "b"


class Output(StopEvent):
    x: int


class OneStep(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result=ev.get("name", "nobody"))


async def one_step() -> Any:
    return await run(OneStep(), name="Ada")


async def hidden_internal_events() -> Any:
    return await run(OneStep(), internal=False)


class Chain(Workflow):
    @step
    async def first(self, ev: StartEvent) -> A:
        return A(n=1)

    @step
    async def second(self, ev: A) -> StopEvent:
        return StopEvent(result=ev.n + 1)


async def chain() -> Any:
    return await run(Chain())


class Loop(Workflow):
    @step
    async def around(self, ev: StartEvent | A) -> A | StopEvent:
        n = ev.n if isinstance(ev, A) else 0
        return A(n=n + 1) if n < 3 else StopEvent(result=n)


async def loop() -> Any:
    return await run(Loop())


class Branch(Workflow):
    @step
    async def choose(self, ev: StartEvent) -> A | B:
        return A() if ev.left else B()

    @step
    async def left(self, ev: A) -> StopEvent:
        return StopEvent(result="left")

    @step
    async def right(self, ev: B) -> StopEvent:
        return StopEvent(result="right")


async def branch() -> Any:
    return [await run(Branch(), left=True), await run(Branch(), left=False)]


class Typed(Workflow):
    @step
    async def go(self, ev: Input) -> Output:
        return Output(x=ev.a + len(ev.b))


async def typed_start_and_stop() -> Any:
    return [await run(Typed(), a=4), await run(Typed(), start_event=Input(a=1, b="long"))]


class Empty(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        return StopEvent()


async def stop_without_result() -> Any:
    return await run(Empty())


class Everyone(Workflow):
    """Three steps take one event; alphabetical order decides who is first."""

    @step
    async def start(self, ev: StartEvent) -> A:
        return A(n=1)

    @step
    async def c(self, ev: A, ctx: Context) -> B:
        ctx.write_event_to_stream(Note(n=3))
        return B(n=3)

    @step
    async def b(self, ev: A, ctx: Context) -> B:
        ctx.write_event_to_stream(Note(n=2))
        return B(n=2)

    @step
    async def gather(self, ev: B, ctx: Context) -> StopEvent | None:
        both = ctx.collect_events(ev, [B, B])
        return None if both is None else StopEvent(result=sorted(event.n for event in both))


async def one_event_for_several_steps() -> Any:
    return await run(Everyone())


class Subclasses(Workflow):
    @step
    async def start(self, ev: StartEvent) -> SubA:
        return SubA(n=5)

    @step(accept_event_subclasses=True)
    async def take(self, ev: A) -> StopEvent:
        return StopEvent(result=[type(ev).__name__, ev.n])


async def subclasses_are_accepted() -> Any:
    return await run(Subclasses())


class Workers(Workflow):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    @step
    async def split(self, ev: StartEvent, ctx: Context) -> A | None:
        for n in range(self.count):
            ctx.send_event(A(n=n))
        return None

    @step(num_workers=2)
    async def work(self, ev: A) -> B:
        await anyio.sleep(0.03 * (ev.n + 1))
        return B(n=ev.n)

    @step(num_workers=1)
    async def gather(self, ev: B, ctx: Context) -> StopEvent | None:
        events = ctx.collect_events(ev, [B] * self.count)
        return None if events is None else StopEvent(result=[event.n for event in events])


async def two_workers_and_a_queue() -> Any:
    return await run(Workers(5))


class OneWorker(Workflow):
    @step
    async def split(self, ev: StartEvent, ctx: Context) -> A | None:
        for n in range(3):
            ctx.send_event(A(n=n))
        return None

    @step(num_workers=1)
    async def work(self, ev: A) -> B:
        await anyio.sleep(0.02)
        return B(n=ev.n)

    @step
    async def gather(self, ev: B, ctx: Context) -> StopEvent | None:
        events = ctx.collect_events(ev, [B] * 3)
        return None if events is None else StopEvent(result=[event.n for event in events])


async def one_worker_and_a_queue() -> Any:
    return await run(OneWorker())


class SendsWhileRunning(Workflow):
    @step
    async def first(self, ev: StartEvent, ctx: Context) -> A | B:
        ctx.write_event_to_stream(Note(n=1))
        ctx.send_event(A(n=1))
        await anyio.sleep(0.05)
        ctx.write_event_to_stream(Note(n=2))
        return B()

    @step
    async def a(self, ev: A, ctx: Context) -> None:
        ctx.write_event_to_stream(Note(n=10))

    @step
    async def b(self, ev: B) -> StopEvent:
        return StopEvent(result="b")


async def sent_events_are_taken_while_the_sender_runs() -> Any:
    return await run(SendsWhileRunning())


class Targets(Workflow):
    @step
    async def a(self, ev: StartEvent, ctx: Context) -> A | None:
        wrong = [
            raised(lambda: ctx.send_event(A(), step="zzz")),
            raised(lambda: ctx.send_event(A(), step="a")),
        ]
        await ctx.store.set("wrong", [kind for kind, _ in wrong])
        ctx.send_event(A(n=1), step="c")
        return None

    @step
    async def b(self, ev: A) -> StopEvent:
        return StopEvent(result="b")

    @step
    async def c(self, ev: A, ctx: Context) -> StopEvent:
        return StopEvent(result=["c", await ctx.store.get("wrong")])


async def an_event_for_one_step() -> Any:
    return await run(Targets())


class Collect(Workflow):
    @step
    async def start(self, ev: StartEvent, ctx: Context) -> A | B:
        ctx.send_event(B(n=1))
        ctx.send_event(A(n=2))
        return B(n=3)

    @step(num_workers=1)
    async def gather(self, ev: A | B, ctx: Context) -> StopEvent | None:
        events = ctx.collect_events(ev, [A, B, B])
        if events is None:
            return None
        return StopEvent(result=[[type(event).__name__ for event in events], sorted(event.n for event in events)])


async def collected_events_come_in_the_order_expected() -> Any:
    return await run(Collect())


class CollectNothing(Workflow):
    @step
    async def start(self, ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=ctx.collect_events(ev, []))


async def collecting_nothing() -> Any:
    return await run(CollectNothing())


class Buffers(Workflow):
    @step
    async def start(self, ev: StartEvent, ctx: Context) -> A | None:
        for n in range(4):
            ctx.send_event(A(n=n))
        return None

    @step(num_workers=1)
    async def gather(self, ev: A, ctx: Context) -> B | None:
        pair = ctx.collect_events(ev, [A, A], buffer_id="even" if ev.n % 2 == 0 else "odd")
        return None if pair is None else B(n=sum(event.n for event in pair))

    @step(num_workers=1)
    async def end(self, ev: B, ctx: Context) -> StopEvent | None:
        sums = ctx.collect_events(ev, [B, B])
        return None if sums is None else StopEvent(result=[event.n for event in sums])


async def buffers_by_name() -> Any:
    return await run(Buffers())


class Human(Workflow):
    @step
    async def ask(self, ev: StartEvent) -> Ask:
        return Ask(prompt="your name?")

    @step
    async def end(self, ev: Answer) -> StopEvent:
        return StopEvent(result=ev.text)


async def a_person_answers() -> Any:
    return await run(Human(), ("WorkflowIdleEvent", send(Answer(text="Ada"))))


class Waits(Workflow):
    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> StopEvent:
        answer = await ctx.wait_for_event(Answer, waiter_event=Ask(prompt="go?"))
        return StopEvent(result=answer.text)


async def a_step_waits() -> Any:
    return await run(Waits(), ("WorkflowIdleEvent", send(Answer(text="yes"))))


class WaitsFor(Workflow):
    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> StopEvent:
        answer = await ctx.wait_for_event(Answer, waiter_event=Ask(), requirements={"text": "yes"})
        return StopEvent(result=answer.text)


async def a_step_waits_for_a_certain_answer() -> Any:
    no, yes = send(Answer(text="no")), send(Answer(text="yes"))
    return await run(WaitsFor(), ("WorkflowIdleEvent", no), ("WorkflowIdleEvent", yes))


class WaitsShortly(Workflow):
    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> StopEvent:
        await ctx.wait_for_event(Answer, waiter_event=Ask(), timeout=0.1)
        return StopEvent()


async def a_wait_runs_out() -> Any:
    return await run(WaitsShortly())


class WaitsShortlyAndCopes(Workflow):
    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> StopEvent:
        try:
            await ctx.wait_for_event(Answer, waiter_event=Ask(), timeout=0.1)
        except TimeoutError as error:
            return StopEvent(result=str(error))
        return StopEvent()


async def a_step_copes_with_a_wait_that_runs_out() -> Any:
    return await run(WaitsShortlyAndCopes())


class WaitsAndRoutes(Workflow):
    """The same event resolves a wait and goes to another step."""

    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> StopEvent:
        answer = await ctx.wait_for_event(Answer)
        await anyio.sleep(0.05)
        return StopEvent(result=answer.text)

    @step
    async def listen(self, ev: Answer, ctx: Context) -> None:
        ctx.write_event_to_stream(Note(n=7))


async def a_wait_and_a_step_for_one_event() -> Any:
    return await run(WaitsAndRoutes(), ("WorkflowIdleEvent", send(Answer(text="both"))))


class Second(HumanResponseEvent):
    text: str = ""


class WaitsTwice(Workflow):
    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> StopEvent:
        one = await ctx.wait_for_event(Answer, waiter_event=Ask(prompt="one"))
        two = await ctx.wait_for_event(Second, waiter_event=Ask(prompt="two"))
        return StopEvent(result=[one.text, two.text])


async def two_waits_for_two_types() -> Any:
    answers = send(Answer(text="1")), send(Second(text="2"))
    return await run(WaitsTwice(), ("WorkflowIdleEvent", answers[0]), ("WorkflowIdleEvent", answers[1]))


async def two_waits_of_one_type() -> Any:
    class Twice(Workflow):
        @step
        async def ask(self, ev: StartEvent, ctx: Context) -> StopEvent:
            one = await ctx.wait_for_event(Answer, waiter_event=Ask(prompt="one"), waiter_id="1")
            two = await ctx.wait_for_event(Answer, waiter_event=Ask(prompt="two"), waiter_id="2")
            return StopEvent(result=[one.text, two.text])

    answers = send(Answer(text="1")), send(Answer(text="2"))
    return await run(Twice(), ("WorkflowIdleEvent", answers[0]), ("WorkflowIdleEvent", answers[1]))


class Ignores(Workflow):
    @step
    async def start(self, ev: StartEvent, ctx: Context) -> Ask | None:
        ctx.send_event(Note(n=7))
        return None

    @step
    async def end(self, ev: Answer) -> StopEvent:
        return StopEvent(result=ev.text)


async def an_event_nobody_takes() -> Any:
    return await run(Ignores(), ("WorkflowIdleEvent", send(Answer(text="end"))))


async def an_unknown_event_from_outside() -> Any:
    return await run(Human(), ("WorkflowIdleEvent", send(Note(n=1))), ("WorkflowIdleEvent", send(Answer(text="end"))))


class Fails(Workflow):
    @step
    async def start(self, ev: StartEvent) -> StopEvent:
        raise ValueError("boom")


async def a_step_fails() -> Any:
    return await run(Fails())


class FailsBeside(Workflow):
    @step
    async def start(self, ev: StartEvent, ctx: Context) -> A | B:
        ctx.send_event(A())
        await anyio.sleep(0.02)
        return B()

    @step
    async def other(self, ev: A, ctx: Context) -> None:
        try:
            await anyio.sleep(5)
        finally:
            ctx.write_event_to_stream(Note(n=99))

    @step
    async def bad(self, ev: B) -> StopEvent:
        await anyio.sleep(0.02)
        raise ValueError("boom")


async def a_step_fails_while_another_runs() -> Any:
    return await run(FailsBeside())


class StopsBeside(Workflow):
    @step
    async def start(self, ev: StartEvent, ctx: Context) -> A | B:
        ctx.send_event(A())
        await anyio.sleep(0.02)
        return B()

    @step
    async def other(self, ev: A) -> None:
        await anyio.sleep(5)

    @step
    async def end(self, ev: B) -> StopEvent:
        await anyio.sleep(0.02)
        return StopEvent(result="stopped")


async def a_run_stops_while_a_step_runs() -> Any:
    return await run(StopsBeside())


class Wrong(Workflow):
    @step
    async def start(self, ev: StartEvent) -> StopEvent:
        return "text"  # type: ignore[return-value]


async def a_step_returns_something_else() -> Any:
    return await run(Wrong())


class Slow(Workflow):
    @step
    async def start(self, ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.write_event_to_stream(Note(n=1))
        await anyio.sleep(5)
        return StopEvent()


async def a_run_uses_up_its_time() -> Any:
    return await run(Slow(timeout=0.1))


async def a_waiting_run_uses_up_its_time() -> Any:
    return await run(Waits(timeout=0.1))


async def a_run_is_cancelled() -> Any:
    return await run(Slow(), ("Note", cancel))


async def a_waiting_run_is_cancelled() -> Any:
    return await run(Waits(), ("WorkflowIdleEvent", cancel))


class Sync(Workflow):
    @step
    def first(self, ev: StartEvent) -> A:
        time.sleep(0.01)
        return A(n=2)

    @step
    def second(self, ev: A) -> StopEvent:
        return StopEvent(result=ev.n)


async def steps_in_threads() -> Any:
    return await run(Sync())


class Policy:
    """A retry policy as a user writes one: so many attempts, always the same delay."""

    def __init__(self, attempts: int, delay: float) -> None:
        self.attempts, self.delay = attempts, delay

    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return self.delay if attempts < self.attempts else None


class Retries(Workflow):
    @step(retry_policy=Policy(3, 0.02))
    async def start(self, ev: StartEvent, ctx: Context) -> StopEvent:
        info = ctx.retry_info()
        ctx.write_event_to_stream(Note(n=info.retry_number))
        if info.retry_number < 2:
            raise ValueError(f"attempt {info.retry_number}")
        return StopEvent(result=[info.retry_number, str(info.last_exception)])


async def a_step_is_retried() -> Any:
    return await run(Retries())


class GivesUp(Workflow):
    @step(retry_policy=Policy(2, 0))
    async def start(self, ev: StartEvent) -> StopEvent:
        raise ValueError("again and again")


async def a_step_is_given_up() -> Any:
    return await run(GivesUp())


class Rescued(Workflow):
    @step(retry_policy=Policy(2, 0))
    async def start(self, ev: StartEvent) -> A:
        raise ValueError("broken")

    @step
    async def end(self, ev: A) -> StopEvent:
        return StopEvent(result=ev.n)

    @catch_error
    async def rescue(self, ev: StepFailedEvent) -> A:
        assert (ev.step_name, type(ev.input_event), ev.attempts) == ("start", StartEvent, 2)
        return A(n=len(str(ev.exception)))


async def a_failure_is_caught() -> Any:
    return await run(Rescued())


class Scoped(Workflow):
    @step
    async def start(self, ev: StartEvent) -> A:
        return A()

    @step
    async def bad(self, ev: A) -> StopEvent:
        raise ValueError("bad")

    @catch_error(for_steps=["bad"])
    async def only_bad(self, ev: StepFailedEvent) -> StopEvent:
        return StopEvent(result="by its own handler")

    @catch_error
    async def any_other(self, ev: StepFailedEvent) -> StopEvent:
        return StopEvent(result="by the wildcard")


async def a_failure_goes_to_the_handler_of_its_step() -> Any:
    return await run(Scoped())


class Again(Workflow):
    @step
    async def start(self, ev: StartEvent) -> A:
        return A()

    @step
    async def bad(self, ev: A) -> StopEvent:
        raise ValueError("bad")

    @catch_error(max_recoveries=2)
    async def once_more(self, ev: StepFailedEvent, ctx: Context) -> A:
        ctx.write_event_to_stream(Note(n=1))
        return A()


async def a_lineage_is_rescued_so_many_times() -> Any:
    return await run(Again())


class BadHandler(Workflow):
    @step
    async def start(self, ev: StartEvent) -> StopEvent:
        raise ValueError("first")

    @catch_error
    async def rescue(self, ev: StepFailedEvent) -> StopEvent:
        raise KeyError("second")


async def a_handler_of_failures_fails() -> Any:
    return await run(BadHandler())

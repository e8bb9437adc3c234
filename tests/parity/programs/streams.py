"""Scenarios of fan-out and fan-in by list, and of joins."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
from play import raised, run, send
from workflows import Context, Workflow, catch_error, step
from workflows.collect import All, Cardinality, Collect, Take
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


class C(Event):
    n: int = 0


class D(Event):
    n: int = 0


class SubA(A):
    pass


class SubB(B):
    pass


class Note(Event):
    n: int = 0


class Ask(InputRequiredEvent):
    n: int = 0


class Answer(HumanResponseEvent):
    n: int = 0


class Policy:
    def __init__(self, attempts: int, delay: float) -> None:
        self.attempts, self.delay = attempts, delay

    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return self.delay if attempts < self.attempts else None


def numbers(events: Any) -> list[int]:
    return [event.n for event in events]


class Basic(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [A(n=n) for n in range(3)]

    @step
    async def work(self, ev: A) -> B:
        await anyio.sleep(0.1 * (3 - ev.n))
        return B(n=ev.n)

    @step
    async def gather(self, found: list[B]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def members_come_in_order_of_arrival() -> Any:
    return await run(Basic())


class Queued(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [A(n=n) for n in range(6)]

    @step(num_workers=2)
    async def work(self, ev: A) -> B:
        return B(n=ev.n)

    @step
    async def gather(self, found: list[B]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def members_queue_for_workers() -> Any:
    return await run(Queued())


class Lists(Workflow):
    """Returns what it is told to."""

    def __init__(self, returns: Any) -> None:
        super().__init__(timeout=0.3, disable_validation=True)
        self.returns = returns

    @step
    async def split(self, ev: StartEvent) -> list[A] | C:
        return self.returns  # type: ignore[no-any-return]

    @step
    async def alone(self, ev: C) -> StopEvent:
        return StopEvent(result="alone")

    @step
    async def gather(self, found: list[A]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def a_list_of_two() -> Any:
    return await run(Lists([A(n=1), A(n=2)]))


async def an_empty_list() -> Any:
    return await run(Lists([]))


async def nothing_instead_of_a_list() -> Any:
    return await run(Lists(None))


async def an_event_declared_beside_the_list() -> Any:
    return await run(Lists(C()))


async def a_list_with_other_events() -> Any:
    return await run(Lists([C(), A(n=1), SubA(n=2), Note()]))


async def lists_that_are_none() -> Any:
    played = {}
    for name, value in (
        ("bare", A()),
        ("bare subclass", SubA()),
        ("bare undeclared", Note()),
        ("bare stop", StopEvent()),
        ("no event", [A(), 3]),
        ("tuple", (A(), A())),
    ):
        failed = await run(Lists(value))
        played[name] = failed["error"]
    return played


class Unannotated(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        return [StopEvent()]  # type: ignore[return-value]


async def a_list_without_annotation() -> Any:
    return await run(Unannotated())


class AllSorts(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A | Ask | Note]:
        return [A(n=1), Ask(n=2), A(n=3), Note(n=5)]

    @step
    async def work(self, ev: A) -> None:
        return None

    @step
    async def end(self, ev: Answer) -> StopEvent:
        return StopEvent()


async def a_list_of_all_sorts() -> Any:
    return await run(AllSorts(disable_validation=True), ("WorkflowIdleEvent", send(Answer())))


class ListStops(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A | StopEvent]:
        return [A(n=1), StopEvent(result=3), A(n=2)]

    @step
    async def work(self, ev: A) -> None:
        await anyio.sleep(0.1)


async def a_list_that_stops_the_run() -> Any:
    return await run(ListStops())


class MemberStops(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [A(n=1), A(n=2), A(n=3)]

    @step
    async def work(self, ev: A) -> B | StopEvent:
        await anyio.sleep(0.15 * ev.n)
        return StopEvent(result="early") if ev.n == 2 else B()

    @step
    async def gather(self, found: list[B]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def a_member_that_stops_the_run() -> Any:
    return await run(MemberStops())


class TakeTwo(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [A(n=n) for n in range(4)]

    @step
    async def work(self, ev: A) -> B:
        await anyio.sleep(0.1 * (ev.n + 1))
        return B(n=ev.n)

    @step
    async def gather(self, found: Annotated[list[B], Collect(Take(2))]) -> C:
        await anyio.sleep(0.5)
        return C(n=sum(numbers(found)))

    @step
    async def end(self, ev: C) -> StopEvent:
        return StopEvent(result=ev.n)


async def two_of_four() -> Any:
    return await run(TakeTwo())


class TakeFew(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [A(n=1), A(n=2)]

    @step
    async def gather(self, found: Annotated[list[A], Collect(Take(5))]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def fewer_than_wanted() -> Any:
    return await run(TakeFew())


class TwoCollect(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [A(n=1), A(n=2)]

    @step
    async def a(self, ev: A) -> B:
        return B(n=ev.n)

    @step
    async def b(self, ev: A) -> C:
        return C(n=ev.n)

    @step
    async def gather(self, found: list[B | C]) -> D:
        return D(n=len(found))

    @step
    async def gather_b(self, found: list[B]) -> D:
        return D(n=len(found) * 10)

    @step
    async def plain(self, ev: B) -> None:
        return None

    @step
    async def end(self, ev: D, ctx: Context) -> StopEvent | None:
        both = ctx.collect_events(ev, [D, D])
        return None if both is None else StopEvent(result=sorted(numbers(both)))


async def two_collectors_and_a_plain_step() -> Any:
    return await run(TwoCollect())


class Nested(Workflow):
    @step
    async def outer(self, ev: StartEvent) -> list[A]:
        return [A(n=n) for n in range(3)]

    @step
    async def inner(self, ev: A) -> list[B]:
        return [B(n=ev.n * 10 + n) for n in range(ev.n)]

    @step
    async def gather_inner(self, found: list[B]) -> C | None:
        if not found:
            return None
        await anyio.sleep(0.5 * len(found))
        return C(n=sum(numbers(found)))

    @step
    async def gather_outer(self, found: list[C]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def streams_in_streams() -> Any:
    return await run(Nested())


class InnerNothing(Nested):
    @step
    async def gather_inner(self, found: list[B]) -> C | None:
        return None


async def inner_collectors_that_return_nothing() -> Any:
    return await run(InnerNothing())


class NoInner(Workflow):
    @step
    async def outer(self, ev: StartEvent) -> list[A]:
        return [A(n=1)]

    @step
    async def inner(self, ev: A) -> list[B]:
        return [B(n=1), B(n=2)]

    @step
    async def shortcut(self, ev: A) -> C:
        return C(n=5)

    @step
    async def work(self, ev: B, ctx: Context) -> None:
        await anyio.sleep(0.4 * ev.n)
        ctx.write_event_to_stream(Note(n=ev.n))

    @step
    async def gather(self, found: list[C]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def an_inner_stream_without_a_collector() -> Any:
    return await run(NoInner(disable_validation=True))


class TakeInner(Workflow):
    @step
    async def outer(self, ev: StartEvent) -> list[A]:
        return [A(n=1)]

    @step
    async def inner(self, ev: A) -> list[B]:
        return [B(n=n) for n in range(3)]

    @step
    async def work(self, ev: B, ctx: Context) -> C:
        await anyio.sleep(0.4 * ev.n)
        ctx.write_event_to_stream(Note(n=ev.n))
        return C(n=ev.n)

    @step
    async def gather_inner(self, found: Annotated[list[C], Collect(Take(1))]) -> D:
        return D(n=len(found))

    @step
    async def gather_outer(self, found: list[D]) -> Ask:
        return Ask(n=len(found))

    @step
    async def end(self, ev: Answer) -> StopEvent:
        return StopEvent(result="end")


async def an_outer_stream_does_not_wait_for_the_unheard() -> Any:
    return await run(TakeInner(), ("WorkflowIdleEvent", send(Answer())))


class CollectorLists(Workflow):
    @step
    async def outer(self, ev: StartEvent) -> list[A]:
        return [A(n=n) for n in range(3)]

    @step
    async def middle(self, found: list[A]) -> list[B]:
        return [B(n=event.n * 2) for event in found]

    @step
    async def last(self, found: list[B]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def a_collector_that_returns_a_list() -> Any:
    return await run(CollectorLists())


class Recursive(Workflow):
    @step
    async def outer(self, ev: StartEvent) -> list[A]:
        return [A(n=2)]

    @step
    async def split(self, ev: A) -> list[A] | B:
        await anyio.sleep(0.01)
        return [A(n=ev.n - 1), A(n=ev.n - 1)] if ev.n > 0 else B(n=1)

    @step
    async def gather(self, found: list[B], ctx: Context) -> B | StopEvent:
        total = sum(numbers(found))
        ctx.write_event_to_stream(Note(n=total))
        return B(n=total)

    @step
    async def end(self, ev: C) -> StopEvent:
        return StopEvent()


async def a_list_of_the_same() -> Any:
    return await run(Recursive(timeout=0.5, disable_validation=True))


class OneCollector(Workflow):
    @step
    async def outer(self, ev: StartEvent) -> list[A]:
        return [A(n=n) for n in range(3)]

    @step
    async def inner(self, ev: A) -> list[B]:
        await anyio.sleep(0.1 * ev.n)
        return [B(n=ev.n)]

    @step(num_workers=1)
    async def gather(self, found: list[B]) -> C:
        await anyio.sleep(0.5)
        return C(n=found[0].n)

    @step
    async def end(self, found: list[C]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def collectors_queue_for_workers() -> Any:
    return await run(OneCollector())


class Subclasses(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [SubA(n=1), SubA(n=2)]

    @step(accept_event_subclasses=True)
    async def gather(self, found: list[A]) -> StopEvent:
        return StopEvent(result=[type(event).__name__ for event in found])


async def subclasses_are_collected() -> Any:
    return await run(Subclasses())


class BranchEnds(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [A(n=0), A(n=1)]

    @step
    async def work(self, ev: A) -> B:
        await anyio.sleep(0.1 * ev.n)
        return SubB(n=1) if ev.n else B()

    @step
    async def gather(self, found: list[B]) -> StopEvent:
        return StopEvent(result=len(found))


async def a_branch_ends_unheard() -> Any:
    return await run(BranchEnds())


class Retried(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [A(n=1), A(n=2)]

    @step(retry_policy=Policy(3, 0.02))
    async def work(self, ev: A, ctx: Context) -> B:
        if ev.n == 1 and ctx.retry_info().retry_number < 2:
            raise ValueError("not yet")
        return B(n=ev.n)

    @step
    async def gather(self, found: list[B]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def a_member_is_retried() -> Any:
    return await run(Retried())


class Rescued(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [A(n=n) for n in range(3)]

    @step
    async def work(self, ev: A) -> B:
        await anyio.sleep(0.1 * ev.n)
        if ev.n > 0:
            raise ValueError("broken")
        return B(n=ev.n)

    @catch_error
    async def rescue(self, ev: StepFailedEvent) -> B | StopEvent | None:
        if ev.step_name == "gather":
            return StopEvent(result="rescued at the end")
        return B(n=100) if ev.input_event.n == 1 else None

    @step
    async def gather(self, found: list[B]) -> StopEvent:
        if numbers(found) == [0, 100]:
            raise ValueError("the members' recoveries are not the collector's")
        return StopEvent(result=numbers(found))


async def members_and_their_collector_are_rescued() -> Any:
    return await run(Rescued())


class CollectorFails(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [A(n=n) for n in range(3)]

    @step(retry_policy=Policy(2, 0))
    async def gather(self, found: list[A], ctx: Context) -> StopEvent:
        ctx.write_event_to_stream(Note(n=len(found)))
        raise ValueError("too many")

    @catch_error
    async def rescue(self, ev: StepFailedEvent) -> StopEvent:
        given: Any = ev.input_event
        told = [ev.step_name, type(given).__name__, numbers(given.events), ev.attempts]
        return StopEvent(result=[*told, given.binding_id.startswith("split->gather"), type(given.stream_id).__name__])


async def a_collector_fails() -> Any:
    return await run(CollectorFails())


class FailsForGood(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [A(n=1)]

    @step
    async def gather(self, found: list[A]) -> StopEvent:
        raise ValueError("too few")


async def a_collector_fails_for_good() -> Any:
    return await run(FailsForGood())


class ProducerRetries(Workflow):
    @step(retry_policy=Policy(2, 0))
    async def split(self, ev: StartEvent, ctx: Context) -> list[A]:
        if ctx.retry_info().retry_number == 0:
            return A()  # type: ignore[return-value]
        return [A(n=1), A(n=2)]

    @step
    async def gather(self, found: list[A]) -> StopEvent:
        return StopEvent(result=len(found))


async def a_wrong_list_is_an_ordinary_failure() -> Any:
    played = await run(ProducerRetries())
    return {**played, "stream": [line for line in played["stream"] if line[0] == "StepStateChanged"]}


class HandlerLists(Workflow):
    @step
    async def begin(self, ev: StartEvent) -> C:
        raise ValueError("nothing")

    @catch_error
    async def rescue(self, ev: StepFailedEvent) -> list[A]:
        return [A(), A()]

    @step
    async def c(self, ev: C) -> StopEvent:
        return StopEvent()

    @step
    async def gather(self, found: list[A]) -> StopEvent:
        return StopEvent(result=len(found))


async def a_handler_returns_a_list() -> Any:
    return await run(HandlerLists())


class RescuedBefore(Workflow):
    @step
    async def begin(self, ev: StartEvent) -> C:
        raise ValueError("first")

    @step
    async def split(self, ev: C) -> list[A]:
        return [A(n=1)]

    @step
    async def work(self, ev: A) -> B:
        raise ValueError("second")

    @catch_error
    async def rescue(self, ev: StepFailedEvent) -> C | B:
        return B() if ev.step_name == "work" else C()

    @step
    async def gather(self, found: list[B]) -> StopEvent:
        return StopEvent()


async def recoveries_travel_into_the_list() -> Any:
    return await run(RescuedBefore())


class GatherFailsAfter(Workflow):
    @step
    async def begin(self, ev: StartEvent) -> C:
        raise ValueError("first")

    @step
    async def split(self, ev: C) -> list[A]:
        return [A(n=1)]

    @catch_error
    async def rescue(self, ev: StepFailedEvent) -> C | StopEvent:
        return StopEvent(result="once more") if ev.step_name == "gather" else C()

    @step
    async def gather(self, found: list[A]) -> StopEvent:
        raise ValueError("second")


async def recoveries_before_a_list_and_its_collector() -> Any:
    return {"played": await run(GatherFailsAfter())}


class Waits(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [A(n=0), A(n=1)]

    @step
    async def work(self, ev: A, ctx: Context) -> B:
        await ctx.wait_for_event(Answer, waiter_event=Ask(n=ev.n), requirements={"n": ev.n})
        return B(n=ev.n)

    @step
    async def gather(self, found: list[B]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def members_wait() -> Any:
    answers = [("WorkflowIdleEvent", send(Answer(n=1))), ("WorkflowIdleEvent", send(Answer(n=0)))]
    return await run(Waits(), *answers)


class WaitsInVain(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [A(n=1)]

    @step
    async def work(self, ev: A, ctx: Context) -> B | None:
        try:
            await ctx.wait_for_event(Answer, timeout=0.1)
        except TimeoutError:
            return None
        return B()

    @step
    async def gather(self, found: list[B]) -> StopEvent:
        return StopEvent(result=len(found))


async def members_wait_in_vain() -> Any:
    return await run(WaitsInVain())


class CollectorWaits(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [A(n=1), A(n=2)]

    @step
    async def gather(self, found: list[A], ctx: Context) -> StopEvent:
        answer = await ctx.wait_for_event(Answer, waiter_event=Ask(n=len(found)))
        return StopEvent(result=[answer.n, numbers(found)])


async def a_collector_waits() -> Any:
    return await run(CollectorWaits(), ("WorkflowIdleEvent", send(Answer(n=5))))


class MemberAsks(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [A(n=0), A(n=1)]

    @step
    async def work(self, ev: A) -> Ask | B:
        return Ask(n=ev.n) if ev.n else B(n=5)

    @step
    async def answered(self, ev: Answer) -> B:
        return B(n=ev.n)

    @step
    async def gather(self, found: list[B]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def a_question_leaves_the_stream() -> Any:
    return await run(MemberAsks(disable_validation=True))


class Buffers(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [A(n=n) for n in range(5)]

    @step
    async def work(self, ev: A, ctx: Context) -> B | None:
        await anyio.sleep(0.1 * ev.n)
        pair = ctx.collect_events(ev, [A, A])
        return None if pair is None else B(n=sum(numbers(pair)))

    @step
    async def gather(self, found: list[B]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def events_are_collected_within_a_stream() -> Any:
    return await run(Buffers())


class Sends(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A]:
        return [A(n=1), A(n=2)]

    @step
    async def work(self, ev: A, ctx: Context) -> B | C:
        ctx.send_event(B(n=ev.n * 10))
        ctx.send_event(C(n=ev.n))
        await anyio.sleep(0.1 * ev.n)
        return B(n=ev.n)

    @step
    async def aside(self, ev: C) -> None:
        return None

    @step
    async def gather(self, found: list[B]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def sent_events_are_in_no_stream() -> Any:
    return await run(Sends())


class ReturnsOutside(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A] | A:
        return A(n=7)

    @step
    async def work(self, ev: A) -> B:
        return B(n=ev.n)

    @step
    async def gather(self, found: list[B]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def returned_events_outside_a_stream_are_not_collected() -> Any:
    return await run(ReturnsOutside(timeout=0.3))


class Targeted(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> list[A] | StopEvent:
        ctx.send_event(A(n=1), step="gather")
        await anyio.sleep(0.3)
        return StopEvent(result="never")

    @step
    async def gather(self, found: list[A]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def a_collector_is_no_target() -> Any:
    played = await run(Targeted())
    return {
        "error": played["error"],
        "stop event": played["stop event"],
        "told": [line[:2] for line in played["stream"]],
    }


class Join(Workflow):
    @step
    async def start(self, ev: StartEvent) -> C:
        return C(n=1)

    @step
    async def a(self, ev: C) -> A:
        return A(n=1)

    @step
    async def b(self, ev: C) -> B:
        await anyio.sleep(0.05)
        return B(n=2)

    @step
    async def join(self, b: B, a: A) -> StopEvent:
        return StopEvent(result=[a.n, b.n])


async def two_branches_are_joined() -> Any:
    return await run(Join())


class Sets(Workflow):
    """Sends what it is told to, to a join."""

    def __init__(self, *events: Event) -> None:
        super().__init__(timeout=0.5)
        self.sent = events

    @step
    async def start(self, ev: StartEvent, ctx: Context) -> A | SubA | B | None:
        for event in self.sent:
            ctx.send_event(event)
        return None

    @step
    async def b(self, ev: B) -> None:
        return None

    @step(accept_event_subclasses=True)
    async def join(self, parent: A, child: SubA) -> D:
        return D(n=parent.n * 10 + child.n)

    @step
    async def end(self, ev: D) -> StopEvent:
        return StopEvent(result=ev.n)


async def a_parent_does_not_starve_a_child() -> Any:
    sets = [(SubA(n=1), A(n=2)), (A(n=1), SubA(n=2)), (SubA(n=1), SubA(n=2)), (A(n=0), A(n=1), SubA(n=2))]
    return [(await run(Sets(*events)))["result"] for events in sets]


class SameType(Workflow):
    @step
    async def start(self, ev: StartEvent, ctx: Context) -> A | None:
        for n in range(5):
            ctx.send_event(A(n=n))
        return None

    @step
    async def join(self, x: A, y: A) -> B:
        return B(n=x.n * 10 + y.n)

    @step
    async def end(self, ev: B, ctx: Context) -> StopEvent | None:
        both = ctx.collect_events(ev, [B, B])
        return None if both is None else StopEvent(result=sorted(numbers(both)))


async def slots_of_one_type_fill_in_order() -> Any:
    return (await run(SameType()))["result"]


class JoinFails(Workflow):
    @step
    async def start(self, ev: StartEvent) -> list[A | B]:
        return [A(n=1), B(n=2)]

    @step(retry_policy=Policy(2, 0))
    async def join(self, b: B, a: A, ctx: Context) -> StopEvent:
        ctx.write_event_to_stream(Note(n=a.n))
        raise ValueError("no")

    @catch_error
    async def rescue(self, ev: StepFailedEvent) -> StopEvent:
        return StopEvent(result=[type(ev.input_event).__name__, ev.attempts])


async def a_join_fails() -> Any:
    return await run(JoinFails())


class JoinWorkers(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[A | B]:
        return [A(n=1), A(n=2), B(n=3), B(n=4), A(n=5)]

    @step(num_workers=1)
    async def join(self, a: A, b: B) -> C:
        await anyio.sleep(0.01)
        return C(n=a.n * 10 + b.n)

    @step
    async def gather(self, found: list[C]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def sets_are_joined_in_a_stream() -> Any:
    return await run(JoinWorkers())


class JoinAcross(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[C]:
        return [C(n=1), C(n=2)]

    @step
    async def inner(self, ev: C) -> list[A]:
        await anyio.sleep(0.15 * ev.n)
        return [A(n=ev.n)]

    @step
    async def join(self, x: A, y: A) -> B:
        return B(n=x.n * 10 + y.n)

    @step
    async def gather_inner(self, found: list[B]) -> D:
        return D(n=sum(numbers(found)))

    @step
    async def gather_outer(self, found: list[D]) -> StopEvent:
        return StopEvent(result=numbers(found))


async def a_set_belongs_to_the_stream_that_completes_it() -> Any:
    return await run(JoinAcross())


async def decoration_of_lists() -> Any:
    def marker_on_single() -> None:
        @step
        async def go(self: Any, ev: Annotated[StartEvent, Collect(All())]) -> StopEvent: ...

    def other_cardinality() -> None:
        @step
        async def go(self: Any, ev: Annotated[list[A], Collect(3)]) -> StopEvent: ...  # type: ignore[arg-type]

    def base_cardinality() -> None:
        @step
        async def go(self: Any, ev: Annotated[list[A], Collect(Cardinality())]) -> StopEvent: ...

    def two_lists() -> None:
        @step
        async def go(self: Any, a: list[A], b: list[B]) -> StopEvent: ...

    def mixed() -> None:
        @step
        async def go(self: Any, b: B, a: list[A]) -> StopEvent: ...

    def union_slot() -> None:
        @step
        async def go(self: Any, a: A | B, b: C) -> StopEvent: ...

    def list_of_mixed() -> None:
        @step
        async def go(self: Any, a: list[A | int]) -> StopEvent: ...

    def join_of_failures() -> None:
        @catch_error
        async def go(self: Any, a: StepFailedEvent, b: A) -> StopEvent: ...

    cases = (
        marker_on_single,
        other_cardinality,
        base_cardinality,
        two_lists,
        mixed,
        union_slot,
        list_of_mixed,
        join_of_failures,
    )
    told = {case.__name__: raised(case) for case in cases}
    for n in (0, -1, "3", 2.0):
        told[f"take {n!r}"] = raised(lambda n=n: Take(n))  # type: ignore[misc]
    told["values"] = [repr(Collect()), repr(Take(3)), str(Collect(All()) == Collect()), str(Take(2) == Take(3))]
    return told


async def validation_of_lists() -> Any:
    class NoProducer(Workflow):
        @step
        async def go(self, ev: StartEvent) -> A: ...

        @step
        async def gather(self, found: list[A]) -> StopEvent: ...

    class HalfFed(Workflow):
        @step
        async def go(self, ev: StartEvent) -> list[A]: ...

        @step
        async def gather(self, found: list[A | B]) -> StopEvent: ...

    class NoSubclasses(Workflow):
        @step
        async def go(self, ev: StartEvent) -> list[SubA]: ...

        @step
        async def gather(self, found: list[A]) -> StopEvent: ...

    class StopList(Workflow):
        @step
        async def go(self, ev: StartEvent) -> list[A]: ...

        @step
        async def work(self, ev: A) -> StopEvent: ...

        @step
        async def gather(self, found: list[StopEvent]) -> StopEvent: ...

    class Below(Workflow):
        @step
        async def go(self, ev: StartEvent) -> B: ...

        @step
        async def split(self, ev: B) -> list[A]: ...

        @step
        async def join(self, a: A, b: B) -> StopEvent: ...

    class Beside(Workflow):
        @step
        async def go(self, ev: StartEvent) -> list[A]: ...

        @step
        async def go_too(self, ev: StartEvent) -> list[B]: ...

        @step
        async def join(self, a: A, b: B) -> StopEvent: ...

    class Nowhere(Workflow):
        @step
        async def go(self, ev: StartEvent) -> A: ...

        @step
        async def join(self, a: A, b: B) -> StopEvent: ...

    class Unheard(Workflow):
        @step
        async def go(self, ev: StartEvent) -> list[A] | StopEvent: ...

    class Fine(Workflow):
        @step
        async def go(self, ev: StartEvent) -> list[A]: ...

        @step
        async def go_too(self, ev: StartEvent) -> list[B]: ...

        @step
        async def gather_a(self, found: list[A]) -> C: ...

        @step
        async def gather_b(self, found: list[B]) -> D: ...

        @step
        async def join(self, a: C, b: D) -> StopEvent: ...

    cases = (NoProducer, HalfFed, NoSubclasses, StopList, Below, Beside, Nowhere, Unheard, Fine)
    return {case.__name__: raised(lambda case=case: case().validate()) for case in cases}  # type: ignore[misc]

"""Scenarios of failures: retry policies, what a step learns of its attempts, and who is rescued how often."""

from __future__ import annotations

import warnings
from datetime import timedelta
from functools import partial
from typing import Any

from play import raised, run
from workflows import Context, Workflow, catch_error, step
from workflows import retry_policy as rp
from workflows.events import Event, StartEvent, StepFailedEvent, StopEvent

BOOM = ValueError("boom")
DEEP = ValueError("oops")
DEEP.__cause__ = RuntimeError("between")
DEEP.__cause__.__cause__ = KeyError("x")


async def predicates() -> Any:
    made = {
        "if": rp.retry_if_exception(lambda error: "b" in str(error)),
        "type": rp.retry_if_exception_type(),
        "types": rp.retry_if_exception_type((KeyError, TypeError)),
        "not type": rp.retry_if_not_exception_type(ValueError),
        "unless type": rp.retry_unless_exception_type(KeyError),
        "message": rp.retry_if_exception_message("boom"),
        "match": rp.retry_if_exception_message(match="oo"),
        "not message": rp.retry_if_not_exception_message("boom"),
        "not match": rp.retry_if_not_exception_message(match="^oo"),
        "cause": rp.retry_if_exception_cause_type(KeyError),
        "no cause": rp.retry_if_exception_cause_type(ValueError),
        "always": rp.retry_always(),
        "never": rp.retry_never(),
        "any of none": rp.retry_any(),
        "all of none": rp.retry_all(),
        "or": rp.retry_if_exception_message("boom") | rp.retry_never(),
        "and": rp.retry_if_exception_message(match="o") & (lambda error: "b" in str(error)),
        "function first": (lambda error: "b" in str(error)) | rp.retry_never(),
    }
    gave: dict[str, Any] = {name: [one(BOOM), one(DEEP)] for name, one in made.items()}
    gave["neither"] = raised(rp.retry_if_exception_message)
    gave["both"] = raised(lambda: rp.retry_if_exception_message("a", "b"))
    return gave


async def waits() -> Any:
    made = {
        "fixed": rp.wait_fixed(timedelta(seconds=2)),
        "none": rp.wait_none(),
        "exponential": rp.wait_exponential(),
        "exponential within": rp.wait_exponential(0.5, 3, max=100, min=2),
        "incrementing": rp.wait_incrementing(1, timedelta(seconds=2), 6),
        "decrementing": rp.wait_incrementing(5, -2),
        "random": rp.wait_random(1, 3),
        "exponential jitter": rp.wait_exponential_jitter(),
        "random exponential": rp.wait_random_exponential(max=9, min=0.5),
        "full jitter": rp.wait_full_jitter(),
        "chain": rp.wait_chain(rp.wait_fixed(1), rp.wait_fixed(4)),
        "combine": rp.wait_combine(rp.wait_fixed(1), rp.wait_random()),
        "plus": rp.wait_fixed(1) + rp.wait_exponential(),
        "sum": sum([rp.wait_fixed(1), rp.wait_fixed(2), rp.wait_none()]),
    }
    gave: dict[str, Any] = {name: [one(n, seed=n + 7) for n in range(8)] for name, one in made.items()}
    kind, text = raised(rp.wait_chain)
    gave["empty chain"] = [kind, "at least one" in text]
    return gave


async def stops() -> Any:
    made = {
        "attempts": rp.stop_after_attempt(3),
        "after": rp.stop_after_delay(timedelta(seconds=5)),
        "before": rp.stop_before_delay(5),
        "never": rp.stop_never(),
        "any of none": rp.stop_any(),
        "all of none": rp.stop_all(),
        "or": rp.stop_after_attempt(3) | rp.stop_after_delay(5),
        "and": rp.stop_after_attempt(3) & rp.stop_after_delay(5),
    }
    situations = [(1, 0, 0), (3, 0, 0), (1, 5, 0), (1, 4, 1), (3, 5, 0)]
    return {name: [one(n, passed, upcoming_sleep=next) for n, passed, next in situations] for name, one in made.items()}


async def policies() -> Any:
    def asked(policy: Any, error: Exception = BOOM) -> list[Any]:
        return [policy.next(0.0, attempts, error, seed=3) for attempts in range(1, 7)]

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        constant = rp.ConstantDelayRetryPolicy()
        growing = rp.ExponentialBackoffRetryPolicy(jitter=False)
        jittery = rp.ExponentialBackoffRetryPolicy()
    return {
        "default": asked(rp.retry_policy()),
        "growing": asked(rp.retry_policy(wait=rp.wait_exponential(), stop=rp.stop_after_attempt(4))),
        "choosy": asked(rp.retry_policy(retry=rp.retry_if_exception_type(KeyError))),
        "in time": asked(rp.retry_policy(wait=rp.wait_exponential(), stop=rp.stop_before_delay(4))),
        "warned": [[one.category.__name__, "is deprecated" in str(one.message)] for one in caught],
        "of old": [asked(constant), asked(growing), asked(jittery)],
        "protocol": [isinstance(constant, rp.RetryPolicy), isinstance(object(), rp.RetryPolicy)],
    }


class Note(Event):
    n: int = 0


class A(Event):
    n: int = 0


class B(Event):
    n: int = 0


QUICKLY = rp.retry_policy(wait=rp.wait_none(), stop=rp.stop_after_attempt(3))


class Attempts(Workflow):
    @step(retry_policy=rp.retry_policy(wait=rp.wait_fixed(0.01), stop=rp.stop_after_attempt(3)))
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        info = ctx.retry_info()
        past = [info.elapsed_seconds > 0, str(info.last_exception), info.last_failed_at is not None]
        ctx.write_event_to_stream(Note(n=info.retry_number))
        if info.retry_number < 2:
            raise ValueError(f"attempt {info.retry_number}")
        return StopEvent(result=past)


async def a_step_learns_of_its_attempts() -> Any:
    return await run(Attempts())


class Choosy(Workflow):
    @step(retry_policy=rp.retry_policy(retry=rp.retry_if_exception_type(KeyError), wait=rp.wait_none()))
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        raise KeyError("again") if ctx.retry_info().retry_number == 0 else ValueError("no more")


async def a_failure_not_worth_another_attempt() -> Any:
    return await run(Choosy())


class Wrong(Workflow):
    @step(retry_policy=QUICKLY)
    async def go(self, ev: StartEvent) -> StopEvent:
        return "no event"  # type: ignore[return-value]


async def what_is_no_event_is_tried_again() -> Any:
    return await run(Wrong())


class BrokenPolicy:
    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        raise KeyError("the policy itself")


class Broken(Workflow):
    @step(retry_policy=BrokenPolicy())
    async def go(self, ev: StartEvent) -> StopEvent:
        raise ValueError("first")


async def a_policy_fails() -> Any:
    try:
        await Broken().run()
    except Exception as error:
        return [type(error).__name__, str(error), repr(error.__cause__)]


class Talkative(Workflow):
    """Retries send and publish anew; what was sent before the failure was sent."""

    @step(retry_policy=QUICKLY)
    async def go(self, ev: StartEvent, ctx: Context) -> A:
        ctx.write_event_to_stream(Note(n=ctx.retry_info().retry_number))
        if ctx.retry_info().retry_number < 2:
            raise ValueError("not yet")
        return A(n=ctx.retry_info().retry_number)

    @step(retry_policy=QUICKLY)
    async def end(self, ev: A, ctx: Context) -> StopEvent:
        if ctx.retry_info().retry_number == 0:
            raise ValueError("counts by itself")
        return StopEvent(result=[ev.n, ctx.retry_info().retry_number])


async def attempts_count_for_each_step() -> Any:
    return await run(Talkative())


# ------------------------------------------------------------------------------------------------- recoveries


class ByReturn(Workflow):
    """What a handler returns carries its count; two are allowed, the third failure ends the run."""

    @step
    async def start(self, ev: StartEvent) -> A:
        return A()

    @step
    async def between(self, ev: A) -> B:
        return B(n=ev.n)

    @step
    async def bad(self, ev: B) -> StopEvent:
        raise ValueError(f"bad {ev.n}")

    @catch_error(max_recoveries=2)
    async def rescue(self, ev: StepFailedEvent, ctx: Context) -> A:
        ctx.write_event_to_stream(Note(n=1))
        return A(n=getattr(ev.input_event, "n", 0) + 1)


async def recoveries_count_along_returned_events() -> Any:
    return await run(ByReturn())


class BySend(Workflow):
    """The same through sent events."""

    @step
    async def start(self, ev: StartEvent, ctx: Context) -> A | None:
        ctx.send_event(A())
        return None

    @step
    async def between(self, ev: A, ctx: Context) -> B | None:
        ctx.send_event(B(n=ev.n))
        return None

    @step
    async def bad(self, ev: B) -> StopEvent:
        raise ValueError(f"bad {ev.n}")

    @catch_error(max_recoveries=2)
    async def rescue(self, ev: StepFailedEvent, ctx: Context) -> None:
        ctx.send_event(A(n=getattr(ev.input_event, "n", 0) + 1))


async def recoveries_count_along_sent_events() -> Any:
    gave = await run(BySend())
    return {**gave, "stream": [one[:3] for one in gave["stream"] if one[0] != "StepStateChanged"]}


class TwoHandlers(Workflow):
    """Each handler has a count of its own."""

    @step
    async def start(self, ev: StartEvent) -> A:
        return A()

    @step
    async def one(self, ev: A) -> B:
        if ev.n == 0:
            raise ValueError("one")
        return B(n=ev.n)

    @step
    async def other(self, ev: B) -> StopEvent:
        if ev.n < 2:
            raise ValueError("other")
        return StopEvent(result=ev.n)

    @catch_error(for_steps=["one"])
    async def rescue_one(self, ev: StepFailedEvent) -> A:
        return A(n=1)

    @catch_error
    async def rescue_others(self, ev: StepFailedEvent) -> B:
        return B(n=2)


async def each_handler_counts_by_itself() -> Any:
    return await run(TwoHandlers())


class Lines(Workflow):
    """Two lines of events: each has the whole budget."""

    @step
    async def start(self, ev: StartEvent, ctx: Context) -> A | None:
        ctx.send_event(A(n=1))
        ctx.send_event(A(n=2))
        return None

    @step(num_workers=1)
    async def bad(self, ev: A) -> B:
        raise ValueError(f"bad {ev.n}")

    @catch_error
    async def rescue(self, ev: StepFailedEvent) -> B:
        return B(n=getattr(ev.input_event, "n", 0))

    @step(num_workers=1)
    async def gather(self, ev: B, ctx: Context) -> StopEvent | None:
        both = ctx.collect_events(ev, [B, B])
        return None if both is None else StopEvent(result=sorted(one.n for one in both))


async def each_line_of_events_has_its_own_budget() -> Any:
    return (await run(Lines()))["result"]


class Unscoped(Workflow):
    """A handler for one step leaves the failures of others alone."""

    @step
    async def start(self, ev: StartEvent) -> A:
        raise ValueError("mine")

    @step
    async def end(self, ev: A) -> StopEvent:
        return StopEvent()

    @catch_error(for_steps=["end"])
    async def rescue(self, ev: StepFailedEvent) -> StopEvent:
        return StopEvent(result="rescued")


async def a_failure_without_a_handler() -> Any:
    return await run(Unscoped())


class Silent(Workflow):
    """A handler that returns nothing swallows the failure."""

    @step
    async def start(self, ev: StartEvent, ctx: Context) -> A | B:
        ctx.send_event(B(n=3))
        raise ValueError("start")

    @step
    async def other(self, ev: B) -> StopEvent:
        return StopEvent(result=ev.n)

    @step
    async def end(self, ev: A) -> StopEvent:
        return StopEvent()

    @catch_error
    async def rescue(self, ev: StepFailedEvent) -> None:
        return None


async def a_failure_is_swallowed() -> Any:
    return (await run(Silent()))["result"]


class Learns(Workflow):
    @step(retry_policy=QUICKLY)
    async def start(self, ev: StartEvent) -> A:
        raise KeyError("k")

    @step
    async def end(self, ev: A) -> StopEvent:
        return StopEvent()

    @catch_error
    async def rescue(self, ev: StepFailedEvent) -> StopEvent:
        failed_at = ev.failed_at
        return StopEvent(
            result=[
                ev.step_name,
                type(ev.input_event).__name__,
                repr(ev.exception),
                ev.attempts,
                ev.elapsed_seconds >= 0,
                failed_at.tzinfo is not None and failed_at.utcoffset() == timedelta(0),
            ]
        )


async def what_a_handler_learns() -> Any:
    return await run(Learns())


class Goes(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        return StopEvent()


def begin_with_handlers(**rules: list[str] | None) -> None:
    """Begin a workflow with a handler for each of `rules`, which say whose failures it takes."""
    handlers: dict[str, Any] = {}
    for name, for_steps in rules.items():

        async def rescue(self: Any, ev: StepFailedEvent) -> StopEvent:
            return StopEvent()

        rescue.__name__, rescue.__qualname__ = name, f"Handled.{name}"
        handlers[name] = catch_error(for_steps=for_steps)(rescue)
    type(Workflow)("Handled", (Goes,), handlers)(disable_validation=True).run()


async def handlers_that_contradict_each_other() -> Any:
    cases: dict[str, dict[str, list[str] | None]] = {
        "covers_handler": {"one": ["go"], "two": ["one"]},
        "two_owners": {"one": ["go"], "two": ["go"]},
        "unknown": {"one": ["nowhere"]},
        "wildcards": {"one": None, "two": None},
    }
    gave = {name: raised(partial(begin_with_handlers, **rules)) for name, rules in cases.items()}
    gave["for_steps"] = raised(lambda: catch_error(for_steps="go"))[:1]  # type: ignore[arg-type]
    gave["for_steps of numbers"] = raised(lambda: catch_error(for_steps=[1]))[:1]  # type: ignore[list-item]
    gave["max_recoveries"] = raised(lambda: catch_error(max_recoveries=0))[:1]
    return gave

"""Wherever in a run a snapshot is taken, what goes on from it comes to the same end."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from workflow_server import Context, Workflow, observe, step
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent
from workflow_server.observation import Record, StepEnded
from workflow_server.runtime.handler import WorkflowHandler


class Ask(InputRequiredEvent):
    pass


class Reply(HumanResponseEvent):
    who: str = ""


class Leg(Event):
    n: int


class Rest(Event):
    n: int


class Slow(Event):
    n: int


class Thrice:
    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return 3.0 * attempts if attempts < 3 else None


class Journey(Workflow):
    """Three legs; on each it fails twice, works in a thread, and asks a person. It keeps its progress in its state."""

    @step
    async def begin(self, ev: StartEvent, ctx: Context) -> Leg:
        await ctx.store.set("legs", {})
        return Leg(n=0)

    @step(retry_policy=Thrice())
    async def travel(self, ev: Leg, ctx: Context) -> Slow:
        if ctx.retry_info().retry_number < 2:
            raise ValueError(f"delayed on leg {ev.n}")
        await ctx.store.set(f"legs.leg {ev.n}", str(ctx.retry_info().last_exception))
        await anyio.sleep(2)
        return Slow(n=ev.n)

    @step
    async def pause(self, ev: Slow) -> Rest:
        return Rest(n=ev.n)

    @step
    async def ask(self, ev: Rest, ctx: Context) -> Leg | StopEvent:
        by_who = await ctx.wait_for_event(Reply, Ask(), requirements={"who": "ann"}, timeout=None)
        async with ctx.store.edit_state() as state:
            state["legs"][f"asked {ev.n}"] = by_who.who
        if ev.n < 2:
            return Leg(n=ev.n + 1)
        return StopEvent(result=await ctx.store.get("legs"))


RESULT = {
    **{f"leg {n}": f"delayed on leg {n}" for n in range(3)},
    **{f"asked {n}": "ann" for n in range(3)},
}


async def accompany(handler: WorkflowHandler) -> Any:
    """Answer whoever asks, and return the result."""
    while not handler.is_done():
        await anyio.sleep(1)
        for who in ("bob", "ann"):
            handler.ctx.send_event(Reply(who=who))
    return await handler


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
async def test_a_snapshot_at_every_moment_leads_to_the_same_end() -> None:
    taken: list[str] = []

    def take(record: Record) -> None:
        taken.append(json.dumps(handler.ctx.to_dict()))

    handler = Journey(timeout=None).run()
    with observe(take):
        assert await accompany(handler) == RESULT
    alive = [one for one in dict.fromkeys(taken) if json.loads(one)["is_running"]]
    assert len(alive) > 25
    for number, text in enumerate(alive):
        again = Journey(timeout=None).run(ctx=Context.from_dict(Journey(), json.loads(text)))
        assert await accompany(again) == RESULT, f"snapshot {number}: {text}"


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
async def test_a_run_that_is_put_away_after_every_step_arrives() -> None:
    """Each time a step has ended, the run is cancelled, and goes on from a snapshot that was taken then."""
    kept: dict[str, Any] | None = None
    for hops in range(100):
        ctx: Context[Any] | None = None if kept is None else Context.from_dict(Journey(), kept)
        handler = Journey(timeout=None).run(ctx=ctx)
        stepped = anyio.Event()

        def note(record: Record, stepped: anyio.Event = stepped) -> None:
            if isinstance(record, StepEnded) and record.outcome != "stopped":
                stepped.set()

        with observe(note):
            while not stepped.is_set() and not handler.is_done():
                await anyio.sleep(1)
                handler.ctx.send_event(Reply(who="ann"))
        if handler.is_done():
            assert await handler == RESULT
            assert hops > 5
            return
        kept = json.loads(json.dumps(handler.ctx.to_dict()))
        await handler.cancel_run()
    raise AssertionError("it never arrives")

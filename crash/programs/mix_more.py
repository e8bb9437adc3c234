"""More workflows for the mix: steps that fail and are rescued, that are given resources, and runs out of snapshots."""

# ruff: noqa: ARG002 (a step takes its event, whether it reads it or not)

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import anyio
from pydantic import BaseModel, Field

from workflow_server import Context, Workflow, catch_error, step
from workflow_server.definition.retry_policy import (
    retry_if_exception_type,
    retry_policy,
    stop_after_attempt,
    stop_after_delay,
    wait_fixed,
    wait_random,
)
from workflow_server.events import Event, StartEvent, StepFailedEvent, StopEvent
from workflow_server.runtime.resource import Resource, ResourceConfig

MOMENT = 0.004


class Begin(StartEvent):
    size: int


class Note(Event):
    text: str


class Load(Event):
    n: int
    again: bool = False


class Carried(Event):
    n: int


class Gathered(Event):
    numbers: list[int]


class Asked(Event): ...


class Never(Event): ...


class Stumbles(Workflow):
    """Members of a list fail: once and again, or for ever, or at once; and so does the last step, to be rescued."""

    @step
    async def split(self, ev: Begin) -> list[Load]:
        return [Load(n=n) for n in range(1, ev.size + 1)]

    @step(
        num_workers=3,
        retry_policy=retry_policy(
            retry=retry_if_exception_type(OSError),
            wait=wait_fixed(0.01) + wait_random(0, 0.03),
            stop=stop_after_attempt(3) | stop_after_delay(3600),
        ),
    )
    async def carry(self, ev: Load, ctx: Context) -> Carried:
        tries = ctx.retry_info().retry_number
        ctx.write_event_to_stream(Note(text=f"{ev.n} {ev.again} {tries}"))
        await anyio.sleep(MOMENT)
        if ev.n % 3 == 0:
            raise ValueError("not to be tried again")
        if ev.n % 3 == 2 or tries < 2:
            raise OSError("to be tried again")
        return Carried(n=ev.n)

    @catch_error(for_steps=["carry"], max_recoveries=2)
    async def lift(self, ev: StepFailedEvent, ctx: Context) -> Load | Carried:
        load = ev.input_event
        assert isinstance(load, Load)
        ctx.write_event_to_stream(Note(text=f"{load.n} {load.again} lifted after {ev.attempts}"))
        await anyio.sleep(MOMENT)
        return Carried(n=load.n) if load.again else Load(n=load.n, again=True)

    @step
    async def gather(self, carried: list[Carried]) -> Gathered:
        return Gathered(numbers=sorted(one.n for one in carried))

    @step
    async def end(self, ev: Gathered) -> StopEvent:
        await anyio.sleep(MOMENT)
        raise RuntimeError("so near")

    @catch_error
    async def rescue(self, ev: StepFailedEvent) -> StopEvent:
        assert isinstance(ev.input_event, Gathered)
        return StopEvent(result=ev.input_event.numbers)


@dataclass
class Desk:
    """What a step is given: it is made in each process, and stored nowhere."""

    drawer: str

    def sign(self, n: int) -> str:
        return f"{self.drawer} signs {n}"


class Furniture(BaseModel):
    drawer: str


FURNITURE = ResourceConfig(str(Path(__file__).with_name("furniture.json")))


def drawer(furniture: Annotated[Furniture, FURNITURE]) -> str:
    return furniture.drawer


async def desk(drawer: Annotated[str, Resource(drawer)]) -> Desk:
    await anyio.sleep(MOMENT)
    return Desk(drawer)


class Kept(BaseModel):
    done: list[int] = Field(default_factory=list[int])


class Signed(Kept):
    signed: list[str] = Field(default_factory=list[str])


class Supplied(Workflow):
    """Is given resources, leaves memory with one in hand, and knows its state by two classes."""

    @step
    async def ask(self, ev: Begin, desk: Annotated[Desk, Resource(desk)], ctx: Context[Signed]) -> Asked:
        with suppress(TimeoutError):
            await ctx.wait_for_event(Never, timeout=0.3)
        async with ctx.store.edit_state() as state:
            state.done = list(range(1, ev.size + 1))
        ctx.write_event_to_stream(Note(text=desk.sign(ev.size)))
        return Asked()

    @step
    async def sign(
        self, ev: Asked, desk: Annotated[Desk, Resource(desk, cache=False)], ctx: Context[Signed]
    ) -> Carried:
        await anyio.sleep(MOMENT)
        async with ctx.store.edit_state() as state:
            state.signed = [desk.sign(n) for n in state.done]
        return Carried(n=len(state.signed))

    @step
    async def end(self, ev: Carried, ctx: Context[Kept]) -> StopEvent:
        return StopEvent(result=(await ctx.store.get_state()).done)


class PutAway(Workflow):
    """Is begun in another process, and goes on here from a snapshot, in which it waits."""

    @step
    async def lay(self, ev: Begin, ctx: Context) -> Load:
        await ctx.store.set("laid", list(range(1, ev.size + 1)))
        return Load(n=ev.size)

    @step
    async def wait(self, ev: Load, ctx: Context) -> Carried:
        ctx.write_event_to_stream(Note(text=f"laid {ev.n}"))
        with suppress(TimeoutError):
            await ctx.wait_for_event(Never, timeout=0.3)
        ctx.write_event_to_stream(Note(text=f"taken up {ev.n}"))
        await anyio.sleep(MOMENT)
        return Carried(n=ev.n)

    @step
    async def end(self, ev: Carried, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.store.get("laid"))


def snapshot(size: int) -> dict[str, Any]:
    """Begin a run of `PutAway` in this process and return it as it waits."""

    async def begin() -> dict[str, Any]:
        handler = PutAway(timeout=None).run(size=size)
        async for event in handler.stream_events():
            if isinstance(event, Note):
                break
        kept = handler.ctx.to_dict()
        await handler.cancel_run()
        return kept

    return anyio.run(begin)

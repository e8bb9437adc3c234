"""A workflow that has something of everything on its way when a snapshot is taken of it."""

from __future__ import annotations

from typing import Any

import anyio
from pydantic import BaseModel

from workflow_server import Context, Workflow, step
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent


class Order(StartEvent):
    name: str


class Flaky(Event):
    n: int


class Piece(Event):
    n: int


class Slow(Event):
    n: int


class Done(Event):
    what: str


class Ask(InputRequiredEvent):
    text: str


class Reply(HumanResponseEvent):
    text: str
    who: str = ""


class Memory(BaseModel):
    seen: list[str] = []


class RetryOnce:
    """Retries after a minute."""

    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return 60.0 if attempts < 2 else None


class Everything(Workflow):
    """Its result names what each of its steps has done."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @step
    async def begin(self, ev: Order, ctx: Context[Memory]) -> Flaky | Piece | Slow | None:
        await ctx.store.set("seen", [ev.name])
        ctx.send_event(Flaky(n=1))
        for n in range(2):
            ctx.send_event(Piece(n=n))
        for n in range(3):
            ctx.send_event(Slow(n=n))
        return None

    @step(retry_policy=RetryOnce())
    async def flaky(self, ev: Flaky, ctx: Context[Memory]) -> Done:
        if ctx.retry_info().retry_number == 0:
            raise ValueError("not yet")
        return Done(what=f"flaky after {ctx.retry_info().last_exception}")

    @step
    async def gather(self, ev: Piece, ctx: Context[Memory]) -> Done | None:
        pieces = ctx.collect_events(ev, [Piece, Piece, Piece])
        return None if pieces is None else Done(what=f"pieces {[piece.n for piece in pieces]}")

    @step(num_workers=1)
    async def slow(self, ev: Slow, ctx: Context[Memory]) -> Done:
        await anyio.sleep(10)
        return Done(what=f"slow {ev.n}")

    @step
    async def ask(self, ev: Order, ctx: Context[Memory]) -> Done:
        reply = await ctx.wait_for_event(
            Reply, waiter_event=Ask(text="Go on?"), requirements={"who": "ann"}, timeout=None
        )
        return Done(what=f"{reply.text} from {reply.who}")

    @step
    async def finish(self, ev: Done, ctx: Context[Memory]) -> StopEvent | None:
        done = ctx.collect_events(ev, [Done] * 6)
        seen: list[str] = await ctx.store.get("seen")
        return None if done is None else StopEvent(result=[*seen, *sorted(one.what for one in done)])


RESULT: list[Any] = [
    "lamp",
    "flaky after not yet",
    "pieces [0, 1, 2]",
    "slow 0",
    "slow 1",
    "slow 2",
    "yes from ann",
]
"""What it comes to once it gets a third `Piece` and a reply from ann."""

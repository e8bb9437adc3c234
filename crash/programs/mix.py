"""The workflows that the crash harness keeps going: one of each kind, with steps of milliseconds.

What a step tells without keeping progress in state is recognised when the step runs again; what it keeps in state
it looks up before it acts. So each run's stream and result are known in advance, however often it was interrupted.
"""

# ruff: noqa: ARG002 (a step takes its event, whether it reads it or not)

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import anyio
from mix_more import PutAway, Stumbles, Supplied
from pydantic import BaseModel, Field

from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.definition.collect import Collect, Take
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent
from workflow_server.stores.sqlite import SqliteWorkflowStore

MOMENT = 0.004


class Begin(StartEvent):
    size: int


class Note(Event):
    text: str


class Link(Event):
    n: int
    size: int


class Last(Event):
    n: int


class Part(Event):
    n: int
    size: int


class Done(Event):
    n: int
    size: int


class Piece(Event):
    n: int


class Gathered(Event):
    numbers: list[int]


class Question(InputRequiredEvent):
    n: int


class Reply(HumanResponseEvent):
    n: int
    text: str
    size: int


class Never(Event): ...


class Chain(Workflow):
    """Steps one after another, a loop among them; nothing in state."""

    @step
    async def begin(self, ev: Begin, ctx: Context) -> Link:
        ctx.write_event_to_stream(Note(text="begin"))
        return Link(n=1, size=ev.size)

    @step
    async def link(self, ev: Link, ctx: Context) -> Link | Last:
        ctx.write_event_to_stream(Note(text=f"link {ev.n}"))
        await anyio.sleep(MOMENT)
        ctx.write_event_to_stream(Note(text=f"linked {ev.n}"))
        return Link(n=ev.n + 1, size=ev.size) if ev.n < ev.size else Last(n=ev.n)

    @step
    async def end(self, ev: Last) -> StopEvent:
        return StopEvent(result=ev.n)


class Kept(BaseModel):
    done: list[int] = Field(default_factory=list[int])


class Rounds(Workflow):
    """A loop of which each round edits the state."""

    @step
    async def begin(self, ev: Begin) -> Link:
        return Link(n=1, size=ev.size)

    @step
    async def round(self, ev: Link, ctx: Context[Kept]) -> Link | StopEvent:
        await anyio.sleep(MOMENT)
        async with ctx.store.edit_state() as state:
            if ev.n not in state.done:
                state.done.append(ev.n)
        if ev.n < ev.size:
            return Link(n=ev.n + 1, size=ev.size)
        return StopEvent(result=(await ctx.store.get_state()).done)


class Progress(Workflow):
    """One long step that keeps its progress in state; it tells of each item before it begins, and as it is done."""

    @step
    async def go(self, ev: Begin, ctx: Context[Kept]) -> StopEvent:
        done = list((await ctx.store.get_state()).done)
        for n in range(1, ev.size + 1):
            if n in done:
                continue
            ctx.write_event_to_stream(Note(text=f"begin {n}"))
            await anyio.sleep(MOMENT * 4)
            done.append(n)
            ctx.write_event_to_stream(Note(text=f"item {n}"))
            async with ctx.store.edit_state() as state:
                state.done = list(done)
        return StopEvent(result=done)


class Fan(Workflow):
    """Sends parts, works on them side by side, collects them."""

    @step
    async def split(self, ev: Begin, ctx: Context) -> Part | None:
        for n in range(1, ev.size + 1):
            ctx.send_event(Part(n=n, size=ev.size))
            ctx.write_event_to_stream(Note(text=f"sent {n}"))
            await anyio.sleep(MOMENT)
        return None

    @step(num_workers=3)
    async def work(self, ev: Part, ctx: Context) -> Done:
        ctx.write_event_to_stream(Note(text=f"begun {ev.n}"))
        await anyio.sleep(MOMENT * 3)
        ctx.write_event_to_stream(Note(text=f"worked {ev.n}"))
        return Done(n=ev.n, size=ev.size)

    @step
    async def gather(self, ev: Done, ctx: Context) -> StopEvent | None:
        done = ctx.collect_events(ev, [Done] * ev.size)
        return None if done is None else StopEvent(result=sorted(one.n for one in done))


class Lists(Workflow):
    """Fans out by list, twice over, collects and joins; one member waits for so long that the run leaves memory."""

    @step
    async def split(self, ev: Begin) -> list[Part]:
        return [Part(n=n, size=ev.size) for n in range(1, ev.size + 1)]

    @step(num_workers=3)
    async def open(self, ev: Part, ctx: Context) -> list[Piece]:
        ctx.write_event_to_stream(Note(text=f"opened {ev.n}"))
        await anyio.sleep(MOMENT)
        return [Piece(n=ev.n), Piece(n=-ev.n)]

    @step(num_workers=3)
    async def work(self, ev: Piece, ctx: Context) -> Done | None:
        ctx.write_event_to_stream(Note(text=f"begun {ev.n}"))
        await anyio.sleep(MOMENT * 2)
        if ev.n == -1:
            with suppress(TimeoutError):
                await ctx.wait_for_event(Never, timeout=0.3)
        ctx.write_event_to_stream(Note(text=f"worked {ev.n}"))
        return Done(n=ev.n, size=0) if ev.n > 0 else None

    @step
    async def close(self, done: list[Done]) -> Link:
        return Link(n=sum(one.n for one in done), size=0)

    @step
    async def first(self, parts: Annotated[list[Part], Collect(Take(1))]) -> Last:
        await anyio.sleep(MOMENT)
        return Last(n=parts[0].n)

    @step
    async def gather(self, links: list[Link]) -> Gathered:
        return Gathered(numbers=sorted(link.n for link in links))

    @step
    async def join(self, gathered: Gathered, first: Last) -> StopEvent:
        return StopEvent(result=gathered.numbers if first.n == 1 else first.n)


class Dialog(Workflow):
    """Asks a person by waiting inside of a step."""

    @step
    async def talk(self, ev: Begin, ctx: Context) -> StopEvent:
        heard: list[str] = []
        for n in range(1, ev.size + 1):
            reply = await ctx.wait_for_event(
                Reply, waiter_event=Question(n=n), waiter_id=f"question {n}", requirements={"n": n}, timeout=None
            )
            heard.append(reply.text)
            ctx.write_event_to_stream(Note(text=f"heard {n}"))
            await anyio.sleep(MOMENT)
        return StopEvent(result=heard)


class Form(Workflow):
    """Asks a person by returning a question; the answer starts the next step."""

    @step
    async def ask(self, ev: Begin) -> Question:
        return Question(n=1)

    @step(num_workers=1)
    async def decide(self, ev: Reply, ctx: Context) -> Question | StopEvent | None:
        heard: list[str] = list(await ctx.store.get("heard", default=[]))
        if len(heard) < ev.n:
            heard.append(ev.text)
            await ctx.store.set("heard", heard)
        if ev.n < len(heard):
            return None  # an answer that came twice
        return Question(n=ev.n + 1) if ev.n < ev.size else StopEvent(result=heard)


class Pause:
    """Tries again soon, as often as needed."""

    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return 0.05


class Timers(Workflow):
    """Waits in vain until a deadline, then fails until the third try."""

    @step
    async def wait(self, ev: Begin, ctx: Context) -> Last:
        try:
            await ctx.wait_for_event(Never, timeout=0.05 * ev.size)
        except TimeoutError:
            ctx.write_event_to_stream(Note(text="nobody came"))
        return Last(n=ev.size)

    @step(retry_policy=Pause())
    async def stumble(self, ev: Last, ctx: Context) -> StopEvent:
        tries = [*(await ctx.store.get("tries", default=[]))]
        tries.append(len(tries))
        await ctx.store.set("tries", tries)
        if len(tries) < 3:
            raise ValueError("not yet")
        return StopEvent(result=tries[:3])


class Counter(Workflow):
    """Runs again and again under one handler, each run going on with the state of the last."""

    @step
    async def count(self, ev: Begin, ctx: Context) -> StopEvent:
        rounds: list[int] = list(await ctx.store.get("rounds", default=[]))
        if ev.size not in rounds:
            rounds.append(ev.size)
            ctx.write_event_to_stream(Note(text=f"round {ev.size}"))
            await ctx.store.set("rounds", rounds)
        await anyio.sleep(MOMENT)
        return StopEvent(result=rounds)


class Sleeper(Workflow):
    """Never ends by itself: sleeps (odd size) or waits (even size) until it is cancelled."""

    @step
    async def rest(self, ev: Begin, ctx: Context) -> StopEvent:
        ctx.write_event_to_stream(Note(text="good night"))
        if ev.size % 2:
            await anyio.sleep(3600)
        await ctx.wait_for_event(Never, timeout=None)
        return StopEvent(result="awake")


server = WorkflowServer(
    workflow_store=SqliteWorkflowStore("crash.db"),
    idle_timeout=0.15,
    shutdown_grace=0.3,
    sse_heartbeat_interval=1,
    accept_context_api=True,
)
for name, workflow in (
    ("chain", Chain),
    ("rounds", Rounds),
    ("progress", Progress),
    ("fan", Fan),
    ("lists", Lists),
    ("dialog", Dialog),
    ("form", Form),
    ("timers", Timers),
    ("counter", Counter),
    ("sleeper", Sleeper),
    ("stumbles", Stumbles),
    ("put-away", PutAway),
):
    server.add_workflow(name, workflow(timeout=None), additional_events=[Reply, Never])
server.add_workflow("supplied", Supplied(timeout=None, num_concurrent_runs=1))  # the others queue

"""Event classes that no signature names or no module holds, and undeclared models, come through every crash."""

from __future__ import annotations

import anyio
import pytest
from pydantic import BaseModel

from workflow_server import Context, Workflow, catch_error, step
from workflow_server.events import Event, StartEvent, StepFailedEvent, StopEvent
from workflow_server.testing.crash_points import survive_crashes


class Hidden(Event):
    n: int = 0


class Base(Event):
    pass


class Derived(Base):
    more: str = ""


class Kept(BaseModel):
    n: int = 0


class Secretive(Workflow):
    """A step waits for an event that only another step sends, and both leave something behind."""

    @step
    async def listen(self, ev: StartEvent, ctx: Context) -> Base:
        heard = await ctx.wait_for_event(Hidden)
        await ctx.store.set("kept", Kept(n=heard.n))
        await anyio.sleep(1)
        return Derived(more="more")

    @step
    async def whisper(self, ev: StartEvent, ctx: Context) -> None:
        await anyio.sleep(1)
        ctx.send_event(Hidden(n=7))
        await anyio.sleep(1)

    @step(accept_event_subclasses=True)
    async def finish(self, ev: Base, ctx: Context) -> StopEvent:
        await anyio.sleep(1)
        kept = await ctx.store.get("kept")
        return StopEvent(result=[type(kept).__name__, kept.n, isinstance(ev, Derived) and ev.more])


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
async def test_undeclared_classes_come_through_every_crash() -> None:
    survived = await survive_crashes(Secretive)
    assert survived.result == ["Kept", 7, "more"]
    assert survived.commits > 6


def made_in_a_function() -> type[Workflow]:
    """A workflow whose event class nobody can import, as little as that of a program that another one has imported."""

    class Local(Event):
        n: int = 0

    class Rescued(Workflow):
        @step
        async def begin(self, ev: StartEvent) -> Local:
            return Local(n=7)

        @step
        async def listen(self, ev: Local, ctx: Context) -> StopEvent:
            await ctx.wait_for_event(Hidden, requirements={"like": ev}, timeout=1)
            return StopEvent()

        @catch_error
        async def rescue(self, ev: StepFailedEvent) -> StopEvent:
            await anyio.sleep(1)
            return StopEvent(result=[isinstance(ev.input_event, Local) and ev.input_event.n, str(ev.exception)])

    return Rescued


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_clock")
async def test_a_declared_class_is_found_wherever_it_is_named() -> None:
    """It is among what a wait requires, and in the event that tells of a failure."""
    survived = await survive_crashes(made_in_a_function())
    assert survived.result == [7, "Timed out waiting for Hidden"]

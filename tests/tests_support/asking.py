"""A workflow that asks a question and waits for the answer, for tests of what happens meanwhile."""

from __future__ import annotations

import httpx

from tests_support.facts import until
from workflow_server import Context, Workflow, step
from workflow_server.events import Event, HumanResponseEvent, StartEvent, StopEvent


class Reply(HumanResponseEvent):
    pass


class Text(Event):
    text: str


class Asks(Workflow):
    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> StopEvent:
        await ctx.store.set("asked", "yes")
        await ctx.wait_for_event(Reply, waiter_event=Text(text="?"))
        return StopEvent(result=await ctx.store.get("asked"))


async def question(client: httpx.AsyncClient, handler_id: str) -> None:
    """Return when a run waits for its answer."""

    async def asked() -> bool:
        return bool((await client.get(f"/handlers/{handler_id}/waiting")).json()["waiting"])

    await until(asked)

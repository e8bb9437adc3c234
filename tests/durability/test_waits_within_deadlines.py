"""A wait within a deadline of the step's own, or beside something else, keeps its run in memory: both would be lost."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.api.commands import GetHandler, SendEvent, StartRun
from workflow_server.api.outcomes import EventAccepted, HandlerFound, RunAccepted
from workflow_server.events import HumanResponseEvent, StartEvent, StopEvent
from workflow_server.testing.durable_store import DurableStore

pytestmark = [pytest.mark.virtual_time, pytest.mark.usefixtures("virtual_clock")]


class Reply(HumanResponseEvent):
    n: int


class ByAnyio(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        with anyio.move_on_after(60):
            return StopEvent(result=(await ctx.wait_for_event(Reply)).n)
        return StopEvent(result="late")


class ByTrio(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        import trio

        with trio.move_on_after(60):
            return StopEvent(result=(await ctx.wait_for_event(Reply)).n)
        return StopEvent(result="late")


class Beside(Workflow):
    """Whatever comes first."""

    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        result: list[Any] = []

        async def wait() -> None:
            result.append((await ctx.wait_for_event(Reply)).n)
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.sleep(60)
            result.append("late")
            tasks.cancel_scope.cancel()
        return StopEvent(result=result[0])


class Gathers(Workflow):
    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        wait, _ = await asyncio.gather(ctx.wait_for_event(Reply), asyncio.sleep(60))
        return StopEvent(result=wait.n)


class AfterAll(Workflow):
    """Waits itself, after a task and a deadline of its own are over."""

    @step
    async def go(self, ev: StartEvent, ctx: Context) -> StopEvent:
        with anyio.move_on_after(1):
            await ctx.wait_for_event(Reply, requirements={"n": 1})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 1)
        await anyio.sleep(1)
        return StopEvent(result=(await ctx.wait_for_event(Reply)).n)


async def phase_and_result(workflow: type[Workflow], seconds: float, answer: int | None) -> tuple[str, str | None]:
    """Return the phase of a run after so many seconds, and what it results in, perhaps after an answer."""
    server = WorkflowServer(workflow_store=DurableStore(), idle_timeout=5)
    server.add_workflow("w", workflow(timeout=None), additional_events=[Reply])
    with anyio.fail_after(1000):
        async with server.running():
            assert isinstance(await server.execute(StartRun("w", handler_id="h")), RunAccepted)
            await anyio.sleep(seconds)
            found = await server.execute(GetHandler("h"))
            assert isinstance(found, HandlerFound)
            if answer is not None:
                reply = SendEvent("h", {"type": "Reply", "value": {"n": answer}})
                assert isinstance(await server.execute(reply), EventAccepted)
            ended = await server.execute(GetHandler("h", wait=500))
            assert isinstance(ended, HandlerFound)
            return found.handler.phase, None if ended.handler.result is None else ended.handler.result.value


@pytest.mark.parametrize("workflow", [ByAnyio, ByTrio, Beside])
async def test_what_a_step_awaits_besides_is_not_lost(workflow: type[Workflow], anyio_backend_name: str) -> None:
    if workflow is ByTrio and anyio_backend_name != "trio":
        return
    assert await phase_and_result(workflow, 30, None) == ("waiting", '{"result":"late"}')
    assert await phase_and_result(workflow, 30, 3) == ("waiting", '{"result":3}')


async def test_a_gathered_wait_is_not_lost(anyio_backend_name: str) -> None:
    if anyio_backend_name == "asyncio":
        assert await phase_and_result(Gathers, 30, 3) == ("waiting", '{"result":3}')


async def test_a_step_that_only_waits_in_the_end_leaves_memory() -> None:
    assert await phase_and_result(AfterAll, 30, 3) == ("idle", '{"result":3}')

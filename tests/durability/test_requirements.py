"""What a wait requires is stored with it, so it must be something that can be."""

from __future__ import annotations

import anyio

from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.api.commands import StartRun
from workflow_server.api.outcomes import RunFinished
from workflow_server.events import HumanResponseEvent, StartEvent, StopEvent
from workflow_server.testing.durable_store import DurableStore


class Reply(HumanResponseEvent):
    pass


class Picky(Workflow):
    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> StopEvent:
        await ctx.wait_for_event(Reply, requirements={"who": object()} if ev.get("odd") else None, timeout=0.01)
        return StopEvent()


async def test_a_requirement_that_can_not_be_stored_fails_its_run_only() -> None:
    """The run fails with a sentence, and other runs of the same store go on."""
    server = WorkflowServer(workflow_store=DurableStore())
    server.add_workflow("picky", Picky())
    with anyio.fail_after(10):
        async with server.running():
            odd = await server.execute(StartRun("picky", {"odd": True}, wait=True))
            even = await server.execute(StartRun("picky", wait=True))
    assert isinstance(odd, RunFinished)
    assert odd.handler.status == "failed"
    assert "Failed to serialize value" in (odd.handler.error or "")
    assert isinstance(even, RunFinished)
    assert even.handler.error == "Timed out waiting for Reply"

"""What a wait requires is stored with it, and so is its name, so both must be something that can be."""

from __future__ import annotations

import anyio
import pytest

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
        match ev.get("odd"):
            case "requirement":
                await ctx.wait_for_event(Reply, requirements={"who": object()}, timeout=0.01)
            case "waiter":
                await ctx.wait_for_event(Reply, waiter_id="a\0b", timeout=0.01)
            case "buffer":
                ctx.collect_events(ev, [StartEvent], buffer_id="\ud800")
            case _:
                await ctx.wait_for_event(Reply, timeout=0.01)
        return StopEvent()


@pytest.mark.parametrize(
    ("odd", "sentence"),
    [
        ("requirement", "Failed to serialize value"),
        ("waiter", "waiter id 'a\\x00b' can't be stored: it holds a NUL character"),
        ("buffer", "buffer id '\\ud800' can't be stored: it holds half of a surrogate pair"),
    ],
)
async def test_what_can_not_be_stored_fails_its_run_only(odd: str, sentence: str) -> None:
    """The run fails with a sentence, and other runs of the same store go on."""
    server = WorkflowServer(workflow_store=DurableStore())
    server.add_workflow("picky", Picky())
    with anyio.fail_after(10):
        async with server.running():
            failed = await server.execute(StartRun("picky", {"odd": odd}, wait=True))
            even = await server.execute(StartRun("picky", wait=True))
    assert isinstance(failed, RunFinished)
    assert failed.handler.status == "failed"
    assert sentence in (failed.handler.error or "")
    assert isinstance(even, RunFinished)
    assert even.handler.error == "Timed out waiting for Reply"

"""Fan-out by list, served: what clients see of it, what they may send, and what a store has to write for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests_support.in_process import events, finished, serving, streaming
from workflow_server import Context, SqliteWorkflowStore, Workflow, WorkflowServer, step
from workflow_server.events import Event, HumanResponseEvent, StartEvent, StopEvent
from workflow_server.stores.base import Batch, Verdict
from workflow_server.testing.durable_store import DurableStore


class Job(Event):
    n: int = 0


class Done(Event):
    n: int = 0


class Reply(HumanResponseEvent):
    n: int = 0


class Sums(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[Job]:
        return [Job(n=n) for n in range(ev.count)]

    @step(num_workers=8)
    async def work(self, ev: Job, ctx: Context) -> Done:
        ctx.write_event_to_stream(ev)
        return Done(n=ev.n)

    @step
    async def gather(self, done: list[Done]) -> StopEvent:
        return StopEvent(result=sum(one.n for one in done))


class Asks(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[Job]:
        return [Job(n=1)]

    @step
    async def gather(self, jobs: list[Job], ctx: Context) -> StopEvent:
        reply = await ctx.wait_for_event(Reply)
        return StopEvent(result=[reply.n, len(jobs)])


def make_server(store: Any = None) -> WorkflowServer:
    server = WorkflowServer(workflow_store=store, shutdown_grace=0.1)
    server.add_workflow("sums", Sums())
    server.add_workflow("asks", Asks(), additional_events=[Reply])
    return server


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return SqliteWorkflowStore(tmp_path / "runs.db", synchronous="NORMAL") if request.param == "sqlite" else None


async def test_a_stream_of_a_fan_out(store: Any) -> None:
    """Readers see each step and what it writes, each once and in order; the collect step comes last."""
    async with serving(make_server(store)) as client:
        body = {"start_event": {"count": 50}, "handler_id": "h"}
        assert (await client.post("/workflows/sums/run-nowait", json=body)).status_code == 200
        told = await events(client, "h", include_internal="true")
        assert Counter(event["type"] for event in told)["Job"] == 50
        ended = [event["value"]["name"] for event in told if event["value"].get("step_state") == "not_running"]
        assert Counter(ended) == {"split": 1, "work": 50, "gather": 1}
        assert ended[0] == "split"
        assert ended[-1] == "gather"
        assert (await finished(client, "h"))["result"]["value"] == {"result": sum(range(50))}


async def test_a_client_can_not_fail_a_run_by_its_target(store: Any) -> None:
    """An event for a collect step alone is refused, and the run goes on; the answer that it waits for reaches it."""
    async with serving(make_server(store)) as client:
        await client.post("/workflows/asks/run-nowait", json={"handler_id": "h"})
        wrong = {"event": {"type": "Job", "value": {"n": 1}}, "step": "gather"}
        refused = await client.post("/events/h", json=wrong)
        assert refused.status_code == 400
        assert "a collect step can't be given targeted events" in refused.json()["detail"]
        right = {"event": {"type": "Reply", "value": {"n": 7}}, "step": "gather"}
        async with streaming(client, "h", include_internal="true") as stream:
            await stream.until("WorkflowIdleEvent")
            assert (await client.post("/events/h", json=right)).status_code == 200
        assert (await finished(client, "h"))["result"]["value"] == {"result": [7, 1]}


class Weighing(DurableStore):
    """Adds up what it is given to write."""

    written = 0

    def commit_now(self, group: Sequence[Batch]) -> list[Verdict]:
        self.written += sum(len(text) for batch in group for text in batch.parts.values() if text is not None)
        return super().commit_now(group)


async def test_what_is_written_grows_with_the_members_and_not_with_their_square() -> None:
    weights = []
    for count in (50, 500):
        store = Weighing()
        async with serving(make_server(store)) as client:
            await client.post("/workflows/sums/run", json={"start_event": {"count": count}})
        weights.append(store.written)
    assert weights[1] < 12 * weights[0]

"""How the server stops: requests in flight are answered, streams end, steps get their grace, nothing hangs."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Any

import anyio
import httpx
import pytest

from tests_support.in_process import serving
from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.events import Event, HumanResponseEvent, StartEvent, StopEvent


class Mark(Event):
    text: str


class Reply(HumanResponseEvent):
    pass


class Gated(Workflow):
    """Its step begins, says so, and goes on when the test opens the gate."""

    def __init__(self, **options: Any) -> None:
        super().__init__(timeout=None, **options)
        self.begun = anyio.Event()
        self.gate = anyio.Event()
        self.seen: list[str] = []

    @step
    async def hold(self, ev: StartEvent, ctx: Context) -> Mark:
        ctx.write_event_to_stream(Mark(text="begun"))
        self.begun.set()
        try:
            await self.gate.wait()
        finally:
            self.seen.append("left")
            ctx.write_event_to_stream(Mark(text="left"))
        return Mark(text="next")

    @step
    async def after(self, ev: Mark) -> StopEvent:
        self.seen.append("after")
        return StopEvent(result="done")


class Waits(Workflow):
    @step
    async def wait(self, ev: StartEvent, ctx: Context) -> StopEvent:
        await ctx.wait_for_event(Reply)
        return StopEvent()


class Endless(Workflow):
    """Swallows every cancellation until the test lets it go."""

    def __init__(self, **options: Any) -> None:
        super().__init__(timeout=None, **options)
        self.let_go = anyio.Event()

    @step
    async def cling(self, ev: StartEvent) -> StopEvent:
        while not self.let_go.is_set():
            with suppress(anyio.get_cancelled_exc_class()):
                await self.let_go.wait()
        return StopEvent()


async def stop_and_collect(server: WorkflowServer, client: httpx.AsyncClient, path: str) -> httpx.Response:
    """Send a request that waits, stop the server meanwhile, and return the answer."""
    answers: list[httpx.Response] = []

    async def ask() -> None:
        answers.append(await client.post(path, json={}))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        workflow: Any = server.get_workflows()["gated"]
        await workflow.begun.wait()
        await server.stop()
    return answers[0]


async def test_a_step_that_returns_in_time_counts() -> None:
    """A running step goes on within the grace time, and what it returns is kept; the next step does not start."""
    server, workflow = WorkflowServer(shutdown_grace=5), Gated()
    server.add_workflow("gated", workflow)
    async with server.running():
        pass  # a server can be started again
    async with serving(server) as client:
        async with anyio.create_task_group() as tasks:

            async def open_gate() -> None:
                await workflow.begun.wait()
                workflow.gate.set()

            tasks.start_soon(open_gate)
            answer = await stop_and_collect(server, client, "/workflows/gated/run")
        assert answer.status_code == 503
        assert "stopping" in answer.json()["detail"]
        assert workflow.seen == ["left"]


async def test_a_step_that_does_not_is_cancelled() -> None:
    """After the grace time a running step is cancelled; whoever waits for its run gets 503 and is told to ask again."""
    server, workflow = WorkflowServer(shutdown_grace=0.05), Gated()
    server.add_workflow("gated", workflow)
    async with serving(server) as client:
        answer = await stop_and_collect(server, client, "/workflows/gated/run")
        assert answer.status_code == 503
        assert workflow.seen == ["left"]


async def test_a_waiting_step_is_not_waited_for() -> None:
    """A run that waits for an event does not use up the grace time."""
    server = WorkflowServer(shutdown_grace=3600)
    server.add_workflow("waits", Waits(timeout=None))
    async with serving(server) as client:
        await client.post("/workflows/waits/run-nowait", json={})
        with anyio.fail_after(5):
            await server.stop()


async def test_a_step_that_clings_is_left_behind() -> None:
    """A step that swallows cancellation holds up neither a cancel nor a stop, and stops burning the processor."""
    server, workflow = WorkflowServer(shutdown_grace=0.05), Endless()
    server.add_workflow("endless", workflow)
    async with serving(server) as client:
        await client.post("/workflows/endless/run-nowait", json={})
        with anyio.fail_after(10):
            await server.stop()
        assert server.unstopped_steps == ("cling",)
        used = os.times().user
        await anyio.sleep(0.3)
        assert os.times().user - used < 0.2, "the step fights its cancellation for ever"
        workflow.let_go.set()


async def test_streams_say_farewell() -> None:
    """A stream that the stop interrupts ends with a comment for people and without a terminal event."""
    server, workflow = WorkflowServer(shutdown_grace=0.05), Gated()
    server.add_workflow("gated", workflow)
    async with serving(server) as client:
        handler_id = (await client.post("/workflows/gated/run-nowait", json={})).json()["handler_id"]
        lines: list[str] = []
        async with client.stream("GET", f"/events/{handler_id}?after_sequence=-1") as answer:
            async for line in answer.aiter_lines():
                lines.append(line)
                if '"begun"' in line:
                    await server.stop()
        assert "StopEvent" not in "".join(lines)
        assert [line for line in lines if line][-1].startswith(":")


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_stop_the_server(signal_number: signal.Signals) -> None:
    """Ctrl+C and SIGTERM end `serve()` normally, and the handlers found before are put back."""
    before = signal.getsignal(signal_number)
    server = WorkflowServer()
    server.add_workflow("waits", Waits())
    returned = False

    def listening(_urls: tuple[str, ...]) -> None:
        signal.raise_signal(signal_number)

    with anyio.fail_after(10):
        await server.serve(host="127.0.0.1", port=0, on_listening=listening)
        returned = True
    assert returned
    assert signal.getsignal(signal_number) is before


async def test_work_is_refused_while_stopping() -> None:
    """Once the stop has begun, starts are 503 with Retry-After and `/ready` says no."""
    server, workflow = WorkflowServer(shutdown_grace=5), Gated()
    server.add_workflow("gated", workflow)
    async with server.running():
        transport = httpx.ASGITransport(server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            await client.post("/workflows/gated/run-nowait", json={})
            await workflow.begun.wait()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(server.stop)
                await anyio.wait_all_tasks_blocked()
                refused = await client.post("/workflows/gated/run-nowait", json={})
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
                assert (await client.get("/ready")).status_code == 503
                workflow.gate.set()

"""`GET /handlers/{id}?wait=`: the answer comes when the run is over, or when the time is."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests_support.in_process import serving
from workflow_server import Context, MemoryWorkflowStore, SqliteWorkflowStore, Workflow, WorkflowServer, step
from workflow_server.api.commands import GetHandler, StartRun
from workflow_server.api.outcomes import HandlerFound, RunAccepted
from workflow_server.events import Event, HumanResponseEvent, StartEvent, StopEvent
from workflow_server.stores.base import AbstractWorkflowStore
from workflow_server.wire.records import HandlerRecord


class Go(HumanResponseEvent):
    fail: bool = False


class Tick(Event):
    pass


class Waits(Workflow):
    @step
    async def wait(self, ev: StartEvent, ctx: Context) -> StopEvent:
        go = await ctx.wait_for_event(Go)
        if go.fail:
            raise ValueError("no paper")
        return StopEvent(result="done")


def server_on(store: AbstractWorkflowStore, **options: Any) -> WorkflowServer:
    server = WorkflowServer(workflow_store=store, **options)
    server.add_workflow("waits", Waits(timeout=None), additional_events=[Go])
    return server


@pytest.fixture(params=["memory", "sqlite", "released"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
    """The third lets runs go from memory at once, so that whoever waits for one finds it gone."""
    store = MemoryWorkflowStore() if request.param == "memory" else SqliteWorkflowStore(tmp_path / "runs.db")
    options = {"idle_timeout": 0.0} if request.param == "released" else {}
    async with serving(server_on(store, **options)) as client:
        await client.post("/workflows/waits/run-nowait", json={"handler_id": "h"})
        if request.param == "released":
            await released(client)
        yield client


async def released(client: httpx.AsyncClient) -> None:
    with anyio.fail_after(20):
        while True:
            if (await client.get("/handlers/h")).json()["phase"] == "idle":
                return
            await anyio.sleep(0.005)


async def go(client: httpx.AsyncClient, **fields: Any) -> None:
    sent = await client.post("/events/h", json={"event": {"type": "Go", "value": fields}})
    assert sent.status_code == 200, sent.text


async def test_it_answers_when_the_run_is_over(client: httpx.AsyncClient) -> None:
    answers: list[httpx.Response] = []

    async def ask(query: str) -> None:
        answers.append(await client.get(f"/handlers/h?wait=3600{query}"))

    async with anyio.create_task_group() as tasks:
        for query in ("", "", "&outcome=body"):
            tasks.start_soon(ask, query)
        # Three that wait, before anything happens; the answers are the proof that they were woken.
        await anyio.wait_all_tasks_blocked()
        await go(client)
    assert {answer.json()["result"]["value"]["result"] for answer in answers} == {"done"}
    assert (await client.get("/handlers/h?wait=3600")).json()["status"] == "completed"


async def test_a_failure_is_told_as_it_was_asked_for(client: httpx.AsyncClient) -> None:
    await go(client, fail=True)
    plain = await client.get("/handlers/h?wait=3600")
    told = await client.get("/handlers/h?wait=3600&outcome=body")
    assert (plain.status_code, told.status_code) == (500, 200)
    assert plain.json() == told.json()
    assert told.json()["error"] == "no paper"


async def test_it_answers_when_the_time_is_over(client: httpx.AsyncClient) -> None:
    for query, status in (("wait=0.01", 202), ("wait=0.01&outcome=body", 200), ("wait=0", 202)):
        answer = await client.get(f"/handlers/h?{query}")
        assert (answer.status_code, answer.json()["status"]) == (status, "running")


async def test_it_answers_when_the_handler_is_removed(client: httpx.AsyncClient) -> None:
    statuses: list[int] = []

    async def ask() -> None:
        statuses.append((await client.get("/handlers/h?wait=3600")).status_code)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        await client.post("/handlers/h/cancel?purge=true")
    assert statuses in ([404], [500]), "gone, or seen cancelled in the moment before"
    assert (await client.get("/handlers/nobody?wait=3600")).status_code == 404


async def test_waiting_does_not_keep_a_run_in_memory(tmp_path: Path) -> None:
    server = server_on(SqliteWorkflowStore(tmp_path / "runs.db"), idle_timeout=0.05)
    async with server.running(), anyio.create_task_group() as tasks:
        started = await server.execute(StartRun("waits", handler_id="h"))
        assert isinstance(started, RunAccepted)
        tasks.start_soon(server.execute, GetHandler("h", wait=3600))
        with anyio.fail_after(20):
            while True:
                found = await server.execute(GetHandler("h"))
                assert isinstance(found, HandlerFound)
                if found.handler.phase == "idle":
                    break
                await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()


class Noticing(SqliteWorkflowStore):
    """Tells when it has answered for a run."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.answered = anyio.Event()

    async def run(self, run_id: str) -> HandlerRecord | None:
        record = await super().run(run_id)
        self.answered.set()
        return record


@pytest.mark.parametrize("idle_timeout", [None, 0.0])
async def test_a_stopping_server_answers_at_once(tmp_path: Path, idle_timeout: float | None) -> None:
    store = Noticing(tmp_path / "runs.db")
    server = server_on(store, idle_timeout=idle_timeout)
    answers: list[httpx.Response] = []

    async with serving(server) as client:
        await client.post("/workflows/waits/run-nowait", json={"handler_id": "h"})
        if idle_timeout is not None:
            await released(client)  # else it would go while it is asked for, and be looked at twice

        async def ask() -> None:
            answers.append(await client.get("/handlers/h?wait=3600"))

        store.answered = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await store.answered.wait()  # the request has looked at the run, and waits
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(5):
                await server.stop()
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(202, "running")]

"""No more runs in memory than there are places: the others queue, on disk where the store can load them again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests_support.facts import until
from tests_support.in_process import finished, serving
from workflow_server import Context, MemoryWorkflowStore, SqliteWorkflowStore, Workflow, WorkflowServer, step
from workflow_server.events import HumanResponseEvent, StartEvent, StopEvent
from workflow_server.manager import revival
from workflow_server.stores.base import AbstractWorkflowStore


class Answer(HumanResponseEvent):
    text: str


class Ask(Workflow):
    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> StopEvent:
        first = await ctx.wait_for_event(Answer, timeout=ev.get("patience", None))
        return StopEvent(result=first.text)


begun: list[str] = []


class Hold(Workflow):
    """Notes that it has begun, and goes on when somebody answers; its step never waits in the engine's sense."""

    @step
    async def hold(self, ev: StartEvent, ctx: Context) -> None:
        begun.append(ev.name)
        await anyio.sleep_forever()

    @step
    async def end(self, ev: Answer) -> StopEvent:
        return StopEvent(result=ev.text)


class Count(Workflow):
    @step
    async def hold(self, ev: StartEvent) -> StopEvent:
        begun.append(ev.name)
        await anyio.sleep_forever()
        return StopEvent()

    @step
    async def hear(self, ev: Answer, ctx: Context) -> None:
        begun.append("b heard")


def alive(path: Path, handler_id: str) -> float:
    """Return for how many seconds the file says that a run was alive."""
    with closing(sqlite3.connect(path)) as database:
        row = database.execute("SELECT alive FROM runs WHERE handler_id = ?", (handler_id,)).fetchone()
        return float(row[0])


def make_server(store: AbstractWorkflowStore, limit: int | None, **options: Any) -> WorkflowServer:
    server = WorkflowServer(workflow_store=store, shutdown_grace=0, max_active_runs=limit, **options)
    server.add_workflow("ask", Ask(timeout=None), additional_events=[Answer])
    server.add_workflow("hold", Hold(timeout=None, disable_validation=True), additional_events=[Answer])
    return server


@pytest.fixture(autouse=True)
def nothing_has_begun() -> None:
    begun.clear()


@pytest.fixture(params=["memory", "sqlite"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], AbstractWorkflowStore]:
    if request.param == "memory":
        return lambda: MemoryWorkflowStore(max_completed=None)
    return lambda: SqliteWorkflowStore(tmp_path / "runs.db", synchronous="NORMAL")


async def start(client: httpx.AsyncClient, workflow: str, name: str, **fields: Any) -> None:
    body = {"handler_id": name, "start_event": {"name": name, **fields}}
    answer = await client.post(f"/workflows/{workflow}/run-nowait", json=body)
    assert answer.status_code == 200, answer.text


async def answer(client: httpx.AsyncClient, name: str, text: str = "yes") -> int:
    event = {"type": "Answer", "value": {"text": text}}
    return (await client.post(f"/events/{name}", json={"event": event})).status_code


async def phases(client: httpx.AsyncClient) -> dict[str, str]:
    handlers = (await client.get("/handlers")).json()["handlers"]
    return {handler["handler_id"]: handler["phase"] for handler in handlers}


async def have_phases(client: httpx.AsyncClient, **wanted: str) -> None:
    async def has_them() -> bool:
        return await phases(client) == wanted

    try:
        await until(has_them)
    except TimeoutError:
        assert await phases(client) == wanted


def in_memory(server: WorkflowServer) -> set[str]:
    runs = server._manager._runs
    return set() if runs is None else set(runs._by_handler)


async def test_runs_begin_in_the_order_of_starting_as_places_become_free(
    make_store: Callable[[], AbstractWorkflowStore],
) -> None:
    store = make_store()
    server = make_server(store, 2)
    async with serving(server) as client:
        for name in "abcde":
            await start(client, "hold", name)
        await have_phases(client, a="running", b="running", c="queued", d="queued", e="queued")
        if store.keeps_parts:
            await until(lambda: in_memory(server) == {"a", "b"})
        assert await answer(client, "b") == 200
        await have_phases(client, a="running", b="done", c="running", d="queued", e="queued")
        # One that queues may be cancelled, and is not waited for then.
        assert (await client.post("/handlers/d/cancel")).json() == {"status": "cancelled"}
        assert (await client.post("/handlers/a/cancel")).status_code == 200
        await have_phases(client, a="done", b="done", c="running", d="done", e="running")
        await until(lambda: begun == ["a", "b", "c", "e"])
        assert (await client.get("/handlers/d")).json()["status"] == "cancelled"


async def test_a_client_that_waits_gets_the_result_of_a_run_that_queued(
    make_store: Callable[[], AbstractWorkflowStore],
) -> None:
    server = make_server(make_store(), 1)
    results: list[Any] = []
    async with serving(server) as client:
        await start(client, "hold", "first")

        async def wait(name: str) -> None:
            answered = await client.post("/workflows/ask/run", json={"handler_id": name})
            results.append(answered.json()["result"]["value"]["result"])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, "waits")
            await have_phases(client, first="running", waits="queued")
            # What it is told before it begins is there when it begins.
            assert await answer(client, "waits", "early") == 200
            await have_phases(client, first="running", waits="queued")
            await answer(client, "first")
            await have_phases(client, first="done", waits="waiting")
            await answer(client, "waits", "in time")
        assert results == ["in time"]


async def test_a_client_that_goes_away_leaves_the_run_to_the_disk(tmp_path: Path) -> None:
    server = make_server(SqliteWorkflowStore(tmp_path / "runs.db"), 1)
    async with serving(server) as client:
        await start(client, "hold", "first")
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/workflows/ask/run", json={"handler_id": "left"}, timeout=0.3)
        await until(lambda: in_memory(server) == {"first"})
        await have_phases(client, first="running", left="queued")
        await answer(client, "first")
        await have_phases(client, first="done", left="waiting")


async def test_an_idle_run_gives_its_place_away_and_gets_one_again(tmp_path: Path) -> None:
    """It is older than those that queue, so it comes first once somebody leaves; its events are kept meanwhile."""
    server = make_server(SqliteWorkflowStore(tmp_path / "runs.db"), 1, idle_timeout=0.1)
    async with serving(server) as client:
        await start(client, "ask", "asks")
        await start(client, "hold", "second")
        await start(client, "hold", "third")
        await have_phases(client, asks="idle", second="running", third="queued")
        assert await answer(client, "asks") == 200
        await have_phases(client, asks="queued", second="running", third="queued")
        assert (await client.post("/events/asks", json={"event": {"type": "Nonsense", "value": {}}})).status_code == 400
        await until(lambda: in_memory(server) == {"second"})
        assert await answer(client, "second") == 200
        assert (await finished(client, "asks"))["result"]["value"] == {"result": "yes"}
        await have_phases(client, asks="done", second="done", third="running")


async def test_a_timer_that_rings_while_there_is_no_place(tmp_path: Path) -> None:
    server = make_server(SqliteWorkflowStore(tmp_path / "runs.db"), 1, idle_timeout=0.05)
    async with serving(server) as client:
        await start(client, "ask", "asks", patience=0.4)
        await start(client, "hold", "second")
        await have_phases(client, asks="idle", second="running")
        await have_phases(client, asks="queued", second="running")
        await answer(client, "second")
        await have_phases(client, asks="done", second="done")
        assert (await client.get("/handlers/asks")).json()["status"] == "failed"


async def test_a_restart_keeps_the_queue(tmp_path: Path) -> None:
    """What ran before the restart comes first, then what queued, in the order of starting; newcomers come last."""
    path = tmp_path / "runs.db"
    async with serving(make_server(SqliteWorkflowStore(path), 2)) as client:
        for name in "abcd":
            await start(client, "hold", name)
        await have_phases(client, a="running", b="running", c="queued", d="queued")
        assert await answer(client, "d", "before the restart") == 200
    begun.clear()
    server = make_server(SqliteWorkflowStore(path), 1)
    async with serving(server) as client:
        await start(client, "hold", "e")
        await have_phases(client, a="running", b="queued", c="queued", d="queued", e="queued")
        # An interrupted one that has no place is told something all the same, and another is removed.
        before = alive(path, "b")
        assert await answer(client, "b", "for b") == 200
        assert alive(path, "b") == before > 0
        assert (await client.post("/handlers/c/cancel?purge=true")).json() == {"status": "deleted"}
        await until(lambda: in_memory(server) == {"a"})
        await have_phases(client, a="running", b="queued", d="queued", e="queued")
        await answer(client, "a", "for a")
        for name, text in (("a", "for a"), ("b", "for b"), ("d", "before the restart")):
            assert (await finished(client, name))["result"]["value"] == {"result": text}
        await have_phases(client, a="done", b="done", d="done", e="running")
        # A step begins after the commit that says so.
        await until(lambda: [name for name in begun if name in "ae"] == ["a", "e"])


class SlowToList(SqliteWorkflowStore):
    """Lists the second page of what is unfinished when it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.go = anyio.Event()

    async def unfinished(self, after: str | None, limit: int, **which: Any) -> Any:
        if after is not None:
            await self.go.wait()
        return await super().unfinished(after, limit, **which)


async def test_no_newcomer_takes_the_place_of_a_run_that_is_still_to_be_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revival, "PAGE", 1)
    path = tmp_path / "runs.db"
    async with serving(make_server(SqliteWorkflowStore(path), 2)) as client:
        await start(client, "hold", "a")
        await start(client, "hold", "b")
        await have_phases(client, a="running", b="running")
    store = SlowToList(path)
    async with serving(make_server(store, 2)) as client:
        await start(client, "hold", "c")
        await have_phases(client, a="running", b="queued", c="queued")
        store.go.set()
        await have_phases(client, a="running", b="running", c="queued")
        await answer(client, "a")
        await have_phases(client, a="done", b="running", c="running")


async def test_a_run_that_waits_for_its_workflows_turn_does_nothing_before(tmp_path: Path) -> None:
    """Not even if it was loaded after a restart, and is told something."""
    path = tmp_path / "runs.db"

    def make() -> WorkflowServer:
        server = WorkflowServer(workflow_store=SqliteWorkflowStore(path), shutdown_grace=0)
        server.add_workflow("count", Count(timeout=None, num_concurrent_runs=1), additional_events=[Answer])
        return server

    async with serving(make()) as client:
        await start(client, "count", "a")
        await have_phases(client, a="running")
    server = make()
    async with serving(server) as client:
        await have_phases(client, a="running")
        await start(client, "count", "b")
        assert await answer(client, "b") == 200
        await have_phases(client, a="running", b="queued")
    begun.clear()
    async with serving(make()) as client:
        await have_phases(client, a="running", b="queued")
        assert await answer(client, "b") == 200
        await have_phases(client, a="running", b="queued")
        await until(lambda: begun == ["a"])
        await client.post("/handlers/a/cancel")
        await have_phases(client, a="done", b="running")
        await until(lambda: begun == ["a", "b", "b heard", "b heard"])


async def test_no_limit(make_store: Callable[[], AbstractWorkflowStore]) -> None:
    async with serving(make_server(make_store(), None)) as client:
        for name in "abc":
            await start(client, "hold", name)
        await have_phases(client, a="running", b="running", c="running")


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_cannot_be_meant(limit: int) -> None:
    with pytest.raises(ValueError, match=f"max_active_runs must be at least 1 or None, not {limit}"):
        WorkflowServer(max_active_runs=limit)

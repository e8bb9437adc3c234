"""Listing handlers over HTTP: pages, filters, and phases that are true."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests_support.facts import until
from tests_support.in_process import finished, serving
from workflow_server import Context, MemoryWorkflowStore, SqliteWorkflowStore, Workflow, WorkflowServer, step
from workflow_server.events import HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent
from workflow_server.stores.base import AbstractWorkflowStore
from workflow_server.stores.memory import LOOK
from workflow_server.testing.batches import finished as end_of
from workflow_server.testing.batches import first, put


class Answer(HumanResponseEvent):
    text: str


class Greet(Workflow):
    @step
    async def greet(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result="hello")


class Ask(Workflow):
    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> StopEvent:
        answer = await ctx.wait_for_event(Answer, timeout=None)
        return StopEvent(result=answer.text)


class Interview(Workflow):
    """Has nothing at hand while it waits."""

    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent()

    @step
    async def hear(self, ev: Answer) -> StopEvent:
        return StopEvent(result=ev.text)


class Forever(Workflow):
    @step
    async def run_on(self, ev: StartEvent) -> StopEvent:
        await anyio.sleep_forever()
        return StopEvent()


def make_server(store: AbstractWorkflowStore, *, without: str = "", **options: Any) -> WorkflowServer:
    server = WorkflowServer(workflow_store=store, shutdown_grace=0, **options)
    workflows = {
        "greet": Greet(),
        "ask": Ask(timeout=None),
        "interview": Interview(timeout=None),
        "forever": Forever(timeout=None),
        "turn": Forever(timeout=None, num_concurrent_runs=1),
    }
    for name, workflow in workflows.items():
        if name != without:
            server.add_workflow(name, workflow, additional_events=[Answer])
    return server


@pytest.fixture(params=["memory", "sqlite"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], AbstractWorkflowStore]:
    if request.param == "memory":
        return lambda: MemoryWorkflowStore(max_completed=None)
    return lambda: SqliteWorkflowStore(tmp_path / "runs.db", synchronous="NORMAL")


async def start(client: httpx.AsyncClient, workflow: str, handler_id: str) -> None:
    answer = await client.post(f"/workflows/{workflow}/run-nowait", json={"handler_id": handler_id})
    assert answer.status_code == 200, answer.text


async def page(client: httpx.AsyncClient, **query: Any) -> tuple[list[str], str | None]:
    answer = await client.get("/handlers", params=query)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return [handler["handler_id"] for handler in body["handlers"]], body.get("next_cursor")


async def ids(client: httpx.AsyncClient, **query: Any) -> list[str]:
    return (await page(client, **query))[0]


async def phases(client: httpx.AsyncClient) -> dict[str, str]:
    """Return the phases of all handlers, after a look at whether the filter says the same of each."""
    handlers = (await client.get("/handlers")).json()["handlers"]
    found = {handler["handler_id"]: handler["phase"] for handler in handlers}
    for phase in set(found.values()):
        assert set(await ids(client, phase=phase)) == {name for name, its in found.items() if its == phase}
    return found


async def have_phases(client: httpx.AsyncClient, **wanted: str) -> None:
    async def has_them() -> bool:
        handlers = (await client.get("/handlers")).json()["handlers"]
        return {handler["handler_id"]: handler["phase"] for handler in handlers} == wanted

    await until(has_them)
    assert await phases(client) == wanted


async def test_pages_come_newest_first(make_store: Callable[[], AbstractWorkflowStore]) -> None:
    """`limit` or `cursor` asks for a page; a handler that runs again keeps its place."""
    async with serving(make_server(make_store())) as client:
        names = [f"h{n}" for n in range(7)]
        for name in names:
            await client.post("/workflows/greet/run", json={"handler_id": name})
        assert await page(client) == (names, None)
        assert "next_cursor" not in (await client.get("/handlers")).json()
        newest, cursor = await page(client, limit=3)
        assert newest == ["h6", "h5", "h4"]
        assert cursor is not None
        await client.post("/workflows/greet/run", json={"handler_id": "h1"})
        await start(client, "ask", "new")
        await client.post("/handlers/h2/cancel?purge=true")
        assert await page(client, limit=3, cursor=cursor) == (["h3", "h1", "h0"], None)
        assert await page(client, cursor=cursor) == (["h3", "h1", "h0"], None)
        assert await page(client, limit=7) == (["new", "h6", "h5", "h4", "h3", "h1", "h0"], None)


async def test_filters(make_store: Callable[[], AbstractWorkflowStore]) -> None:
    async with serving(make_server(make_store())) as client:
        await client.post("/workflows/greet/run", json={"handler_id": "a-done"})
        middle = (await client.post("/workflows/greet/run", json={"handler_id": "b-done"})).json()["started_at"]
        await start(client, "ask", "a-asks")
        await have_phases(client, **{"a-done": "done", "b-done": "done", "a-asks": "waiting"})
        assert await ids(client, q="a-") == ["a-done", "a-asks"]
        assert await ids(client, q="a-", limit=9) == ["a-asks", "a-done"]
        assert await ids(client, q="a-", status="running") == ["a-asks"]
        assert await ids(client, q="-done") == []
        assert await ids(client, phase="waiting") == ["a-asks"]
        assert await ids(client, phase=["waiting", "done"], limit=2) == ["a-asks", "b-done"]
        assert await ids(client, started_before=middle) == ["a-done"]
        assert await ids(client, started_after=middle) == ["b-done", "a-asks"]
        assert await ids(client, started_after=middle, workflow_name="greet") == ["b-done"]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("cursor=x", "Invalid cursor: 'x'. Expected the next_cursor of an earlier page"),
        ("cursor=-1", "Invalid cursor: '-1'. Expected the next_cursor of an earlier page"),
        ("limit=0", "Invalid limit: '0'. Expected a whole number from 1 to 1000"),
        ("phase=x", "Invalid phase: 'x'. Expected one of queued, running, waiting, idle, blocked, done"),
        ("started_after=x", "Invalid started_after: 'x'. Expected a time like 2026-01-31T12:00:00Z or 2026-01-31"),
    ],
)
async def test_what_cannot_be_understood(
    make_store: Callable[[], AbstractWorkflowStore], query: str, detail: str
) -> None:
    async with serving(make_server(make_store())) as client:
        answer = await client.get(f"/handlers?{query}")
        assert (answer.status_code, answer.json()) == (400, {"detail": detail})


async def test_phases_in_memory(make_store: Callable[[], AbstractWorkflowStore]) -> None:
    """One of two that may not run together waits for its turn."""
    async with serving(make_server(make_store())) as client:
        await client.post("/workflows/greet/run", json={"handler_id": "over"})
        await start(client, "ask", "asks")
        await start(client, "turn", "first")
        await start(client, "turn", "second")
        await have_phases(client, over="done", asks="waiting", first="running", second="queued")
        await client.post("/handlers/first/cancel")
        await have_phases(client, over="done", asks="waiting", first="done", second="running")


async def test_phases_of_runs_that_left_memory(tmp_path: Path) -> None:
    """Idle after the idle time and after a restart; back as soon as somebody wants it, even for nothing."""
    path = tmp_path / "runs.db"

    async with serving(make_server(SqliteWorkflowStore(path), idle_timeout=0.05)) as client:
        await start(client, "ask", "released")
        await have_phases(client, released="idle")
    async with serving(make_server(SqliteWorkflowStore(path), idle_timeout=None)) as client:
        await start(client, "ask", "asks")
        await start(client, "interview", "talks")
        await start(client, "greet", "over")
        await start(client, "forever", "runs")
        await have_phases(client, released="idle", asks="waiting", talks="waiting", over="done", runs="running")
    async with serving(make_server(SqliteWorkflowStore(path), without="forever", idle_timeout=None)) as client:
        await have_phases(client, released="idle", asks="idle", talks="idle", over="done", runs="blocked")
        assert "no workflow" in (await client.get("/handlers/runs")).json()["error"]
        for name in ("asks", "talks"):
            refused = await client.post(f"/events/{name}", json={"event": {"type": "Nonsense", "value": {}}})
            assert refused.status_code == 400
        await have_phases(client, released="idle", asks="waiting", talks="waiting", over="done", runs="blocked")
    async with serving(make_server(SqliteWorkflowStore(path))) as client:
        await have_phases(client, released="idle", asks="idle", talks="idle", over="done", runs="running")
        answer = await client.get("/handlers/runs")
        assert answer.json()["error"] is None
        for name in ("released", "asks", "talks"):
            await client.post(f"/events/{name}", json={"event": {"type": "Answer", "value": {"text": "yes"}}})
            assert (await finished(client, name))["phase"] == "done"


async def test_others_are_served_while_a_long_list_is(make_store: Callable[[], AbstractWorkflowStore]) -> None:
    """A list of several thousand is sent while other requests are answered."""
    store = make_store()
    async with serving(make_server(store)) as client:
        many = 4 * LOOK
        batches = [first(f"h{n}", f"r{n}") for n in range(many)]
        await put(store, batches[0])
        await store.commit([*batches[1:], *map(end_of, batches)])
        async with client.stream("GET", "/handlers") as listed:
            chunks = listed.aiter_bytes()
            begun = await anext(chunks)
            for _ in range(3):
                assert (await client.get("/health")).status_code == 200
                assert len((await page(client, limit=100))[0]) == 100
            whole = begun + b"".join([chunk async for chunk in chunks])
        assert whole.count(b'"handler_id"') == many

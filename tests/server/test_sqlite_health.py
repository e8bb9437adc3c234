"""Whatever the SQLite file waits for, the server answers at once.

Nothing that computes may run beside these tests: `nox` runs them apart, one for each processor.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.abc import TaskStatus

from tests_support.asking import Asks, Reply, Text, question
from tests_support.in_process import events, finished, serving
from tests_support.served import checkout_environ
from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.events import StartEvent, StopEvent
from workflow_server.stores.sqlite import SqliteWorkflowStore, connecting

LOCKS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""


class Writes(Workflow):
    @step
    async def write(self, ev: StartEvent, ctx: Context) -> StopEvent:
        for n in range(60):
            for _ in range(10):
                ctx.write_event_to_stream(Text(text="x" * 4000))
            await ctx.store.set("n", n)
        return StopEvent()


def make_server(store: SqliteWorkflowStore) -> WorkflowServer:
    server = WorkflowServer(workflow_store=store, shutdown_grace=0)
    server.add_workflow("asks", Asks(timeout=None), additional_events=[Reply])
    server.add_workflow("writes", Writes(timeout=None))
    return server


@contextmanager
def another_program(path: Path, statement: str) -> Iterator[subprocess.Popen[str]]:
    """Have another program hold a transaction on a database; it lets go when it is sent a line."""
    with subprocess.Popen(
        [sys.executable, "-c", LOCKS, str(path), statement],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=checkout_environ(),
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "held\n"
        try:
            yield program
        finally:
            program.kill()


def let_go(program: subprocess.Popen[str]) -> None:
    assert program.stdin is not None
    program.stdin.write("\n")
    program.stdin.flush()


@asynccontextmanager
async def watched_health(client: httpx.AsyncClient, every: float) -> AsyncGenerator[list[float]]:
    """Ask for /health all the while; the list holds how long each answer took."""
    took: list[float] = []

    async def watch() -> None:
        while True:
            begun = time.perf_counter()
            answer = await client.get("/health")
            took.append(time.perf_counter() - begun)
            assert answer.status_code == 200
            await anyio.sleep(every)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        yield took
        tasks.cancel_scope.cancel()


def check_health(took: list[float]) -> None:
    """All answers came at once."""
    assert len(took) >= 5
    assert max(took) < 0.05, took


async def ask_until_heard(client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> httpx.Response:
    """Ask until the answer is no 503 that says when to come again."""
    while True:
        answer = await client.request(method, path, json=body)
        if answer.status_code != 503:
            return answer
        assert answer.headers["retry-after"] == "1"
        await anyio.sleep(0.2)


@pytest.mark.parametrize("patience", [5.0, 0.1], ids=["shorter than SQLite waits", "longer than SQLite waits"])
async def test_another_program_that_holds_the_lock_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    """Writing waits, reading goes on, nothing is a 500, and what was asked meanwhile is done once."""
    monkeypatch.setattr(connecting, "BUSY_SECONDS", patience)
    path = tmp_path / "runs.db"
    answers: dict[str, httpx.Response] = {}
    async with serving(make_server(SqliteWorkflowStore(path))) as client:
        await client.post("/workflows/asks/run-nowait", json={"handler_id": "before"})
        await question(client, "before")

        async def act(name: str, path: str, body: Any) -> None:
            answers[name] = await ask_until_heard(client, "POST", path, body)

        with another_program(path, "BEGIN EXCLUSIVE") as program:
            async with watched_health(client, 0.05) as took, anyio.create_task_group() as tasks:
                tasks.start_soon(act, "start", "/workflows/asks/run-nowait", {"handler_id": "during"})
                tasks.start_soon(act, "send", "/events/before", {"event": {"type": "Reply", "value": {}}})
                await anyio.sleep(1.5)
                for read in ("/handlers", "/handlers/before", "/handlers/before/state", "/handlers/during"):
                    assert (await client.get(read)).status_code in (200, 202, 404), read
                await anyio.sleep(1.5)
                assert not answers, "nothing may be told before it is written"
                let_go(program)
        check_health(took)
        assert [answer.status_code for answer in answers.values()] == [200, 200]
        assert (await finished(client, "before"))["result"]["value"] == {"result": "yes"}
        sent = {"event": {"type": "Reply", "value": {}}}
        await question(client, "during")
        assert (await client.post("/events/during", json=sent)).status_code == 200
        assert (await finished(client, "during"))["result"]["value"] == {"result": "yes"}


async def test_readers_that_stall_leave_the_log_bounded(tmp_path: Path) -> None:
    """Twenty clients open the stream of a run and don't read on, while it publishes twice what the log may hold."""
    path, log = tmp_path / "runs.db", tmp_path / "runs.db-wal"
    largest = 0
    async with serving(make_server(SqliteWorkflowStore(path, synchronous="NORMAL"))) as client:
        await client.post("/workflows/asks/run-nowait", json={"handler_id": "h"})
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                await tasks.start(_stall, str(client.base_url))
            async with watched_health(client, 0.02) as took:
                for turn in range(4):
                    run = {"handler_id": f"w{turn}"}
                    assert (await client.post("/workflows/writes/run", json=run)).status_code == 200
                    largest = max(largest, log.stat().st_size)
            tasks.cancel_scope.cancel()
        assert len(await events(client, "w3")) == 601
    check_health(took)
    assert largest < 8 << 20


async def _stall(url: str, *, task_status: TaskStatus[None]) -> None:
    async with (
        httpx.AsyncClient(base_url=url, timeout=60, verify=False) as client,
        client.stream("GET", "/events/h", params={"after_sequence": -1, "include_internal": "true"}) as answer,
    ):
        assert answer.status_code == 200
        task_status.started()
        await anyio.sleep_forever()

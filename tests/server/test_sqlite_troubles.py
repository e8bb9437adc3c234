"""An SQLite file that nothing can be written to, as clients see it. Other troubles: test_sqlite_health.py."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests_support.asking import Asks, Reply, question
from tests_support.in_process import finished, serving
from workflow_server import WorkflowServer
from workflow_server.stores.sqlite import SqliteWorkflowStore


def make_server(store: SqliteWorkflowStore) -> WorkflowServer:
    server = WorkflowServer(workflow_store=store, shutdown_grace=0)
    server.add_workflow("asks", Asks(timeout=None), additional_events=[Reply])
    return server


FULL = ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000")
READ_ONLY = ("PRAGMA query_only = ON", "PRAGMA query_only = OFF")


@pytest.mark.parametrize("trouble", [FULL, READ_ONLY], ids=["full", "read-only"])
async def test_a_disk_that_takes_nothing_for_a_while(
    tmp_path: Path, trouble: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Clients wait, or hear 503; what they read is there; the log says why; all goes on when there is room again."""
    store = SqliteWorkflowStore(tmp_path / "runs.db")
    begin, end = trouble
    async with serving(make_server(store)) as client:
        await client.post("/workflows/asks/run-nowait", json={"handler_id": "h"})
        await question(client, "h")
        await execute(store, begin)
        large = {"text": "x" * 100_000}  # small things still fit into pages that the file has
        sent = {"event": {"type": "Reply", "value": large}}
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/events/h", json=sent, timeout=0.5)
        start = {"handler_id": "other", "start_event": large}
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/workflows/asks/run-nowait", json=start, timeout=0.5)
        purged = await client.post("/handlers/h/cancel", params={"purge": "true"}, timeout=20)
        assert (purged.status_code, purged.headers["retry-after"]) == (503, "1")
        assert "not stored yet" in purged.text or "can't be reached" in purged.text
        handler = (await client.get("/handlers/h")).json()
        assert handler["status"] == "running"
        assert "The store failed; all runs hold until it is back" in caplog.text
        assert "the disk is full" in caplog.text or "it may not be written" in caplog.text
        await execute(store, end)
        assert (await finished(client, "h"))["status"] in ("completed", "cancelled")
        await question(client, "other")


async def execute(store: SqliteWorkflowStore, statement: str) -> None:
    """Execute a statement on the connection that writes."""
    assert store._open is not None
    await store._open.writers.call(lambda writer: writer._connected().execute(statement).fetchall())

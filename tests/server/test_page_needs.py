"""What the debugger page asks of the server beyond what other clients do; all of it opt-in."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests_support.in_process import events, finished, serving
from workflow_server import Context, SqliteWorkflowStore, Workflow, WorkflowServer, step
from workflow_server.errors import ServerUsageError
from workflow_server.events import Event, StartEvent, StepStateChanged, StopEvent


class Note(Event):
    n: int


class Always:
    """Tries again at once, always."""

    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return 0.0


class Flaky(Workflow):
    """Its second step fails twice before it works."""

    failures = 0

    @step
    async def first(self, ev: StartEvent, ctx: Context) -> Note:
        ctx.write_event_to_stream(Note(n=1))
        return Note(n=2)

    @step(retry_policy=Always())
    async def second(self, ev: Note) -> StopEvent:
        self.failures += 1
        if self.failures < 3:
            raise ValueError(f"no {self.failures}")
        return StopEvent()


def make_server(**options: Any) -> WorkflowServer:
    server = WorkflowServer(shutdown_grace=0.1, **options)
    server.add_workflow("flaky", Flaky())
    return server


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A store that keeps events as objects, and one that writes them down."""
    return SqliteWorkflowStore(db_path=tmp_path / "runs.db") if request.param == "sqlite" else None


async def test_envelopes_tell_times_and_sequences(store: Any) -> None:
    """Each event's time lies between the start and the end of its run."""
    async with serving(make_server(workflow_store=store)) as client:
        await client.post("/workflows/flaky/run", json={"handler_id": "h"})
        handler = await finished(client, "h")
        told = await events(client, "h", include_internal="true", include_timestamp="true")
        plain = await events(client, "h", include_internal="true")
    assert [event["sequence"] for event in told] == list(range(len(told)))
    times = [datetime.fromisoformat(event["timestamp"]) for event in told]
    assert times == sorted(times)
    assert datetime.fromisoformat(handler["started_at"]) <= times[0]
    assert times[-1] <= datetime.fromisoformat(handler["completed_at"])
    assert {tuple(event) for event in plain} == {("value", "qualified_name", "type", "types")}


async def test_attempts_and_failures_are_told_to_who_asks(store: Any) -> None:
    """The work item ties an execution together; nobody else sees that an event's value got longer."""
    async with serving(make_server(workflow_store=store)) as client:
        await client.post("/workflows/flaky/run", json={"handler_id": "h"})
        told = await events(client, "h", include_internal="true", include_attempts="true")
        plain = await events(client, "h", include_internal="true")
    steps = [event for event in told if event["type"] == "StepStateChanged"]
    second = [event for event in steps if event["value"]["name"] == "second"]
    assert len({event["item"] for event in second}) == 1
    assert [(event["value"]["step_state"], event["attempt"]) for event in second] == [
        (state, attempt) for attempt in (1, 2, 3) for state in ("running", "not_running")
    ]
    why = [event["failure"] and event["failure"]["exception_message"] for event in second]
    assert why == [None, "no 1", None, "no 2", None, None]
    assert second[1]["failure"]["exception_type"] == "builtins.ValueError"
    note = next(event for event in told if event["type"] == "Note")
    assert note["item"] == steps[0]["item"]
    assert told[-1]["item"] is None
    assert [event["value"] for event in plain] == [event["value"] for event in told]
    assert all(
        set(event["value"]) == set(StepStateChanged.model_fields) for event in plain if "step_state" in event["value"]
    )


async def test_delete_is_cancel_with_purge() -> None:
    """Running or finished: afterwards nobody knows the handler."""
    async with serving(make_server()) as client:
        await client.post("/workflows/flaky/run", json={"handler_id": "h"})
        gone = await client.delete("/handlers/h")
        assert (gone.status_code, gone.json()) == (200, {"status": "deleted"})
        assert (await client.get("/handlers/h")).status_code == 404
        assert (await client.delete("/handlers/h")).status_code == 404


async def test_a_server_without_a_page_and_with_another() -> None:
    """The API is the same; `/` is what the program says."""
    async with serving(make_server(ui=False)) as client:
        assert (await client.get("/")).status_code == 404
        assert (await client.get("/health")).status_code == 200


async def test_another_page(tmp_path: Path) -> None:
    """Its folder replaces ours entirely, with the same guards and the same caching."""
    (tmp_path / "index.html").write_text("<p>mine")
    async with serving(make_server(ui_path=tmp_path)) as client:
        page = await client.get("/")
        assert page.text == "<p>mine"
        assert page.headers["cache-control"] == "no-cache"
        same = await client.get("/", headers={"If-None-Match": page.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
        assert (await client.get("/app.js")).status_code == 404


def test_a_page_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ServerUsageError, match=r"has no index\.html"):
        WorkflowServer(ui_path=tmp_path)
    with pytest.raises(ServerUsageError, match="together with ui=False"):
        WorkflowServer(ui=False, ui_path=tmp_path)

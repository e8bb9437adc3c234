"""Waiting for the end of a run while the server comes and goes, on both loops and without one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import httpx
import pytest

from tests_support.in_process import serving
from workflow_server import Context, SqliteWorkflowStore, Workflow, WorkflowServer, step
from workflow_server.client import Patience, SyncWorkflowClient, WorkflowClient
from workflow_server.events import HumanResponseEvent, StartEvent, StopEvent

SOON = Patience(attempts=2, first=0.001, longest=0.001)


def handler(status: str) -> dict[str, Any]:
    return {
        "handler_id": "h", "workflow_name": "w", "run_id": "r", "error": None, "result": None, "status": status,
        "started_at": "2026-01-01T00:00:00+00:00", "updated_at": None, "completed_at": None,
    }  # fmt: skip


Answer = int | Exception
Wait = Callable[..., Awaitable[Any]]

RUNNING, DONE = 202, 200
AWAY = httpx.ConnectError("away")
CUT = httpx.RemoteProtocolError("cut")


@pytest.fixture(params=["async", "sync"])
def wait_for(request: pytest.FixtureRequest) -> Wait:
    """Wait for handler h; the server gives the answers of a script, one after the other."""

    async def wait(script: Sequence[Answer], **arguments: Any) -> Any:
        answers = list(script)

        def answer(request: httpx.Request) -> httpx.Response:
            assert request.url.path == "/handlers/h"
            match answers.pop(0):
                case Exception() as error:
                    raise error
                case status:
                    return httpx.Response(status, json=handler("running" if status == RUNNING else "completed"))

        transport = httpx.MockTransport(answer)
        try:
            if request.param == "async":
                async with httpx.AsyncClient(transport=transport, base_url="http://t") as http:
                    return await WorkflowClient(httpx_client=http).wait_for_handler("h", **arguments)
            with httpx.Client(transport=transport, base_url="http://t") as plain:
                client = SyncWorkflowClient(httpx_client=plain)
                return await anyio.to_thread.run_sync(lambda: client.wait_for_handler("h", **arguments))
        finally:
            assert not answers, "it asked less than that"

    return wait


async def test_a_wait_goes_on_when_the_server_is_back(wait_for: Wait) -> None:
    """Each break may have as many tries as there is patience for: an answer makes up for those before."""
    script = [CUT, AWAY, RUNNING, AWAY, 503, RUNNING, httpx.ReadTimeout("silent"), DONE]
    ended = await wait_for(script, poll_interval=0, patience=SOON)
    assert ended.status == "completed"


@pytest.mark.parametrize(
    ("last", "kind"),
    [(AWAY, httpx.ConnectError), (CUT, httpx.RemoteProtocolError), (502, httpx.HTTPStatusError)],
)
async def test_a_server_that_stays_away_is_an_error(wait_for: Wait, last: Answer, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await wait_for([AWAY, CUT, last], patience=SOON)


@pytest.mark.parametrize(
    ("answer", "kind", "patience"),
    [
        (404, httpx.HTTPStatusError, SOON),
        (500, httpx.HTTPStatusError, SOON),
        (httpx.UnsupportedProtocol("no http://"), httpx.UnsupportedProtocol, SOON),
        (AWAY, httpx.ConnectError, Patience(attempts=0)),
        (503, httpx.HTTPStatusError, Patience(errors_break=False)),
        (httpx.ReadTimeout("silent"), httpx.ReadTimeout, Patience(errors_break=False)),
    ],
)
async def test_what_no_patience_helps_with(
    wait_for: Wait, answer: Answer, kind: type[Exception], patience: Patience
) -> None:
    with pytest.raises(kind):
        await wait_for([answer], patience=patience)


async def test_time_is_over_while_the_server_is_away(wait_for: Wait) -> None:
    with pytest.raises(TimeoutError, match=r"Handler 'h' did not complete within 0 seconds"):
        await wait_for([AWAY], timeout=0)


class Yes(HumanResponseEvent):
    pass


class Ask(Workflow):
    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> StopEvent:
        await ctx.wait_for_event(Yes)
        return StopEvent(result="yes")


def server_of(folder: Path) -> WorkflowServer:
    server = WorkflowServer(workflow_store=SqliteWorkflowStore(db_path=str(folder / "runs.db")))
    server.add_workflow("ask", Ask(timeout=None), additional_events=[Yes])
    return server


@pytest.mark.parametrize("plain", [False, True], ids=["async", "sync"])
async def test_a_run_is_waited_for_over_a_restart_of_its_server(tmp_path: Path, plain: bool) -> None:
    told = {"connection.connect_tcp.complete": anyio.Event(), "connection.connect_tcp.failed": anyio.Event()}
    connected, failed = told.values()
    results: list[Any] = []
    lasting: dict[str, Any] = {"timeout": 20, "patience": Patience(attempts=1000, first=0.01, longest=0.05)}

    def tell(name: str, *_: Any) -> None:
        if name in told:
            told[name].set()

    async def watch_async(request: httpx.Request) -> None:
        async def trace(name: str, _: Any) -> None:
            tell(name)

        request.extensions["trace"] = trace

    def watch(request: httpx.Request) -> None:
        request.extensions["trace"] = partial(anyio.from_thread.run_sync, tell)

    async def wait_async(url: httpx.URL) -> None:
        async with httpx.AsyncClient(base_url=url, event_hooks={"request": [watch_async]}) as http:
            results.append(await WorkflowClient(httpx_client=http).wait_for_handler("h", **lasting))

    def wait(url: httpx.URL) -> None:
        with httpx.Client(base_url=url, event_hooks={"request": [watch]}) as http:
            results.append(SyncWorkflowClient(httpx_client=http).wait_for_handler("h", **lasting))

    async with anyio.create_task_group() as tasks:
        async with serving(server_of(tmp_path)) as http:
            url = http.base_url
            await http.post("/workflows/ask/run-nowait", json={"handler_id": "h"})
            if plain:
                tasks.start_soon(anyio.to_thread.run_sync, wait, url)
            else:
                tasks.start_soon(wait_async, url)
            await connected.wait()
            await WorkflowClient(base_url=str(url)).is_healthy()  # who came before that is being served
        await failed.wait()
        assert not results
        async with serving(server_of(tmp_path), url.port or 0) as http:
            answer = await http.post("/events/h", json={"event": {"type": "Yes", "value": {}}})
            assert answer.status_code == 200
            while not results:
                await http.get("/handlers/h", params={"wait": 20})
    assert results[0].status == "completed"

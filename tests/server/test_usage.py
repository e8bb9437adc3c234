"""A program's own mistakes get an exception that says what to do."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest

from tests_support.in_process import serving
from workflow_server import Workflow, WorkflowServer, step
from workflow_server.errors import ServerUsageError, WorkflowRuntimeError, WorkflowValidationError
from workflow_server.events import Event, StartEvent, StopEvent


class Plain(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result=1)


class Lost(Event):
    pass


class Disconnected(Workflow):
    @step
    async def go(self, ev: StartEvent) -> StopEvent:
        return StopEvent()

    @step
    async def never(self, ev: Lost) -> StopEvent:
        return StopEvent()


class Foreign:
    """Looks like a workflow of another engine."""


Foreign.__module__ = "workflows.workflow"


@pytest.mark.parametrize(
    ("name", "workflow", "sentence"),
    [
        ("x", Plain, "write Plain() instead of Plain"),
        ("x", Foreign(), "import Workflow and step from 'workflow_server' instead"),
        ("x", 3, "must be an instance of a subclass of Workflow"),
        ("", Plain(), "must not be empty"),
        ("a/b", Plain(), "'/'"),
        (".", Plain(), "must not be '.'"),
        ("x\n", Plain(), "control characters"),
        ("taken", Plain(), "'taken' already"),
    ],
)
def test_add_workflow_refuses(name: str, workflow: Any, sentence: str) -> None:
    """A class, another engine's workflow, a bad name and a taken one are refused where they are added."""
    server = WorkflowServer()
    server.add_workflow("taken", Plain())
    with pytest.raises(ServerUsageError) as caught:
        server.add_workflow(name, workflow)
    assert sentence in str(caught.value)


def test_add_workflow_validates() -> None:
    """A workflow that does not hold together is refused when it is added, not at its first run."""
    with pytest.raises(WorkflowValidationError):
        WorkflowServer().add_workflow("disconnected", Disconnected())


async def test_workflows_are_added_before_the_start() -> None:
    """A started server takes no more workflows, and says so."""
    server = WorkflowServer()
    async with server.running():
        with pytest.raises(ServerUsageError, match="before the start"):
            server.add_workflow("late", Plain())


async def test_started_twice() -> None:
    """Starting or serving a server that runs is refused; the running one goes on."""
    server = WorkflowServer()
    server.add_workflow("plain", Plain())
    async with serving(server) as client:
        with pytest.raises(ServerUsageError, match="already"):
            await server.serve(host="127.0.0.1", port=0)
        with pytest.raises(ServerUsageError, match="already"):
            await server.start()
        assert (await client.post("/workflows/plain/run", json={})).status_code == 200


async def test_port_in_use() -> None:
    """A port that somebody else has is named in one sentence, and the server can be served elsewhere then."""
    first, second = WorkflowServer(), WorkflowServer()
    async with serving(first) as client:
        port = client.base_url.port
        with pytest.raises(ServerUsageError, match=f"{port}"):
            await second.serve(host="127.0.0.1", port=port)
    async with serving(second) as client:
        assert (await client.get("/health")).status_code == 200


@pytest.mark.parametrize("value", ["eighty", "-1", "70000", ""])
async def test_port_in_the_environment(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A port in the environment that is none is refused by the variable's name."""
    monkeypatch.setenv("WORKFLOWS_PY_SERVER_PORT", value)
    with pytest.raises(ServerUsageError, match="WORKFLOWS_PY_SERVER_PORT"):
        await WorkflowServer().serve(host="127.0.0.1")


async def test_mounted_without_running() -> None:
    """An app whose server was not started answers 503 and tells its host what to enter."""
    server = WorkflowServer()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(server.app), base_url="http://server") as client:
        answer = await client.get("/workflows")
        assert answer.status_code == 503
        assert "server.running()" in answer.json()["detail"]


def test_run_outside_a_loop() -> None:
    """`Workflow.run()` without a running loop says how to have one."""
    with pytest.raises(WorkflowRuntimeError, match=r"asyncio\.run"):
        Plain().run()


async def test_two_servers_share_no_runs() -> None:
    """Two servers in one loop, each with its store, keep their handlers apart."""
    one, two = WorkflowServer(), WorkflowServer()
    one.add_workflow("plain", Plain())
    two.add_workflow("plain", Plain())
    async with one.running(), two.running():
        transports = [httpx.ASGITransport(server.app) for server in (one, two)]
        async with (
            httpx.AsyncClient(transport=transports[0], base_url="http://one") as first,
            httpx.AsyncClient(transport=transports[1], base_url="http://two") as second,
        ):
            await first.post("/workflows/plain/run", json={"handler_id": "x"})
            assert (await second.get("/handlers/x")).status_code == 404


def test_a_server_serves_one_loop_after_another() -> None:
    """A server that has stopped can be served again, on a loop of the other kind too."""
    server = WorkflowServer()
    server.add_workflow("plain", Plain())

    async def once() -> None:
        async with serving(server) as client:
            assert (await client.post("/workflows/plain/run", json={})).status_code == 200

    for backend in ("asyncio", "trio", "asyncio"):
        anyio.run(once, backend=backend)

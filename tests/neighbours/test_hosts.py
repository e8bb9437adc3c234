"""Inside the programs people have: mounted under uvicorn and hypercorn, embedded in a program on each loop."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest

from tests_support.served import CHECKOUT, checkout_environ, free_port, process, until
from workflow_server.client import WorkflowClient

pytestmark = pytest.mark.neighbours

EXAMPLES = CHECKOUT / "examples"
HOSTS = {
    "uvicorn": ("uvicorn", "{app}:app", "--port", "{port}"),
    "hypercorn": ("hypercorn", "{app}:app", "--bind", "127.0.0.1:{port}", "-k", "asyncio"),
    "hypercorn on trio": ("hypercorn", "{app}:app", "--bind", "127.0.0.1:{port}", "-k", "trio"),
}


def check(url: str) -> None:
    """Ask for a run, its events and its end, as a client does."""
    client = WorkflowClient.sync(base_url=url)
    started = client.run_workflow_nowait("greet", start_event={"name": "Ada"})
    with client.events(started.handler_id) as events:
        assert [event.value for event in events] == [{"result": "Hello, Ada!"}]
    assert client.wait_for_handler(started.handler_id, timeout=20, result_type=str).output == "Hello, Ada!"
    with pytest.raises(httpx.HTTPStatusError, match="Handler not found"):
        client.get_handler("nobody")


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("app", ["mount_in_starlette", "mount_in_fastapi"])
def test_mounted_in_an_application(tmp_path: Path, host: str, app: str) -> None:
    port = free_port()
    module, *words = (word.format(app=app, port=port) for word in HOSTS[host])
    env = checkout_environ()
    env["PYTHONPATH"] += f":{EXAMPLES}"
    with process([sys.executable, "-m", module, *words], cwd=tmp_path, env=env) as server:
        server.url = f"http://127.0.0.1:{port}"
        until(lambda: server.reached("/flows/health"))
        check(f"{server.url}/flows/")
    assert server.process.returncode in (0, 130), server.lines


@pytest.mark.parametrize("program", ["embed_in_asyncio", "embed_in_anyio", "embed_in_trio"])
def test_embedded_in_a_program(tmp_path: Path, program: str) -> None:
    port = free_port()
    env = checkout_environ(WORKFLOWS_PY_SERVER_HOST="127.0.0.1", WORKFLOWS_PY_SERVER_PORT=str(port))
    with process([sys.executable, str(EXAMPLES / f"{program}.py")], cwd=tmp_path, env=env) as server:
        server.url = f"http://127.0.0.1:{port}"
        until(lambda: server.reached("/health"))
        check(server.url)
        until(lambda: any(line.startswith("Hello, ") for line in server.lines))
    assert server.process.returncode == 0, server.lines

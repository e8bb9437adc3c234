"""A server in a process of its own leaves on Ctrl+C, whatever its steps do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests_support.served import serving

PROGRAM = '''
import threading

import anyio
from workflows import Workflow, step
from workflows.events import Event, StartEvent, StopEvent
from llama_agents.server import WorkflowServer


class Begun(Event):
    pass


class Clings(Workflow):
    """Swallows its cancellation for ever."""

    @step
    async def cling(self, ev: StartEvent) -> StopEvent:
        while True:
            try:
                await anyio.sleep(3600)
            except anyio.get_cancelled_exc_class():
                pass


class Blocks(Workflow):
    """Blocks its thread for ever."""

    @step
    def block(self, ev: StartEvent) -> StopEvent:
        threading.Event().wait()


class Sleeps(Workflow):
    @step
    async def sleep(self, ev: StartEvent) -> StopEvent:
        await anyio.sleep(3600)


class Exits(Workflow):
    @step
    async def leave(self, ev: StartEvent) -> StopEvent:
        raise SystemExit(3)


server = WorkflowServer(shutdown_grace=0.1)
for name, workflow in (("clings", Clings), ("blocks", Blocks), ("sleeps", Sleeps), ("exits", Exits)):
    server.add_workflow(name, workflow(timeout=None))
'''


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("name", ["clings", "blocks", "sleeps"])
def test_ctrl_c_leaves_although_a_step_does_not(tmp_path: Path, name: str, backend: str) -> None:
    """A step that swallows cancellation, a thread that blocks, a step that sleeps: the process ends with status 0."""
    program = tmp_path / "my_server.py"
    program.write_text(PROGRAM)
    with serving(program, "--backend", backend, cwd=tmp_path) as served:
        handler = served.ask("POST", f"/workflows/{name}/run-nowait", {}).json
        served.seen(handler["handler_id"], "StepStateChanged")
    said = "".join(served.lines)
    assert "Traceback" not in said
    assert ("leaving behind: cling" in said) == (name == "clings")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_sys_exit_in_a_step_ends_its_run_only(tmp_path: Path, backend: str) -> None:
    """`sys.exit()` in a step fails the run; the server and its other runs go on."""
    program = tmp_path / "my_server.py"
    program.write_text(PROGRAM)
    with serving(program, "--backend", backend, cwd=tmp_path) as served:
        answer = served.ask("POST", "/workflows/exits/run", {})
        assert answer.status == 500
        assert "SystemExit(3)" in answer.json["error"]
        assert served.ask("GET", "/health").status == 200

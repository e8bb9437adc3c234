"""The wheel alone in a new environment: how much comes with it, how fast it imports, that it serves and leaves."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from tests_support.environments import Environment, clean_environ
from tests_support.served import process, start_up_url, until

pytestmark = pytest.mark.packaging

IMPORT_SECONDS = 0.3

SERVER_IMPORTS = "import workflow_server, workflows, workflows.events, llama_agents.server; workflows.Workflow"


@pytest.fixture(scope="module")
def alone(new_environment: Callable[[], Environment]) -> Environment:
    """An environment with our wheel and what it needs; nobody changes it."""
    environment = new_environment()
    environment.install("workflow-server")
    return environment


def seconds_beside_pydantic(environment: Environment, imports: str, *, runs: int = 7) -> float:
    """Return the median processor time of `imports` in fresh interpreters where pydantic is imported already.

    Processor time, because a busy neighbour must not fail the test; a model is defined first, because
    pydantic imports most of itself only then.
    """
    program = (
        "import time, pydantic\n"
        "class Model(pydantic.BaseModel):\n    field: int\n"
        "before = time.process_time()\n"
        f"{imports}\n"
        "print(time.process_time() - before)"
    )
    environment.run("-c", program)  # compiles what is not compiled yet
    return statistics.median(float(environment.run("-c", program)) for _ in range(runs))


def test_three_direct_dependencies_and_nine_distributions_at_most(alone: Environment) -> None:
    program = (
        "import json\nfrom importlib.metadata import distributions, requires\n"
        "direct = [r for r in requires('workflow-server') if 'extra ==' not in r]\n"
        "print(json.dumps([direct, sorted({d.name for d in distributions()})]))"
    )
    direct, installed = json.loads(alone.run("-c", program))
    assert {re.split(r"[<>=!~ ]", requirement)[0] for requirement in direct} == {"h11", "anyio", "pydantic"}
    assert len(direct) == 3
    assert len(installed) <= 9, installed


@pytest.mark.parametrize("imports", ["import workflow_server", SERVER_IMPORTS])
def test_importing_takes_less_than_300_ms_beside_pydantic(alone: Environment, imports: str) -> None:
    assert seconds_beside_pydantic(alone, imports) < IMPORT_SECONDS


def test_a_slow_import_would_be_noticed(alone: Environment) -> None:
    busy = "end = time.process_time() + 0.31\nwhile time.process_time() < end: pass"
    assert seconds_beside_pydantic(alone, busy, runs=1) > IMPORT_SECONDS


def test_importing_the_names_of_workflows_loads_no_server(alone: Environment) -> None:
    loaded = set(alone.run("-c", "import sys, workflows.events; print(*sys.modules)").split())
    server = ("h11", "argparse", "workflow_server.server", "workflow_server.transports", "workflow_server.api")
    assert loaded.isdisjoint(server)


@pytest.mark.parametrize(
    "command", [("python", "-m", "workflows.server"), ("python", "-m", "llama_agents.server"), ("workflow-server",)]
)
def test_a_command_serves_the_guides_first_program(alone: Environment, command: tuple[str, ...]) -> None:
    """Each of the three commands prints the URL, answers a run, and ends cleanly at Ctrl+C."""
    program = str(Path("programs", "my_server.py"))
    arguments = [str(alone.script(command[0])), *command[1:], program, "--host", "127.0.0.1", "--port", "0"]
    with process(arguments, cwd=alone.path.parent, env={**clean_environ(), "PYTHONUNBUFFERED": "1"}) as server:
        server.url = until(lambda: start_up_url(server))
        answer = server.ask("POST", "/workflows/greet/run", {"start_event": {"name": "Ada"}})
        assert answer.json["result"]["value"] == {"result": "Hello, Ada!"}
        assert server.ask("GET", "/").status == 200, "the page is not in the wheel"
    assert server.process.returncode == 0, server.lines
    assert "Traceback" not in "".join(server.lines)


def test_uninstalled_again_nothing_is_left(new_environment: Callable[[], Environment]) -> None:
    environment = new_environment()
    before = environment.files()
    environment.install("--no-deps", "workflow-server")
    assert environment.files() != before
    environment.uninstall("workflow-server")
    assert environment.files() == before

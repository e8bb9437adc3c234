"""Every snippet of the README does what the README says.

Python snippets are programs and run as they are, with another port. Shell commands run adapted: what would install
is replaced by the checkout, ports are picked by the system, and requests are sent without curl. A snippet that
no test here knows is a failure.
"""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests_support.pages import blocks_of, programs_of
from tests_support.served import CHECKOUT, Served, checkout_environ, process, serving, start_up_url, until

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
BLOCKS = blocks_of("README.md")
PYTHON = programs_of("README.md")
SHELL = [line for language, text in BLOCKS if language == "bash" for line in text.splitlines()]

FIRST, SECOND, SERVE, *CURLS = SHELL


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the README's programs; servers listen where the system likes."""
    for name, text in PYTHON.items():
        (tmp_path / name).write_text(text.replace("port=8080", "port=0"))
    return tmp_path


def test_every_snippet_is_known_here() -> None:
    assert {language for language, _ in BLOCKS} == {"python", "bash"}
    assert set(PYTHON) == {"my_server.py", "serve.py", "in_process.py", "durable.py"}
    assert all(command.startswith("curl ") for command in CURLS)
    assert len(CURLS) == 5


def test_the_first_command_serves_the_quick_start_with_its_page(tmp_path: Path) -> None:
    install, serve = FIRST.split(" && ")
    assert install == "python -m pip install -e ."
    python, *arguments = shlex.split(serve)
    assert python == "python"
    command = [sys.executable, *arguments[:-1], str(CHECKOUT / arguments[-1]), "--port", "0"]
    with process(command, cwd=tmp_path, env=checkout_environ()) as server:
        server.url = until(lambda: start_up_url(server))
        assert server.ask("POST", "/workflows/greet/run", {}).json["result"]["value"] == {"result": "Hello, World!"}
        page = server.ask("GET", "/")
        assert page.status == 200
        assert "<html" in page.text.lower()
    assert server.process.returncode == 0, server.lines


def test_the_second_command_runs_the_tests_and_build_machines_run_it() -> None:
    assert SECOND == "python -m pip install nox && nox"
    assert f"{{ {SECOND} && nox -s trials; }}" in (CHECKOUT / ".ci" / "run").read_text(encoding="utf-8")
    pytest.importorskip("nox", reason="nox is not installed here")
    listed = subprocess.run(
        [sys.executable, "-m", "nox", "--list"], cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    selected = re.findall(r"^\* ([\w.-]+)", listed, re.MULTILINE)
    assert {"tests-3.11", "tests-3.12", "tests-3.13"} <= set(selected)
    assert all(session.startswith("tests-") for session in selected)


def test_the_command_line_serves_the_program_and_the_curl_commands_work(programs: Path) -> None:
    command, program = shlex.split(SERVE)
    assert command == "workflow-server"
    with serving(programs / program, cwd=programs) as server:
        answers = [curl(command, server) for command in CURLS]
    listed, run, started, streamed, handler = answers
    assert json.loads(listed) == {"workflows": ["greet"]}
    assert json.loads(run)["result"]["value"] == {"result": "Hello, Ada!"}
    assert json.loads(started)["handler_id"] == "ada"
    assert '"result":"Hello, Ada!"' in streamed.replace(" ", "").replace("Hello,Ada!", "Hello, Ada!")
    assert json.loads(handler)["status"] == "completed"


def curl(command: str, server: Served) -> str:
    """Do what a `curl` command does, against `server`, and return the body of an answer below 400."""
    _, *words = shlex.split(command.replace("http://127.0.0.1:8080", server.url))
    (url,) = (word for word in words if word.startswith("http"))
    data = words[words.index("-d") + 1].encode() if "-d" in words else None
    # Like curl, this says "application/x-www-form-urlencoded" of what it posts.
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=20) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_serving_program_serves_and_returns_after_ctrl_c(programs: Path, backend: str) -> None:
    text = (programs / "serve.py").read_text()
    assert 'backend="asyncio")  # or "trio"' in text
    (programs / "serve.py").write_text(text.replace('"asyncio")', f'"{backend}")'))
    with process([sys.executable, "serve.py"], cwd=programs, env=checkout_environ()) as server:
        server.url = until(lambda: start_up_url(server))
        assert server.ask("GET", "/health").status == 200
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=20) == 0, server.lines


def test_the_store_keeps_handlers_over_a_restart(programs: Path) -> None:
    program = programs / "with_store.py"
    served = 'from my_server import GreetingWorkflow\n\nserver.add_workflow("greet", GreetingWorkflow())\n'
    program.write_text((programs / "durable.py").read_text() + served)
    with serving(program, cwd=programs) as server:
        first = server.ask("POST", "/workflows/greet/run", {"handler_id": "kept"}).json
    with serving(program, cwd=programs) as server:
        assert server.ask("GET", "/handlers/kept").json == first
    assert (programs / "runs.db").exists()


def test_the_program_without_a_server_prints_the_result(programs: Path) -> None:
    assert "It prints `Hello, Ada!`" in README
    done = subprocess.run(
        [sys.executable, "in_process.py"],
        cwd=programs,
        env=checkout_environ(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("Hello, Ada!\n", "")


def test_links_to_files_lead_somewhere() -> None:
    assert all((CHECKOUT / link).exists() for link in re.findall(r"\]\((?!http)([^)]+)\)", README))

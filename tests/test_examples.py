"""Every example runs as it is: by itself, and served."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests_support.served import CHECKOUT, Served, checkout_environ, free_port, process, serving, until

EXAMPLES = CHECKOUT / "examples"


def run(name: str, tmp_path: Path, *, typed: str = "") -> str:
    """Run an example as `python examples/NAME`, in an empty folder, and return what it prints."""
    command = [sys.executable, str(EXAMPLES / name)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=checkout_environ(),
        input=typed,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_progress_in_process(tmp_path: Path) -> None:
    assert run("progress.py", tmp_path).splitlines() == [
        "1/3: 2 words so far",
        "2/3: 6 words so far",
        "3/3: 10 words so far",
        "10 words",
    ]


@pytest.mark.parametrize(("typed", "outcome"), [("y\n", "ordered"), ("n\n", "left alone")])
def test_person_in_the_loop_in_process(tmp_path: Path, typed: str, outcome: str) -> None:
    said = run("person_in_the_loop.py", tmp_path, typed=typed)
    assert said == f"Shall we order a bicycle? [y/n] {outcome}\n"


def test_parallel_in_process(tmp_path: Path) -> None:
    names = ", ".join(f"page-{number}.png" for number in range(1, 7))
    assert re.fullmatch(rf"{names} in \d\.\d s instead of 0\.6 s\n", run("parallel.py", tmp_path))


def test_fan_out_in_process(tmp_path: Path) -> None:
    assert run("fan_out.py", tmp_path) == "{'headline': 'It was late', 'words': {1: 7, 2: 5}}\n"


def test_quick_start_served(tmp_path: Path, backend: str) -> None:
    with serving(EXAMPLES / "quickstart.py", "--backend", backend, cwd=tmp_path) as server:
        assert server.ask("GET", "/workflows").json == {"workflows": ["greet"]}
        answer = server.ask("POST", "/workflows/greet/run", {"start_event": {"name": "Ada"}})
        assert (answer.status, answer.json["result"]["value"]) == (200, {"result": "Hello, Ada!"})
        assert server.ask("POST", "/workflows/greet/run", {}).json["result"]["value"] == {"result": "Hello, World!"}


def test_progress_served(tmp_path: Path, backend: str) -> None:
    with serving(EXAMPLES / "progress.py", "--backend", backend, cwd=tmp_path) as server:
        body = {"start_event": {"texts": ["a b", "c"]}}
        handler_id = server.ask("POST", "/workflows/count/run-nowait", body).json["handler_id"]
        assert [(event["type"], event["value"]) for event in server.events(handler_id)] == [
            ("Counted", {"done": 1, "total": 2, "words": 2}),
            ("Counted", {"done": 2, "total": 2, "words": 3}),
            ("WordCount", {"words": 3}),
        ]


def test_person_in_the_loop_served(tmp_path: Path, backend: str) -> None:
    with serving(EXAMPLES / "person_in_the_loop.py", "--backend", backend, cwd=tmp_path) as server:
        started = server.ask("POST", "/workflows/order/run-nowait", {"start_event": {"item": "bicycle"}}).json
        handler_id = started["handler_id"]
        answer = {"event": {"type": "Approval", "value": {"approved": True}}}
        assert server.ask("POST", f"/events/{handler_id}", answer).json == {"status": "sent"}
        assert server.finished(handler_id)["result"]["value"] == {"result": "ordered"}
        question = server.events(handler_id)[0]
        assert (question["type"], question["value"]) == ("ApprovalNeeded", {"question": "Shall we order a bicycle?"})


def test_parallel_served(tmp_path: Path, backend: str) -> None:
    with serving(EXAMPLES / "parallel.py", "--backend", backend, cwd=tmp_path) as server:
        answer = server.ask("POST", "/workflows/thumbnails/run", {"start_event": {"pages": 4}})
        assert answer.json["result"]["value"] == {"result": [f"page-{number}.png" for number in range(1, 5)]}


def test_fan_out_served(tmp_path: Path, backend: str) -> None:
    with serving(EXAMPLES / "fan_out.py", "--backend", backend, cwd=tmp_path) as server:
        answer = server.ask("POST", "/workflows/report/run", {"start_event": {"chapters": ["one two. three", "four"]}})
        assert answer.json["result"]["value"] == {"result": {"headline": "one two", "words": {"1": 3, "2": 1}}}


@pytest.fixture
def trio_program(tmp_path: Path) -> Iterator[Served]:
    port = free_port()
    env = checkout_environ(WORKFLOWS_PY_SERVER_HOST="127.0.0.1", WORKFLOWS_PY_SERVER_PORT=str(port))
    with process([sys.executable, str(EXAMPLES / "embed_in_trio.py")], cwd=tmp_path, env=env) as server:
        server.url = f"http://127.0.0.1:{port}"
        yield server
    assert server.process.returncode == 0, "".join(server.lines)


def test_embedding_in_a_trio_program(trio_program: Served) -> None:
    until(lambda: trio_program.reached("/health"))
    answer = trio_program.ask("POST", "/workflows/greet/run", {"start_event": {"name": "Ada"}})
    assert answer.json["result"]["value"] == {"result": "Hello, Ada!"}
    until(lambda: "Hello, nursery!\n" in trio_program.lines)


def test_mounting_in_starlette(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "mount_in_starlette:app", "--app-dir", str(EXAMPLES)]
    with process([*command, "--port", str(port)], cwd=tmp_path, env=checkout_environ()) as server:
        server.url = f"http://127.0.0.1:{port}"
        assert until(lambda: server.reached("/")).text == "The workflows are under /flows."
        answer = server.ask("POST", "/flows/workflows/greet/run", {"start_event": {"name": "Ada"}})
        assert answer.json["result"]["value"] == {"result": "Hello, Ada!"}
        assert server.ask("GET", "/flows/workflows").json == {"workflows": ["greet"]}


def test_the_readme_shows_the_quick_start() -> None:
    readme = (CHECKOUT / "README.md").read_text()
    block = readme.partition("```python\n# my_server.py\n")[2].partition("```")[0]
    assert f"# my_server.py\n{block}" == (EXAMPLES / "quickstart.py").read_text()

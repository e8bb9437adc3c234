"""Every program of docs/embedding.md does what the page says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from neighbours.test_hosts import check

from tests_support.pages import programs_of
from tests_support.served import checkout_environ, free_port, process, start_up_url, until

pytestmark = pytest.mark.neighbours

PROGRAMS = programs_of("docs/embedding.md")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert set(PROGRAMS) == {"greeting.py", "as_a_task.py", "mounted.py"}
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_as_a_task(folder: Path, loop: str) -> None:
    text = PROGRAMS["as_a_task.py"]
    assert 'backend="asyncio")  # or "trio"' in text
    program = text.replace("port=8080", "port=0").replace('backend="asyncio"', f"backend={loop!r}")
    with process([sys.executable, "-c", program], cwd=folder, env=checkout_environ()) as server:
        server.url = until(lambda: start_up_url(server))
        check(server.url)
        until(lambda: "Hello, program!\n" in server.lines)
    assert server.process.returncode == 0, server.lines


@pytest.mark.parametrize("host", ["uvicorn", "hypercorn"])
def test_mounted(folder: Path, host: str) -> None:
    port = free_port()
    where = ("--port", str(port)) if host == "uvicorn" else ("--bind", f"127.0.0.1:{port}")
    with process([sys.executable, "-m", host, "mounted:app", *where], cwd=folder, env=checkout_environ()) as server:
        server.url = f"http://127.0.0.1:{port}"
        until(lambda: server.reached("/flows/health"))
        check(f"{server.url}/flows/")

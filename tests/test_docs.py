"""Every program of the documentation does what its page says."""

from __future__ import annotations

import runpy
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests_support.pages import PAGES, blocks_of, programs_of
from tests_support.served import checkout_environ, serving

GUIDE = programs_of("docs/workflows.md")
VIRTUAL = "workflow_server.testing.virtual_time"


def test_every_page_and_program_is_known_here() -> None:
    assert {language for page in PAGES for language, _ in blocks_of(page)} == {"python"}
    assert {page.removeprefix("docs/"): set(programs_of(page)) for page in PAGES} == {
        "client.md": {"shop.py", "order.py", "failing.py", "script.py"},
        "debugger.md": {"pages.py"},
        "durability.md": {"durable_server.py"},
        "embedding.md": {"greeting.py", "as_a_task.py", "mounted.py"},
        "listing.md": set(),
        "observing.md": {"observing.py", "tracing.py"},
        "snapshots.md": {"put_away.py"},
        "workflows.md": set(GUIDE),
    }


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_durable_server_goes_on(tmp_path: Path, how: signal.Signals) -> None:
    """A run that is interrupted in the middle ends with every item once, in its result and on its stream."""
    names = [f"item {number}" for number in range(200)]
    program = tmp_path / "durable_server.py"
    program.write_text(programs_of("docs/durability.md")["durable_server.py"])
    # `serving` complains of a server that did not end by itself.
    complains = pytest.raises(AssertionError) if how is signal.SIGKILL else nullcontext()
    with complains, serving(program, cwd=tmp_path) as server:
        started = server.ask(
            "POST", "/workflows/batch/run-nowait", {"handler_id": "h", "start_event": {"names": names}}
        )
        assert started.status == 200
        server.seen("h", "Item")
        server.process.send_signal(how)
        server.process.wait(timeout=20)
    with serving(program, cwd=tmp_path) as server:
        assert server.finished("h")["result"]["value"]["result"] == names
        told = [event["value"]["name"] for event in server.events("h") if event["type"] == "Item"]
        assert told == names


def printed(page: str, program: str, folder: Path, *arguments: str) -> list[str]:
    """Run a program of a page and return the lines that it prints."""
    path = folder / program
    path.write_text(programs_of(f"docs/{page}")[program])
    command = [sys.executable, str(path), *arguments]
    done = subprocess.run(
        command, cwd=folder, env=checkout_environ(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_run_is_observed(tmp_path: Path) -> None:
    told = ["step greet returned", "run Greeting completed", "Hello, Ada!"]
    assert printed("observing.md", "observing.py", tmp_path) == told


def test_a_run_is_traced(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk")
    lines = printed("observing.md", "tracing.py", tmp_path)
    names = [line.strip() for line in lines if line.startswith('    "name"')]
    assert names == ['"name": "step greet",', '"name": "run greeting",']


def test_a_question_is_put_away(tmp_path: Path) -> None:
    assert printed("snapshots.md", "put_away.py", tmp_path) == ["What is your name?"]
    assert printed("snapshots.md", "put_away.py", tmp_path, "Ada") == ["Hello, Ada!"]


def test_pages_are_left_out_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_page").mkdir()
    (tmp_path / "my_page" / "index.html").write_text("<p>mine")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(programs_of("docs/debugger.md")["pages.py"], names)
    assert {"without_a_page", "with_another"} <= names.keys()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("name", GUIDE)
def test_the_programs_of_the_guide_print_what_they_say(
    name: str, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if backend == "trio":
        pytest.importorskip("trio")
    # No second passes, so that whoever sleeps less is first however busy this machine is.
    virtual = f'run_in_virtual_time(main, backend="{backend}")'
    text = GUIDE[name].replace("anyio.run(main)", f"from {VIRTUAL} import run_in_virtual_time\n\n{virtual}")
    text = text.replace('run_in_virtual_time(main, backend="asyncio")', virtual)
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(text)
    runpy.run_path(name, run_name="__main__")
    promised = [line.removeprefix("# -> ") for line in text.splitlines() if line.startswith("# -> ")]
    assert promised
    assert capsys.readouterr().out.splitlines() == promised

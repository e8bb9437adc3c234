"""`workflow-server run URL …` and its like, as a person types them, against a real server.

They run in the tests' own process, which spares each a new interpreter; one is typed into a shell's stead.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from tests_support.served import CHECKOUT, Served, checkout_environ, serving
from workflow_server import cli

OFFICE = CHECKOUT / "tests" / "interop" / "programs"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with serving(OFFICE / "office.py", cwd=OFFICE) as server:
        yield server


def typed(server: Served | str, command: str, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    """Type a command; return its exit status and what it says on stdout and on stderr."""
    url = server if isinstance(server, str) else server.url.removeprefix("http://")
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        try:
            status = cli.main([command, url, *arguments])
        except SystemExit as error:
            status = int(error.code or 0)
    return status, out.getvalue(), err.getvalue()


def test_a_run_is_followed_to_its_result(server: Served) -> None:
    status, said, wrong = typed(
        server, "run", "ship", "--input", '{"item": "lamp", "pieces": 2}', "--follow", "--handler-id", "followed"
    )
    assert (status, wrong) == (0, "")
    lines = [line.split(maxsplit=2) for line in said.splitlines()]
    assert [line[1:] for line in lines[:3]] == [
        ["Packed", '{"piece": 0}'], ["Packed", '{"piece": 1}'], ["Shipped", '{"item": "lamp", "pieces": 2}'],
    ]  # fmt: skip
    assert [line[0] for line in lines[3:]] == ["handler", "workflow", "status", "started", "result"]
    assert lines[5] == ["status", "completed"]
    status, said, _ = typed(server, "show", "followed")
    assert status == 0
    assert said.splitlines()[-1].split(maxsplit=1) == ["result", '{"item": "lamp", "pieces": 2}']


def test_json_for_programs(server: Served) -> None:
    status, said, _ = typed(server, "run", "greet", "--input", "-", "--json", stdin='{"name": "Ada"}')
    handler = json.loads(said)
    assert (status, handler["result"]["value"]) == (0, {"result": "Hello, Ada!"})
    _, said, _ = typed(server, "list", "--workflow", "greet", "--json", "--limit", "1")
    assert json.loads(said)["handlers"][0]["handler_id"] == handler["handler_id"]
    _, said, _ = typed(server, "events", handler["handler_id"], "--json", "--internal")
    assert [json.loads(line)["type"] for line in said.splitlines()] == ["StepStateChanged"] * 2 + ["StopEvent"]


def test_in_a_process_of_its_own(server: Served) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "workflow_server", "run", server.url, "fail", "--input", "-"],
        env=checkout_environ(),
        input="{}",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "error        the printer is on fire" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("workflow", "status", "line"),
    [("fail", 1, "error        the printer is on fire"), ("late", 1, "error        Workflow timed out after 0.1s")],
)
def test_a_failure_is_told_by_the_exit_status(server: Served, workflow: str, status: int, line: str) -> None:
    code, said, _ = typed(server, "run", workflow)
    assert code == status
    assert line in said.splitlines()


def test_a_question_is_shown_and_answered(server: Served, tmp_path: Path) -> None:
    status, said, _ = typed(server, "run", "wait", "--no-wait", "--handler-id", "asks", "--key", "k")
    assert (status, said.splitlines()[0].split()) == (0, ["handler", "asks"])
    server.seen("asks", "ApprovalNeeded")
    status, said, _ = typed(server, "events", "asks")
    sequence = said.split()[0]
    assert (status, said.split(maxsplit=1)[1]) == (0, 'ApprovalNeeded  {"question": "Go on?"}\n')
    status, said, _ = typed(server, "show", "asks")
    assert status == 4, "it is still running"
    words = said.splitlines()[-1].split()
    assert words[:6] == ["waits", "for", "Approval", "in", "wait", "as"]
    (tmp_path / "yes.json").write_text('{"approved": true}')
    answer = ("asks", "Approval", "--value", f"@{tmp_path / 'yes.json'}", "--waiter-id", words[6].rstrip(":"))
    assert typed(server, "send", *answer) == (0, "sent\n", "")
    assert typed(server, "show", "asks", "--wait")[0] == 0
    status, said, _ = typed(server, "events", "asks", "--follow", "--after", sequence)
    assert (status, said.split()[1:]) == (0, ["StopEvent", "true"])


def test_a_run_is_cancelled_and_listed_and_removed(server: Served) -> None:
    typed(server, "run", "endless", "--no-wait", "--handler-id", "stops")
    assert typed(server, "cancel", "stops") == (0, "cancelled\n", "")
    assert typed(server, "show", "stops")[0] == 3
    status, said, wrong = typed(server, "list", "--status", "cancelled")
    head, row = said.splitlines()
    assert (status, wrong) == (0, "")
    assert head.split() == ["HANDLER", "WORKFLOW", "STATUS", "STARTED", "TOOK"]
    assert row.split()[:3] == ["stops", "endless", "cancelled"]
    assert typed(server, "cancel", "stops", "--purge") == (0, "deleted\n", "")
    assert typed(server, "show", "stops") == (5, "", "workflow-server: Handler not found\n")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("run", "nothing"), "workflow-server: Workflow not found\n"),
        (("events", "nobody"), "workflow-server: Handler not found\n"),
        (("send", "nobody", "Approval"), "workflow-server: Handler not found\n"),
    ],
)
def test_what_the_server_refuses(server: Served, command: Any, said: str) -> None:
    assert typed(server, *command) == (5, "", said)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", [("list",), ("events", "many")])
def test_who_has_read_enough_is_no_server_out_of_reach(
    server: Served, command: tuple[str, ...], unbuffered: str
) -> None:
    name, *arguments = command
    typed(server, "run", "ship", "--input", '{"item": "lamp", "pieces": 300}', "--handler-id", "many")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "workflow_server", name, server.url, *arguments],
            cwd=OFFICE,
            env=checkout_environ(PYTHONUNBUFFERED=unbuffered),
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, "")


def test_nobody_is_there() -> None:
    status, said, wrong = typed("127.0.0.1:1", "list")
    assert (status, said) == (5, "")
    assert wrong.startswith("workflow-server: http://127.0.0.1:1 can't be reached: ")


@pytest.mark.parametrize("wrong", [("--input", "{"), ("--input", "[1]"), ("--input", "@nowhere.json"), ("--colour",)])
def test_wrong_usage(wrong: tuple[str, ...]) -> None:
    status, _, said = typed("127.0.0.1:1", "run", "greet", *wrong)
    assert status == 2
    assert "usage: workflow-server" in said


def test_a_file_called_like_a_command_is_served(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("raise SystemExit('a file')\n")
    done = subprocess.run(
        [sys.executable, "-m", "workflow_server", "run"],
        cwd=tmp_path,
        env=checkout_environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "a file\n")

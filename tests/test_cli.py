"""The command line: what it serves, what it says, and how it leaves."""

from __future__ import annotations

import builtins
import json
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests_support.served import checkout_environ, process, serving, start_up_url, until
from workflow_server import cli
from workflow_server.errors import ServerUsageError
from workflow_server.server import WorkflowServer

PROGRAM = """
from workflow_server import Workflow, WorkflowServer, step
from workflow_server.events import StartEvent, StopEvent


class Out(StopEvent):
    text: str


class Greet(Workflow):
    @step
    async def greet(self, ev: StartEvent) -> Out:
        return Out(text=f"Hello, {ev.get('name', 'World')}!")


server = WorkflowServer()
server.add_workflow("greet", Greet())

if __name__ == "__main__":
    raise RuntimeError("not to be run by the command line")
"""
TWO = """
from workflow_server.server import WorkflowServer
first = WorkflowServer()
second = WorkflowServer()
other = 1
"""


class Calls(list[dict[str, Any]]):
    """How `serve` was called."""

    fails: BaseException | None = None
    urls: tuple[str, ...] = ("http://127.0.0.1:8080",)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Calls]:
    """Serve nothing, in a process whose path, modules and limits stay as they are."""
    made = Calls()

    async def serve(self: WorkflowServer, **arguments: Any) -> None:
        made.append({"server": self, **arguments})
        if made.fails is not None:
            raise made.fails
        arguments["on_listening"](made.urls)

    monkeypatch.setattr(WorkflowServer, "serve", serve)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", ["workflow-server"])
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    modules, interval = dict(sys.modules), sys.getswitchinterval()
    yield made
    sys.setswitchinterval(interval)
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]


def write(folder: Path, text: str, name: str = "my_server.py") -> str:
    (folder / name).write_text(text)
    return name


# ------------------------------------------------------------------------------------------------------- what it does


def test_it_serves_where_it_is_told(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([write(tmp_path, PROGRAM), "--host", "127.0.0.1", "--port", "8181"]) == 0
    assert [calls[0][name] for name in ("host", "port", "uds")] == ["127.0.0.1", 8181, None]
    assert calls[0]["server"].get_workflows().keys() == {"greet"}
    out, err = capsys.readouterr()
    assert out == "Serving my_server.py at http://127.0.0.1:8080 (Ctrl+C stops)\nStopped.\n"
    assert err == ""


def test_threads_take_turns_quickly_in_a_process_of_its_own(calls: Calls, tmp_path: Path) -> None:
    usual = sys.getswitchinterval()
    assert cli.main([write(tmp_path, PROGRAM)]) == 0
    assert sys.getswitchinterval() == pytest.approx(0.0001) != usual


def test_places_it_is_not_told_are_the_servers_to_choose(calls: Calls, tmp_path: Path) -> None:
    assert cli.main([write(tmp_path, PROGRAM)]) == 0
    assert [calls[0][name] for name in ("host", "port", "uds")] == [None, None, None]


def test_a_unix_socket_will_do(calls: Calls, tmp_path: Path) -> None:
    assert cli.main([write(tmp_path, PROGRAM), "--uds", "a.sock"]) == 0
    assert [calls[0][name] for name in ("host", "port", "uds")] == [None, None, "a.sock"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_both_loops_will_do(backend: str, calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sniffio

    loops: list[str] = []

    async def serve(self: WorkflowServer, **arguments: Any) -> None:
        loops.append(sniffio.current_async_library())

    monkeypatch.setattr(WorkflowServer, "serve", serve)
    assert cli.main([write(tmp_path, PROGRAM), "--backend", backend]) == 0
    assert loops == [backend]


@pytest.mark.parametrize(("name", "index"), [("", 0), (":first", 0), (":second", 1)])
def test_of_several_servers_the_first_or_the_named_one_is_served(
    name: str, index: int, calls: Calls, tmp_path: Path
) -> None:
    file = write(tmp_path, TWO)
    assert cli.main([file + name]) == 0
    module = sys.modules["my_server"]
    assert calls[0]["server"] is [module.first, module.second][index]


def test_the_file_is_found_wherever_it_is_and_finds_its_neighbours(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "else:where"
    elsewhere.mkdir()
    write(elsewhere, "VALUE = 42\n", "neighbour_of_it.py")
    file = elsewhere / write(elsewhere, f"{TWO}import sys, neighbour_of_it\nseen = (sys.argv, __file__)\n", "it.py")
    assert cli.main([str(file)]) == 0
    module = sys.modules["it"]
    assert module.neighbour_of_it.VALUE == 42
    assert module.seen == ([str(file)], str(file))
    assert sys.path[0] == str(elsewhere)
    assert cli.main([f"{file}:second"]) == 0
    assert sys.path.count(str(elsewhere)) == 1


def test_classes_of_the_file_can_be_imported_by_their_module(calls: Calls, tmp_path: Path) -> None:
    assert cli.main([write(tmp_path, PROGRAM, "my-server.py")]) == 0
    module = sys.modules["my-server"]
    assert module.Out.__module__ == "my-server"
    assert __import__(module.Out.__module__) is module


def test_a_file_called_like_a_module_that_is_in_use_does_not_take_its_name(calls: Calls, tmp_path: Path) -> None:
    assert cli.main([write(tmp_path, PROGRAM, "json.py")]) == 0
    assert sys.modules["json"] is json
    # `_json` is the accelerator's.
    assert sys.modules["__json"].Out.__module__ == "__json"


def test_a_file_needs_no_suffix(calls: Calls, tmp_path: Path) -> None:
    assert cli.main([write(tmp_path, PROGRAM, "serverfile")]) == 0


def test_the_page_is_opened_when_asked(calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert cli.main([write(tmp_path, PROGRAM), "--open"]) == 0
    until(lambda: opened)
    assert opened == ["http://127.0.0.1:8080"]


def test_logging_is_set_up_after_the_file_had_its_chance(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[Any] = []
    monkeypatch.setattr(logging, "basicConfig", lambda **options: order.append(options["level"]))
    file = write(tmp_path, f"{TWO}import logging\nlogging.basicConfig(level='theirs')\n")
    assert cli.main([file, "--log-level", "debug"]) == 0
    assert order == ["theirs", "DEBUG"]


# -------------------------------------------------------------------------------------------------------- what it says


def failed(capsys: pytest.CaptureFixture[str], arguments: list[str], status: int = 1) -> str:
    """Run the command, which must fail, and return what it says."""
    assert cli.main(arguments) == status
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_a_missing_file(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    assert failed(capsys, ["nope.py"]) == "workflow-server: There is no file nope.py.\n"
    assert failed(capsys, ["nope.py:server"]) == "workflow-server: There is no file nope.py.\n"
    assert failed(capsys, ["nope.py:"]) == "workflow-server: There is no file nope.py:.\n"


def test_a_directory(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    for target in ("folder", "folder:server"):
        expected = "workflow-server: folder is a directory; name a Python file in it.\n"
        assert failed(capsys, [target]) == expected


def test_no_server_in_the_file(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, "def make(): ...\n")
    expected = (
        "workflow-server: my_server.py holds no WorkflowServer at its top level; "
        "make one there: server = WorkflowServer()\n"
    )
    assert failed(capsys, [file]) == expected
    assert failed(capsys, [f"{file}:make"]) == expected


def test_a_server_of_another_package(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, "class WorkflowServer: ...\nWorkflowServer.__module__ = 'theirs'\nmine = WorkflowServer()\n")
    assert failed(capsys, [file]) == (
        "workflow-server: my_server.py holds no WorkflowServer of this program; "
        "its mine is one of theirs, another package.\n"
    )


@pytest.mark.parametrize("name", ["third", "other", "WorkflowServer"])
def test_a_name_that_no_server_has(name: str, calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = f"workflow-server: my_server.py holds no WorkflowServer {name}, but first, second.\n"
    assert failed(capsys, [f"{write(tmp_path, TWO)}:{name}"]) == expected


def test_an_import_error_shows_the_users_own_lines(
    calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "def load():\n    import no_such_module_at_all\n", "helper_of_it.py")
    file = write(tmp_path, "import helper_of_it\n\nhelper_of_it.load()\n")
    # Python 3.13 underlines calls of one line, too.
    said = "".join(line for line in failed(capsys, [file]).splitlines(keepends=True) if set(line.strip()) - {"~", "^"})
    assert said == (
        f'  File "{tmp_path}/my_server.py", line 3, in <module>\n'
        "    helper_of_it.load()\n"
        f'  File "{tmp_path}/helper_of_it.py", line 2, in load\n'
        "    import no_such_module_at_all\n"
        "workflow-server: my_server.py can't be loaded: "
        "ModuleNotFoundError: No module named 'no_such_module_at_all'\n"
    )


def test_lines_of_libraries_are_left_out(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    library = tmp_path / "venv" / "site-packages"
    library.mkdir(parents=True)
    write(library, "def load():\n    raise ValueError('wrong')\n", "library_of_it.py")
    file = write(
        tmp_path,
        "import sys, json\nsys.path.append('venv/site-packages')\nimport library_of_it\nlibrary_of_it.load()\n",
    )
    said = failed(capsys, [file])
    assert "line 4, in <module>" in said
    assert "library_of_it.py" not in said
    assert said.endswith("workflow-server: my_server.py can't be loaded: ValueError: wrong\n")


def test_a_syntax_error_shows_its_place(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = failed(capsys, [write(tmp_path, "x = (\n")])
    assert said.startswith(f'workflow-server: my_server.py can\'t be loaded: File "{tmp_path}/my_server.py", line 1')
    assert said.endswith("SyntaxError: '(' was never closed\n")


def test_a_file_that_exits_exits(calls: Calls, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([write(tmp_path, "raise SystemExit(7)\n")])
    assert caught.value.code == 7


def test_a_place_that_is_taken(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls.fails = ServerUsageError("Port 8080 is in use.")
    assert failed(capsys, [write(tmp_path, PROGRAM)]) == "workflow-server: Port 8080 is in use.\n"


def test_a_second_ctrl_c(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls.fails = KeyboardInterrupt()
    assert failed(capsys, [write(tmp_path, PROGRAM)], status=130) == ""


def test_trio_that_is_not_installed(
    calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    assert failed(capsys, [write(tmp_path, PROGRAM), "--backend", "trio"]) == (
        "workflow-server: --backend trio needs trio; install it with: pip install 'workflow-server[trio]'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: FILE[:name]"),
        (["a.py", "b.py"], "unrecognized arguments: b.py"),
        (["a.py", "--port", "eighty"], "argument --port: 'eighty' is not a port, a number between 0 and 65535"),
        (["a.py", "--port", "65536"], "'65536' is not a port"),
        (["a.py", "--port", "9" * 5000], "is not a port"),
        (["a.py", "--port=-1"], "'-1' is not a port"),
        (["a.py", "--backend", "twisted"], "argument --backend: invalid choice: 'twisted'"),
        (["a.py", "--log-level", "loud"], "argument --log-level: invalid choice: 'loud'"),
        (["a.py", "--uds", "s", "--port", "1"], "--uds goes without --host, --port and --open"),
        (["a.py", "--uds", "s", "--host", "h"], "--uds goes without --host, --port and --open"),
        (["a.py", "--uds", "s", "--open"], "--uds goes without --host, --port and --open"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_help_tells_of_the_environment(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    assert "WORKFLOWS_PY_SERVER_PORT" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------------- names in its way


@pytest.mark.parametrize("shadow", ["workflows.py", "workflows/__init__.py", "llama_agents.py"])
def test_a_local_module_that_hides_an_import_name_is_mentioned(
    shadow: str, calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = shadow.partition("/")[0].removesuffix(".py")
    for known in [known for known in sys.modules if known.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, known)
    (tmp_path / shadow).parent.mkdir(exist_ok=True)
    (tmp_path / shadow).write_text("")
    assert cli.main([write(tmp_path, PROGRAM)]) == 0
    assert (
        capsys.readouterr().err == f"workflow-server: {tmp_path / shadow} hides the import name {name!r}; rename it.\n"
    )


def test_a_folder_without_init_and_a_module_without_spec_hide_nothing(
    calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "workflows").mkdir()
    monkeypatch.setitem(sys.modules, "llama_agents", type(sys)("llama_agents"))
    assert cli.main([write(tmp_path, PROGRAM)]) == 0
    assert capsys.readouterr().err == ""


# -------------------------------------------------------------------------------------------------------- open files


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ((1024, 4096), (4096, 4096)),
        ((1024, resource.RLIM_INFINITY), (65536, resource.RLIM_INFINITY)),
        ((1024, 1_000_000), (65536, 1_000_000)),
        ((4096, 4096), None),
        ((100_000, 1_000_000), None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
    ],
)
def test_as_many_files_may_be_open_as_the_system_lets(
    limits: tuple[int, int],
    wanted: tuple[int, int] | None,
    calls: Calls,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda which, value: asked.append(value))
    assert cli.main([write(tmp_path, PROGRAM)]) == 0
    assert asked == ([] if wanted is None else [wanted])


def test_a_system_that_refuses_keeps_its_limit(calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise ValueError("not allowed")

    monkeypatch.setattr(resource, "getrlimit", lambda which: (10, 100))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert cli.main([write(tmp_path, PROGRAM)]) == 0
    assert len(calls) == 1


def test_a_system_without_such_limits_is_served_too(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without_resource(name: str, *rest: Any) -> Any:
        if name == "resource":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_resource)
    assert cli.main([write(tmp_path, PROGRAM)]) == 0


# ------------------------------------------------------------------------------------------------ in its own process


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_serves_until_ctrl_c(backend: str, tmp_path: Path) -> None:
    write(tmp_path, PROGRAM)
    with serving(tmp_path / "my_server.py", "--backend", backend, cwd=tmp_path) as served:
        answer = served.ask("POST", "/workflows/greet/run", {"start_event": {"name": "you"}})
        assert answer.status == 200
        assert answer.json["result"]["value"] == {"text": "Hello, you!"}
        assert answer.json["result"]["qualified_name"] == "my_server.Out"
        assert served.ask("GET", "/").status == 200
    assert served.lines[-1] == "Stopped.\n"
    assert "Traceback" not in "".join(served.lines)


@pytest.mark.parametrize("module", ["workflow_server", "workflows.server", "llama_agents.server"])
def test_every_name_runs_it(module: str, tmp_path: Path) -> None:
    write(tmp_path, PROGRAM)
    command = [sys.executable, "-m", module, "my_server.py", "--port", "0"]
    with process(command, cwd=tmp_path, env=checkout_environ(WORKFLOWS_PY_SERVER_HOST="127.0.0.1")) as served:
        served.url = until(lambda: start_up_url(served))
        assert served.ask("GET", "/health").json == {"status": "healthy"}
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(timeout=20) == 0


def run(arguments: list[str], folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workflow_server", *arguments]
    environment = checkout_environ(**environ)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=30, check=False)


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run([write(tmp_path, PROGRAM), "--host", "127.0.0.1", "--port", str(port)], tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"workflow-server: Port {port} on 127.0.0.1 is in use")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("port", ["eighty", "70000", "-1"])
def test_a_bad_port_in_the_environment_is_one_sentence(port: str, tmp_path: Path) -> None:
    done = run([write(tmp_path, PROGRAM)], tmp_path, WORKFLOWS_PY_SERVER_PORT=port)
    assert done.returncode == 1
    assert "WORKFLOWS_PY_SERVER_PORT" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_unix_socket_is_served(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "workflow_server", write(tmp_path, PROGRAM), "--uds", "a.sock"]
    with process(command, cwd=tmp_path, env=checkout_environ()) as served:
        until(lambda: any("Serving" in line for line in served.lines))
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(os.fspath(tmp_path / "a.sock"))
            connection.sendall(b"GET /health HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
            assert b"healthy" in b"".join(iter(lambda: connection.recv(4096), b""))
    assert not (tmp_path / "a.sock").exists()

"""The guide's second program, word for word, against the guide's server, word for word (but for the port)."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from tests_support.served import CHECKOUT, Served, checkout_environ, free_port, process, until

PROGRAMS = CHECKOUT / "crash" / "programs"


def written(program: Path, folder: Path, port: int) -> str:
    text = program.read_text(encoding="utf-8")
    assert "8000" in text
    target = folder / program.name
    target.write_text(text.replace("8000", str(port)), encoding="utf-8")
    return str(target)


def state_of_the_run(server: Served) -> str:
    return "".join(
        server.ask("GET", f"/handlers/{handler['handler_id']}/state").text
        for handler in server.ask("GET", "/handlers").json["handlers"]
    )


def test_the_run_goes_on_after_ctrl_c_and_the_client_prints_all_of_it(tmp_path: Path) -> None:
    port, env = free_port(), checkout_environ()
    server_command = [sys.executable, written(PROGRAMS / "resumable.py", tmp_path, port)]
    client_command = [sys.executable, written(PROGRAMS / "guide_client.py", tmp_path, port)]
    with process(server_command, cwd=tmp_path, env=env) as server:
        server.url = f"http://localhost:{port}"
        until(lambda: server.reached("/health"))
        with process(client_command, cwd=tmp_path, env=env) as client:
            # Asked of the server: a client on a busy machine may tell of it when the run is over already.
            until(lambda: "processed:alpha" in state_of_the_run(server))
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(timeout=20) == 0
            client.process.wait(timeout=20)
        started = client.lines[0].split()
    assert started[0] == "Started"
    with process(server_command, cwd=tmp_path, env=env) as server:
        server.url = f"http://localhost:{port}"
        until(lambda: server.reached("/health"))
        with process(client_command, cwd=tmp_path, env=env) as client:
            assert client.process.wait(timeout=20) == 0, client.lines
    assert client.lines[0] == f"Resuming {started[1]}\n"
    told = [line.split("'item': 'processed:")[1].split("'")[0] for line in client.lines if "[ProgressEvent]" in line]
    # The guide's step looks for "alpha" among texts like "processed:alpha", so after the restart it begins anew.
    before = told[:-3]
    assert before == ["alpha", "beta", "gamma"][: len(before)]
    assert before
    assert told[-3:] == ["alpha", "beta", "gamma"]
    processed = [f"processed:{item}" for item in told]
    assert f"  [ProcessOutput] {{'processed': {processed}}}\n" in client.lines
    assert client.lines[-1].startswith("Done: ")

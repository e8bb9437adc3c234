"""Ctrl+C under other people's servers, in processes of their own, with an event stream open.

Left to themselves these servers wait for the stream, which waits for the next event of a run that waits for
a person. The lifespan chains the signals so that the stream ends.
"""

from __future__ import annotations

import http.client
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests_support.served import Served, checkout_environ, process, start_up_url, until

PROGRAM = """
import sys
from workflow_server import Context, Workflow, WorkflowServer, step
from workflow_server.events import HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent


class Ask(Workflow):
    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(question="?")

    @step
    async def answered(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result="ok")


server = WorkflowServer()
server.add_workflow("ask", Ask(timeout=None))
app = server.app

if __name__ == "__main__":
    import asyncio, logging, socket
    import hypercorn.asyncio, hypercorn.trio, trio, uvicorn

    logging.basicConfig(level="INFO", stream=sys.stderr)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)
    print("http://127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    config = hypercorn.Config()
    config.bind = [f"fd://{listener.detach()}"] if sys.argv[1] != "uvicorn" else []
    if sys.argv[1] == "uvicorn":
        try:
            asyncio.run(uvicorn.Server(uvicorn.Config(app)).serve([listener]))
        except KeyboardInterrupt:
            pass  # what uvicorn.run does: the server raises the signal again when it has stopped
    elif sys.argv[1] == "hypercorn-asyncio":
        config.graceful_timeout = 1000.0
        asyncio.run(hypercorn.asyncio.serve(app, config))
    else:
        config.graceful_timeout = 1000.0
        trio.run(hypercorn.trio.serve, app, config)
    print("over", flush=True)
"""

SERVERS = ("uvicorn", "hypercorn-asyncio", "hypercorn-trio")


@contextmanager
def running(server: str, folder: Path) -> Iterator[Served]:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    with process([sys.executable, str(program), server], cwd=folder, env=checkout_environ()) as served:
        served.url = until(lambda: start_up_url(served))
        yield served


@pytest.mark.parametrize("server", SERVERS)
def test_ctrl_c_ends_the_server_with_a_stream_open(server: str, tmp_path: Path) -> None:
    with running(server, tmp_path) as served:
        handler = served.ask("POST", "/workflows/ask/run-nowait", {}).json
        place = urlsplit(served.url)
        with closing(http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)) as connection:
            connection.request("GET", f"/events/{handler['handler_id']}?after_sequence=-1")
            stream = connection.getresponse()
            while b"InputRequiredEvent" not in stream.readline():
                pass
            asked = time.monotonic()
            served.process.send_signal(signal.SIGINT)
            rest = stream.read()
            served.process.wait(timeout=10)
        assert b"the server is stopping" in rest
        assert time.monotonic() - asked < 5
    assert "Traceback" not in "".join(served.lines), served.lines
    assert served.lines[-1] == "over\n"
    assert served.process.returncode == 0

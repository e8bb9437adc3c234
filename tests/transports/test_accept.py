"""Accepting goes on whatever the operating system says."""

from __future__ import annotations

import errno
import logging
import socket
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

import anyio
import pytest

from workflow_server.transports import accept
from workflow_server.transports.client_socket import ClientSocket


class Listener:
    """A listening socket that raises what it is given, one after the other, or accepts in between."""

    def __init__(self, results: list[OSError | None], raw: socket.socket) -> None:
        self.results = results
        self.raw = raw

    def fileno(self) -> int:
        return self.raw.fileno()

    def accept(self) -> tuple[socket.socket, Any]:
        error = self.results.pop(0)
        if error is not None:
            raise error
        return self.raw.accept()


async def accept_all(results: list[OSError | None], monkeypatch: pytest.MonkeyPatch) -> int:
    """Let clients wait for `results` in turn; return how many were admitted."""
    monkeypatch.setattr(accept, "PAUSE", 0)
    expected = results.count(None)
    admitted: list[ClientSocket] = []
    with socket.create_server(("127.0.0.1", 0)) as raw, ExitStack() as clients:
        for _ in range(expected):
            clients.enter_context(socket.create_connection(raw.getsockname()))
        listener: Any = Listener(results, raw)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:

                def admit(client: ClientSocket) -> None:
                    admitted.append(client)
                    if len(admitted) == expected:
                        tasks.cancel_scope.cancel()

                tasks.start_soon(accept.accept_forever, listener, admit)
        for client in admitted:
            await client.aclose()
    return len(admitted)


async def test_running_out_of_descriptors_pauses_and_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full = OSError(errno.EMFILE, "Too many open files")
    assert await accept_all([None, full, full, full, None, full, None], monkeypatch) == 3
    levels = [record.levelname for record in caplog.records if record.name == accept.__name__]
    assert levels == ["ERROR", "WARNING", "ERROR", "WARNING"]
    assert "Too many open files" in caplog.records[0].getMessage()


async def test_a_client_that_leaves_the_backlog_is_no_trouble(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gone = OSError(errno.ECONNABORTED, "Software caused connection abort")
    nobody = BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
    assert await accept_all([gone, nobody, None], monkeypatch) == 1
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


PROGRAM = """
import resource, socket, sys
import anyio
from workflow_server.http.limits import Limits
from workflow_server.http.messages import Response
from workflow_server.transports.tcp import Binding, serve

class App:
    def may_wait(self, request):
        return False
    async def respond(self, request):
        return Response(200, (), b"ok")

def flood(port):
    ask = b"GET / HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n"
    clients = []
    try:
        while True:  # each takes two descriptors of this process: until there are none
            clients.append(socket.create_connection(("127.0.0.1", port)))
    except OSError:
        pass
    last = clients.pop()
    last.settimeout(20)
    for client in clients[3:]:
        client.close()
    last.sendall(ask)
    return last.recv(100)

async def main():
    drain = anyio.Event()
    async def client(url):
        answer = await anyio.to_thread.run_sync(flood, int(url.rpartition(":")[2]))
        print(answer.partition(b"\\r\\n")[0].decode())
        drain.set()
    async with anyio.create_task_group() as tasks:
        await serve(App(), Binding("127.0.0.1", 0), Limits(), drain=drain,
                    listening=lambda urls: tasks.start_soon(client, urls[0]))

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
anyio.run(main, backend=sys.argv[1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit on descriptors to run into")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_server_out_of_descriptors_serves_again_when_there_are_some(backend: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, backend], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "HTTP/1.1 200 OK\n", done.stderr
    assert done.returncode == 0, done.stderr

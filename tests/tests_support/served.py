"""A server in a process of its own, started as people start it, and a plain HTTP client for it.

Nothing is waited for by sleeping a guessed time: the start-up line is read as it is written, and
whoever waits for a state of a run asks until it is there or a deadline passes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
_URL = re.compile(r"http://[^\s/]+:\d+")
DEADLINE = 20.0
"""Seconds after which something that should happen counts as not happening; a busy machine is slow."""


def checkout_environ(**more: str) -> dict[str, str]:
    """Return an environment in which another Python process finds the checkout and its fallback names."""
    paths = (CHECKOUT, CHECKOUT / "workflow_server" / "aliases" / "top_level")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONUNBUFFERED": "1", **more}


def free_port() -> int:
    """Return a port for a program that can't be told to take any."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass(frozen=True)
class Answer:
    """What came back for a request."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.text)


@dataclass
class Served:
    """A running server process."""

    process: subprocess.Popen[str]
    url: str = ""
    lines: list[str] = field(default_factory=list[str])
    """What it has printed, both streams together."""

    def _request(self, method: str, path: str, body: Any, headers: dict[str, str] | None) -> urllib.request.Request:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        return urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json", **(headers or {})}, method=method
        )

    def ask(self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Answer:
        """Send a request and return the answer, whatever its status. Bytes are sent as they are, the rest as JSON."""
        try:
            with urllib.request.urlopen(self._request(method, path, body, headers), timeout=DEADLINE) as response:
                return Answer(response.status, dict(response.headers), response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read().decode())

    def reached(self, path: str) -> Answer | None:
        """Return the answer to `GET path`, once it is a good one; `None` as long as the process has yet to serve."""
        assert self.process.poll() is None, "".join(self.lines)
        try:
            answer = self.ask("GET", path)
        except OSError:
            return None
        return answer if answer.status == 200 else None

    def finished(self, handler_id: str) -> Any:
        """Wait until a handler is over and return it."""

        def over() -> Any:
            handler = self.ask("GET", f"/handlers/{handler_id}").json
            return handler if handler["status"] != "running" else None

        return until(over)

    def seen(self, handler_id: str, type_name: str) -> Any:
        """Read the stream of a handler, internal events too, until the first event of that type, and return it."""
        request = self._request(
            "GET", f"/events/{handler_id}?after_sequence=-1&sse=false&include_internal=true", None, None
        )
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            for line in response:
                event = json.loads(line)
                if event["type"] == type_name:
                    return event
        raise AssertionError(f"the stream ended without {type_name}")

    def events(self, handler_id: str, *, options: str = "") -> list[Any]:
        """Read the stream of a handler from its beginning to its end."""
        text = self.ask("GET", f"/events/{handler_id}?after_sequence=-1&sse=false{options}").text
        return [json.loads(line) for line in text.splitlines()]


def until(condition: Callable[[], Any], *, seconds: float = DEADLINE) -> Any:
    """Return the first true value of `condition`; fail when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        time.sleep(0.01)
    return found


@contextmanager
def process(command: Sequence[str], *, cwd: Path, env: dict[str, str]) -> Iterator[Served]:
    """Run `command` for the length of the block, collecting what it prints; end it by Ctrl+C, then by force."""
    with subprocess.Popen(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
    ) as child:
        served = Served(child)
        reader = threading.Thread(target=_collect, args=(child.stdout, served.lines), daemon=True)
        reader.start()
        try:
            yield served
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
            try:
                child.wait(timeout=DEADLINE)
            except subprocess.TimeoutExpired:
                child.kill()
                raise AssertionError(f"the server did not end by Ctrl+C: {served.lines}") from None
            finally:
                reader.join(timeout=DEADLINE)


def _collect(pipe: Iterable[str], lines: list[str]) -> None:
    for line in pipe:
        lines.append(line)  # noqa: PERF402 (each line is wanted as soon as it is there)


@contextmanager
def serving(program: Path, *options: str, cwd: Path) -> Iterator[Served]:
    """Serve `program` with the command line of ours on a port that the system picks; check that it ends well."""
    command = [sys.executable, "-m", "workflow_server", str(program), "--host", "127.0.0.1", "--port", "0", *options]
    with process(command, cwd=cwd, env=checkout_environ()) as served:
        served.url = until(lambda: start_up_url(served))
        yield served
    assert served.process.returncode == 0, served.lines


def start_up_url(served: Served) -> str | None:
    """Return the URL that the process has printed, if it has."""
    assert served.process.poll() is None, f"the server ended: {''.join(served.lines)}"
    found = _URL.search("".join(served.lines))
    return found.group(0) if found else None

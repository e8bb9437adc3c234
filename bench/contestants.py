"""Who is measured: how each one is started, watched and stopped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.environment import ROOT, clean, ours
from bench.load import LoadError, request_bytes

PROGRAMS = ROOT / "bench" / "programs"
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True, slots=True)
class Contestant:
    """One column of the table."""

    name: str
    python: str
    backend: str
    env: Mapping[str, str]
    serve: Callable[[int], list[str]]
    """The server's command line for a port."""
    processors: frozenset[int] = frozenset()
    """Where its server may run; empty for anywhere."""


def ours_on(backend: str) -> Contestant:
    """Return our server on a loop, started by its own command line."""
    command = [sys.executable, "-m", "workflow_server", str(PROGRAMS / "target.py"), "--host", "127.0.0.1"]
    options = ["--backend", backend, "--log-level", "warning"]
    return Contestant(
        f"ours {backend}", sys.executable, backend, ours(), lambda port: [*command, "--port", str(port), *options]
    )


def peer(python: Path) -> Contestant:
    """Return the peer under uvicorn, as its own command line runs it but without an access log."""
    command = [str(python), "-m", "uvicorn", "target:app", "--app-dir", str(PROGRAMS), "--host", "127.0.0.1"]
    options = ["--log-level", "warning", "--no-access-log"]
    return Contestant("peer", str(python), "asyncio", clean(), lambda port: [*command, "--port", str(port), *options])


def bare(kind: str) -> Contestant:
    """Return a reference that only answers: `h11-asyncio`, `h11-trio` or `bytes`."""
    command = [sys.executable, str(PROGRAMS / "bare.py"), kind]
    backend = "trio" if kind == "h11-trio" else "asyncio"
    return Contestant(f"bare {kind}", sys.executable, backend, ours(), lambda port: [*command, str(port)])


@dataclass(slots=True)
class Running:
    """A server process that has answered its first `/health`."""

    pid: int
    port: int
    started_in: float
    """Seconds from starting the process to the first answer."""

    def cpu_seconds(self) -> float | None:
        """Return the processor time the server has used, or `None` where the system doesn't tell (no `/proc`)."""
        stat = Path(f"/proc/{self.pid}/stat")
        if not stat.exists():
            return None
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_mb(self) -> float | None:
        """Return the memory the server holds, in megabytes, or `None` where the system doesn't tell."""
        status = Path(f"/proc/{self.pid}/status")
        if not status.exists():
            return None
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024


@contextmanager
def running(contestant: Contestant, *, limit: float = 30.0) -> Iterator[Running]:
    """Start the contestant's server for the length of the block, in an empty folder, on a free port.

    Raises:
        LoadError: It did not answer within `limit` seconds, or ended.
    """
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
        begin = time.perf_counter()
        process = subprocess.Popen(
            contestant.serve(port), cwd=folder, env=contestant.env, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            if contestant.processors:
                os.sched_setaffinity(process.pid, contestant.processors)
            while not _answers(port):
                if process.poll() is not None or time.perf_counter() - begin > limit:
                    said.seek(0)
                    raise LoadError(
                        f"{contestant.name} does not serve: {said.read()[-600:].decode('utf-8', 'replace')}"
                    )
                time.sleep(0.002)
            yield Running(process.pid, port, time.perf_counter() - begin)
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            sock.sendall(request_bytes("GET", "/health"))
            return sock.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def output_of(contestant: Contestant, arguments: list[str], *, limit: float = 120.0) -> str:
    """Run the contestant's Python with `arguments` in an empty folder and return what it prints.

    Raises:
        LoadError: It failed or took longer than `limit` seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [contestant.python, *arguments],
                cwd=folder,
                env=contestant.env,
                capture_output=True,
                text=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LoadError(f"{contestant.name} took more than {limit:g} seconds") from error
    if done.returncode:
        raise LoadError(f"{contestant.name}: {done.stderr.strip()[-600:]}")
    return done.stdout.strip()

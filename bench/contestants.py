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
from typing import Literal

from bench.environment import ROOT, clean, ours
from bench.load import LoadError, request_bytes

Store = Literal["memory", "everything", "sqlite"]
"""`everything` is memory, too, of which nothing is forgotten."""

DATABASE = "bench.db"
"""The file, in the folder that a server runs in."""

PEER_RUNS = 200
"""Waiting runs on SQLite that the peer is given at most, and…"""

PEER_STEPS = 1000
"""…steps that a loop of it has, for want of time."""

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
    most_runs: int = 1_000_000
    """How many waiting runs on SQLite it is given at most."""
    most_steps: int = 1_000_000
    """How many steps a loop of it has at most."""
    loses_waiting: bool = False
    """Whether Python's collector of cyclic garbage takes its waiting runs away; it is off then where runs wait."""


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
    return Contestant(
        "peer",
        str(python),
        "asyncio",
        clean(),
        lambda port: [*command, "--port", str(port), *options],
        most_runs=PEER_RUNS,
        most_steps=PEER_STEPS,
        loses_waiting=True,
    )


def bare(kind: str) -> Contestant:
    """Return a reference that only answers: `h11-asyncio`, `h11-trio` or `bytes`."""
    command = [sys.executable, str(PROGRAMS / "bare.py"), kind]
    backend = "trio" if kind == "h11-trio" else "asyncio"
    return Contestant(f"bare {kind}", sys.executable, backend, ours(), lambda port: [*command, str(port)])


@dataclass(slots=True)
class Running:
    """A server process that has answered its first `/health`."""

    process: subprocess.Popen[bytes]
    port: int
    started_in: float
    """Seconds from starting the process to the first answer."""

    def cpu_seconds(self) -> float | None:
        """Return the processor time the server has used, or `None` where the system doesn't tell (no `/proc`)."""
        stat = Path(f"/proc/{self.process.pid}/stat")
        if not stat.exists():
            return None
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_mb(self) -> float | None:
        """Return the memory the server holds, in megabytes, or `None` where the system doesn't tell."""
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.exists():
            return None
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    def settle(self, *, quiet: float = 0.5, limit: float = 20.0) -> None:
        """Return when the server has been nearly idle for `quiet` seconds (where that can't be told: after so many).

        Nearly, because the peer looks into its database now and then; after `limit` seconds in any case.
        """
        before, end = self.cpu_seconds(), time.perf_counter() + limit
        while time.perf_counter() < end:
            time.sleep(quiet)
            after = self.cpu_seconds()
            if before is None or after is None or after - before <= quiet * 0.1:
                return
            before = after


@contextmanager
def empty_folder() -> Iterator[Path]:
    """Make a folder for the length of the block."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@contextmanager
def running(
    contestant: Contestant,
    folder: Path,
    *,
    store: Store = "memory",
    waits: bool = False,
    idle_timeout: float = 600.0,
    limit: float = 60.0,
) -> Iterator[Running]:
    """Start the contestant's server for the length of the block, on a free port; it is killed in the end.

    Args:
        contestant: Whose.
        folder: Where it runs, and keeps its database.
        store: What keeps its runs.
        waits: Whether runs will wait.
        idle_timeout: Seconds after which runs that only wait leave its memory.
        limit: Seconds within which it has to answer.

    Raises:
        LoadError: It did not answer in time, or ended.
    """
    port = _free_port()
    env = {**contestant.env, "BENCH_STORE": store, "BENCH_IDLE_TIMEOUT": str(idle_timeout)}
    if waits and contestant.loses_waiting:
        env["BENCH_COLLECTOR"] = "off"
    with tempfile.TemporaryFile() as said:
        begin = time.perf_counter()
        process = subprocess.Popen(contestant.serve(port), cwd=folder, env=env, stdout=said, stderr=subprocess.STDOUT)
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
            yield Running(process, port, time.perf_counter() - begin)
        finally:
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

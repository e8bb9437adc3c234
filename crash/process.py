"""The server process: started, killed, started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from crash.record import Violation

CHECKOUT = Path(__file__).resolve().parents[1]
START_SECONDS = 30.0
STOP_SECONDS = 20.0


def environ() -> dict[str, str]:
    """Return an environment in which a server finds the checkout and its fallback names."""
    paths = (CHECKOUT, CHECKOUT / "workflow_server" / "aliases" / "top_level")
    # Coverage of a process that is killed is lost anyhow, and slows its start.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return {**kept, "PYTHONPATH": os.pathsep.join(map(str, paths))}


class ServerProcess:
    """A server in a process of its own.

    Args:
        command: Arguments for Python.
        folder: Where it runs; `server.log` there takes what it prints.
        address: Where it listens: the path of a Unix socket, or a port on the local host.
    """

    def __init__(self, command: list[str], folder: Path, address: Path | int) -> None:
        self._command = [sys.executable, *command]
        self._folder = folder
        self._address = address
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, without waiting until it listens."""
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, env=environ(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process as it runs."""
        assert self._process is not None
        return self._process

    def until_listening(self) -> float:
        """Return, once it accepts connections, the seconds that took.

        Raises:
            Violation: It ended instead, or did not listen in time.
        """
        begin = time.monotonic()
        while not self._accepts():
            self.must_run()
            if time.monotonic() - begin > START_SECONDS:
                raise Violation(f"the server does not listen {START_SECONDS:g} s after its start")
            time.sleep(0.003)
        return time.monotonic() - begin

    def must_run(self) -> None:
        """Raise `Violation` if it has ended by itself."""
        if self.process.poll() is not None:
            raise Violation(f"the server ended by itself with {self.process.returncode}:\n{self.tail()}")

    def _accepts(self) -> bool:
        family = socket.AF_UNIX if isinstance(self._address, Path) else socket.AF_INET
        with socket.socket(family) as trial:
            try:
                trial.connect(str(self._address) if isinstance(self._address, Path) else ("127.0.0.1", self._address))
            except OSError:
                return False
            return True

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """Ask it to stop, without waiting for that."""
        self.process.send_signal(number)

    def until_stopped(self) -> int:
        """Wait until it has stopped and return its exit status.

        Raises:
            Violation: It does not stop; then it is killed.
        """
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Violation(f"the server does not stop in {STOP_SECONDS:g} s:\n{self.tail()}") from None

    def errors(self) -> list[str]:
        """Return the errors and warnings that it has logged."""
        lines = (self._folder / "server.log").read_text(errors="replace").splitlines()
        found = [line for line in lines if " ERROR " in line or " WARNING " in line]
        # anyio's Unix sockets on asyncio: a wait was cancelled in the moment when there was something to read.
        return [line for line in found if not line.endswith("Exception in callback Future.set_result(None)")]

    def tail(self) -> str:
        """Return the last of what it has printed."""
        return (self._folder / "server.log").read_text(errors="replace")[-3000:]

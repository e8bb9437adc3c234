"""The guide's resumable program, killed and interrupted.

It says `if item in processed`, which compares an input with a result and so never skips anything: an interrupted run
goes over all items again. That is what the program says, and what it gets. With the check mended it repeats nothing.

The guide's client, word for word, starts each run and follows it for as long as it can.
"""

from __future__ import annotations

import ast
import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any, ClassVar
from urllib.error import HTTPError
from urllib.request import urlopen

from crash.process import ServerProcess, environ
from crash.record import Violation

PROGRAM = Path(__file__).parent / "programs" / "resumable.py"
CLIENT = Path(__file__).parent / "programs" / "guide_client.py"
WORK_SECONDS = 0.06
"""What an item takes here; the guide's second is only a long wait."""
END_SECONDS = 30.0
ITEMS = ("alpha", "beta", "gamma")
"""The guide's default inputs."""


class GuideClient:
    """The guide's client in a process of its own.

    Args:
        folder: Takes the program and what it prints.
        port: The server's.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._program, self._printed = folder / "client.py", folder / "client.log"
        self._program.write_text(CLIENT.read_text().replace("localhost:8000", f"localhost:{port}"))

    def start(self) -> str:
        """Have it start a run, and return the run's handler.

        Raises:
            Violation: It does not.
        """
        with self._printed.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-u", str(self._program)], env=environ(), stdout=log, stderr=log
            )
        deadline = time.monotonic() + END_SECONDS
        while "\n" not in (text := self._printed.read_text()):
            if time.monotonic() > deadline:
                self._process.kill()
                raise Violation("the guide's client starts no run")
            time.sleep(0.005)
        word, _, handler_id = text.partition("\n")[0].partition(" ")
        if word != "Started":
            raise Violation(f"the guide's client said {text}")
        return handler_id

    def told(self) -> tuple[bool, list[str]]:
        """Wait for its end; return whether it got to the result, and the items that it was told of.

        Raises:
            Violation: It hangs.
        """
        try:
            status = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise Violation(f"the guide's client hangs: {self._printed.read_text()}") from None
        lines = self._printed.read_text().splitlines()
        values = [line.partition("[ProgressEvent] ")[2] for line in lines if line.startswith("  [ProgressEvent] ")]
        return status == 0 and lines[-1].startswith("Done: "), [ast.literal_eval(value)["item"] for value in values]


class GuideSession:
    """Rounds of the guide's program: a run is started, the server ended at random moments, until the run is over.

    Args:
        folder: Empty; takes the program and its database.
        seed: Decides the moments.
    """

    title: ClassVar[str]
    mended: ClassVar[bool]

    def __init__(self, folder: Path, seed: int) -> None:
        self._random = Random(f"{seed} {self.title}")
        self._seed = seed
        self._port = _free_port()
        self._ends: Counter[str] = Counter()
        self._client = GuideClient(folder, self._port)
        self._followed = 0
        """Runs that the client followed to their result."""
        text = PROGRAM.read_text()
        for old, new in (
            ("asyncio.sleep(1)", f"asyncio.sleep({WORK_SECONDS})"),
            ("port=8000", f"port={self._port}"),
            *([("if item in processed", 'if f"processed:{item}" in processed')] if self.mended else []),
        ):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (folder / "resumable.py").write_text(text)
        self._server = ServerProcess(["resumable.py"], folder, self._port)

    def run(self, rounds: int) -> str:
        """Play `rounds` runs; return what happened.

        Raises:
            Violation: A promise was broken.
        """
        self._server.start()
        try:
            self._server.until_listening()
            for number in range(rounds):
                self._round(number)
            self._server.interrupt()
            self._server.until_stopped()
        finally:
            if self._server.process.poll() is None:
                self._server.kill()
        ends = ", ".join(f"{name} {count}" for name, count in sorted(self._ends.items()))
        return f"{rounds} runs finished, {self._followed} followed by one client; the server was ended: {ends}"

    def _round(self, number: int) -> None:
        handler_id = self._client.start()
        time.sleep(self._random.uniform(0, len(ITEMS) * WORK_SECONDS))
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            self._end()
            self._server.start()
            self._server.until_listening()
            time.sleep(self._random.uniform(0, WORK_SECONDS * 1.5))
        handler = self._finished(handler_id)
        url = f"http://127.0.0.1:{self._port}/events/{handler_id}?after_sequence=-1&sse=false"
        with urlopen(url, timeout=END_SECONDS) as response:
            events = [json.loads(line) for line in response]
        told = [event["value"]["item"] for event in events if event["type"] == "ProgressEvent"]
        whole, seen = self._client.told()
        self._followed += whole
        try:
            self.check(handler["result"]["value"]["processed"], told)
            if seen != (told if whole else told[: len(seen)]):
                raise Violation(f"the client saw {seen}, told were {told}")
        except Violation as error:
            raise Violation(f"seed {self._seed}, round {number}, handler {handler_id}: {error}; {events}") from None

    def _end(self) -> None:
        how = self.choose(self._random)
        self._ends[how.name] += 1
        self._server.must_run()
        if how is signal.SIGKILL:
            self._server.kill()
            return
        self._server.interrupt(how)
        if (status := self._server.until_stopped()) != 0:
            raise Violation(f"stopped with status {status}: {self._server.tail()}")

    def choose(self, random: Random) -> signal.Signals:
        """Choose how the server is ended."""
        raise NotImplementedError

    def check(self, processed: list[str], told: list[str]) -> None:
        """Judge a run by its result and by the ProgressEvents on its stream."""
        raise NotImplementedError

    def _ask(self, path: str) -> Any:
        try:
            with urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=20) as response:
                return json.load(response)
        except HTTPError as error:
            with error:
                return json.load(error)

    def _finished(self, handler_id: str) -> Any:
        deadline = time.monotonic() + END_SECONDS
        while (handler := self._ask(f"/handlers/{handler_id}"))["status"] == "running":
            if time.monotonic() > deadline:
                raise Violation(f"seed {self._seed}: not over in {END_SECONDS:g} s: {handler}")
            time.sleep(0.01)
        if handler["status"] != "completed":
            raise Violation(f"seed {self._seed}: {handler}")
        return handler


class Verbatim(GuideSession):
    """Word for word, ended by Ctrl+C alone: whatever was committed has its ProgressEvent on the stream."""

    title = "word for word, Ctrl+C"
    mended = False

    def choose(self, random: Random) -> signal.Signals:  # noqa: ARG002
        """Choose Ctrl+C."""
        return signal.SIGINT

    def check(self, processed: list[str], told: list[str]) -> None:
        """Every item of the result was told, in order; the last pass went over all of them."""
        if processed[-len(ITEMS) :] != [f"processed:{item}" for item in ITEMS] or told != processed:
            raise Violation(f"processed {processed}, told {told}")


class VerbatimKilled(Verbatim):
    """Word for word, ended by SIGKILL alone."""

    title = "word for word, SIGKILL"

    def choose(self, random: Random) -> signal.Signals:  # noqa: ARG002
        """Choose SIGKILL."""
        return signal.SIGKILL

    def check(self, processed: list[str], told: list[str]) -> None:
        """As above, but some may be untold, killed between their commit and their event."""
        stored = iter(processed)
        in_order = all(one in stored for one in told)
        if processed[-len(ITEMS) :] != [f"processed:{item}" for item in ITEMS] or not in_order:
            raise Violation(f"processed {processed}, told {told}")


class LooksThere(GuideSession):
    """With the check mended, ended by SIGKILL or Ctrl+C: no item twice."""

    title = "mended, SIGKILL and Ctrl+C"
    mended = True

    def choose(self, random: Random) -> signal.Signals:
        """Choose either."""
        return random.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGINT))

    def check(self, processed: list[str], told: list[str]) -> None:
        """Every item exactly once; none told twice (one may be untold, killed between its commit and its event)."""
        if processed != [f"processed:{item}" for item in ITEMS]:
            raise Violation(f"processed {processed}")
        if [item for item in processed if item in told] != told:
            raise Violation(f"told {told}")


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port

"""Kills the server while players play, and holds the record against the file in the end."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from crash.audit import check_file
from crash.client import Client, Silent
from crash.kinds import COUNTER_RUNS, KINDS
from crash.player import GivenUp, Player
from crash.process import ServerProcess
from crash.record import Clock, RunRecord, Violation

END_SECONDS = 90.0
"""Seconds after the last kill in which all runs must end."""


@dataclass
class Figures:
    """What happened, in numbers."""

    kills: Counter[str] = field(default_factory=Counter[str])
    runs: Counter[str] = field(default_factory=Counter[str])
    starts: list[float] = field(default_factory=list[float])
    """Seconds from each start of the process until it accepted connections."""
    events: int = 0
    unanswered: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        middle = sorted(self.starts)[len(self.starts) // 2] if self.starts else 0.0
        kills = ", ".join(f"{name} {number}" for name, number in sorted(self.kills.items()))
        runs = ", ".join(f"{name} {number}" for name, number in sorted(self.runs.items()))
        return (
            f"{self.kills.total()} kills ({kills}) in {self.seconds:.0f} s; {self.runs.total()} runs ({runs}); "
            f"{self.events} events; {self.unanswered} requests unanswered; start-up {middle * 1000:.0f} ms"
        )


class Harness:
    """One session of kills.

    Args:
        folder: Empty; takes the database and the log. Short, for the socket's path in it.
        seed: Decides all that is left to chance, save the timing of the machine.
        backend: The server's event loop.
        players: How many runs go on at a time.
    """

    def __init__(self, folder: Path, seed: int, backend: str, players: int = 8) -> None:
        self.figures = Figures()
        self._folder = folder
        self._seed = seed
        self._random = Random(f"{seed} kills")
        self._clock = Clock()
        self._runs: list[RunRecord] = []
        self._no_more = threading.Event()
        self._halt = threading.Event()
        self._violations: list[Exception] = []
        self._client = Client(folder / "s")
        program = str(Path(__file__).parent / "programs" / "mix.py")
        command = ["-m", "workflow_server", program, "--uds", "s", "--backend", backend, "--log-level", "warning"]
        self._server = ServerProcess(command, folder, folder / "s")
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(players)]

    def run(self, kills: int) -> None:
        """Kill `kills` times, then wait until all runs are over, and check everything.

        Raises:
            Violation: A promise was broken; the text has the history of the run.
        """
        begin = time.monotonic()
        self._server.start()
        try:
            for thread in self._threads:
                thread.start()
            while self._clock.kills < kills and not self._violations:
                self._kill_once()
                self._server.start()
            self._finish()
        except Violation as error:
            self._violations.append(error)
        finally:
            self._halt.set()
            if self._server.process.poll() is None:
                self._server.kill()
            self._sum_up(time.monotonic() - begin)
        if self._violations:
            raise Violation(self._story())

    # Killing

    def _kill_once(self) -> None:
        if self._random.random() < 0.15:
            time.sleep(self._random.uniform(0, 1.5 * max(self.figures.starts[-20:], default=0.5)))
            how = "early"
        else:
            self.figures.starts.append(self._server.until_listening())
            how = self._random.choices(("kill", "interrupt", "terminate", "interrupt, kill"), (80, 8, 5, 7))[0]
            short = self._random.random() < 0.3
            time.sleep(self._random.uniform(0, 0.02) if short else self._random.uniform(0, 0.5))
        self._server.must_run()
        self._clock.kills += 1
        self.figures.kills[how] += 1
        if how in ("early", "kill"):
            self._server.kill()
            return
        self._server.interrupt(signal.SIGTERM if how == "terminate" else signal.SIGINT)
        if how == "interrupt, kill":
            time.sleep(self._random.uniform(0, 0.3))
            self._server.kill()
        elif (status := self._server.until_stopped()) != 0:
            raise Violation(f"the server stopped with status {status}:\n{self._server.tail()}")

    def _finish(self) -> None:
        self._no_more.set()
        self._server.until_listening()
        deadline = time.monotonic() + END_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._violations:
            return
        for run in self._runs:
            if not run.over:
                raise run.fail(f"it is not over {END_SECONDS:g} s after the last kill: {self._condition(run)}")
        player = Player(self._client, self._random, self._halt.is_set)
        for run in self._runs:
            player.look_again(run)
        running = player.insist("GET", "/handlers?status=running").json["handlers"]
        if running:
            raise Violation(f"runs that nobody started are running: {running}")
        self._server.interrupt()
        if (status := self._server.until_stopped()) != 0:
            raise Violation(f"the server stopped with status {status}:\n{self._server.tail()}")
        check_file(self._folder / "crash.db", self._runs)
        if errors := self._server.errors():
            raise Violation(f"the server has logged errors: {errors}")

    def _condition(self, run: RunRecord) -> str:
        answers = [self._client.ask("GET", f"/handlers/{run.handler_id}{path}").text for path in ("", "/waiting")]
        return " ".join(answers)

    # Playing

    def _work(self, worker: int) -> None:
        random = Random(f"{self._seed} player {worker}")
        player = Player(self._client, random, self._halt.is_set)
        number = 0
        try:
            while not self._no_more.is_set() and not self._halt.is_set():
                number += 1
                kind = random.choice(KINDS)
                self._play(player, kind, f"{kind}-{worker}-{number}", random.randint(1, 6))
        except GivenUp:
            pass
        except Exception as error:
            self._violations.append(error)
            self._halt.set()

    def _play(self, player: Player, kind: str, handler_id: str, size: int) -> None:
        for again in range(COUNTER_RUNS if kind == "counter" else 1):
            run = RunRecord(kind, handler_id, again + 1 if kind == "counter" else size, self._clock, again + 1)
            self._runs.append(run)
            player.play(run)

    # Telling

    def _sum_up(self, seconds: float) -> None:
        self.figures.runs.update(run.kind for run in self._runs if run.over)
        self.figures.events = sum(len(run.events) for run in self._runs)
        self.figures.unanswered = sum("unanswered" in line for run in self._runs for line in run.history)
        self.figures.seconds = seconds

    def _story(self) -> str:
        text = "\n".join(f"{type(error).__name__}: {error}" for error in self._violations)
        named = [run for run in self._runs if f"handler {run.handler_id} " in text]
        stories = ["\n".join([f"History of {run.handler_id}, run {run.number}:", *run.history]) for run in named]
        silent = any(isinstance(error, Silent) for error in self._violations)
        log = f"\nThe server's last words:\n{self._server.tail()}" if silent or not named else ""
        return "\n".join([f"seed {self._seed}, kill {self._clock.kills}: {text}", *stories]) + log

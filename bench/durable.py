"""Runs that wait, restarts, and long runs: what a store is there for."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from bench.contestants import DATABASE, Contestant, Running, Store, empty_folder, running
from bench.load import LoadError, ask, hammer, request_bytes, send_all, start_request
from bench.sample import Measure, Sample
from bench.streams import reading

CONNECTIONS = 32
"""At once, for whatever is done a thousand times."""

PATIENCE = 30.0
"""Seconds without a run that ends, after which those that are left count as hanging."""


def waiting(count: int, store: Store) -> Measure:
    """Return a measurement of `count` runs that wait for an answer and get it."""

    def measure(contestant: Contestant, seconds: float) -> Sample:
        del seconds  # the length is given by the count
        runs = min(count, contestant.most_runs) if store == "sqlite" else count
        with empty_folder() as folder, running(contestant, folder, store=store, waits=True) as server:
            _warm_up(server)
            before = server.resident_mb()
            _start_waiting(server, "w", runs)
            after, cpu = server.resident_mb(), server.cpu_seconds()
            taken = _answer_all(server, "w", runs)
            used = None if cpu is None else ((server.cpu_seconds() or 0.0) - cpu) / runs * 1e6
        memory = {} if before is None or after is None else {"KB each": (after - before) * 1024 / runs}
        return Sample(taken, used, memory)

    return measure


def released(count: int) -> Measure:
    """Return a measurement of what a waiting run costs in memory once it was released from there.

    The first three lots of runs leave behind what Python keeps for the next, the last two show what each run adds.
    """

    def measure(contestant: Contestant, seconds: float) -> Sample:
        del seconds
        idle_timeout = 0.5
        runs = min(count, contestant.most_runs)
        resident: list[float] = []
        with (
            empty_folder() as folder,
            running(contestant, folder, store="sqlite", idle_timeout=idle_timeout) as server,
        ):
            for lot in "abcde":
                _start_waiting(server, lot, runs)
                time.sleep(idle_timeout)
                server.settle(quiet=1.0)
                resident.append(server.resident_mb() or float("nan"))
        return Sample((resident[4] - resident[2]) * 1024 / (2 * runs))

    return measure


def restart(count: int) -> Measure:
    """Return a measurement of a restart after SIGKILL with `count` waiting runs: until healthy, until all answered."""

    def measure(contestant: Contestant, seconds: float) -> Sample:
        del seconds
        runs = min(count, contestant.most_runs)
        with empty_folder() as folder:
            with running(contestant, folder, store="sqlite", waits=True) as server:
                _start_waiting(server, "w", runs)
            with running(contestant, folder, store="sqlite", waits=True) as server:
                taken = _answer_all(server, "w", runs)
                return Sample(server.started_in * 1000, besides={"answered ms": taken})

    return measure


def loop(laps: int) -> Measure:
    """Return a measurement of a run of many steps: time and bytes for each, and going on with it after SIGKILL."""

    def measure(contestant: Contestant, seconds: float) -> Sample:
        del seconds
        steps = min(laps, contestant.most_steps)
        with empty_folder() as folder:
            with running(contestant, folder, store="sqlite", waits=True) as server:
                _warm_up(server)
                size, cpu = _database_bytes(folder), server.cpu_seconds()
                begin = time.perf_counter()
                ask(server.port, start_request("asking", {"laps": steps}, handler_id="loop"))
                with reading(server.port, "loop") as read_until:
                    read_until(1)
                taken = time.perf_counter() - begin
                server.settle()
                used = None if cpu is None else ((server.cpu_seconds() or 0.0) - cpu) / steps * 1e6
                grown = _database_bytes(folder) - size
            with running(contestant, folder, store="sqlite", waits=True) as server:
                _warm_up(server)
                resumed = _answer_one(server, "loop")
        besides = {"bytes a step": grown / steps, "resumed in ms": resumed * 1000}
        return Sample(taken / steps * 1e6, used, besides)

    return measure


def beside_busy_loop(connections: int) -> Measure:
    """Return a measurement of one-step runs while another run of the same process keeps the loop busy."""
    request = request_bytes("POST", "/workflows/one/run", b"{}")

    def measure(contestant: Contestant, seconds: float) -> Sample:
        with empty_folder() as folder, running(contestant, folder, store="sqlite") as server:
            hammer(server.port, request, connections=1, seconds=0.0)
            ask(server.port, start_request("busy", {}))
            tally = hammer(server.port, request, connections=connections, seconds=seconds)
        return Sample(tally.done / tally.seconds, besides={"p95 ms": tally.within(0.95)})

    return measure


def _warm_up(server: Running) -> None:
    """Let everything run once that runs differently the first time."""
    _start_waiting(server, "warm", 1)
    _answer_one(server, "warm0")


def _start_waiting(server: Running, prefix: str, runs: int) -> None:
    starts = [start_request("asking", {"laps": 0}, handler_id=f"{prefix}{number}") for number in range(runs)]
    send_all(server.port, starts, connections=CONNECTIONS)
    server.settle()


def _answer(handler_id: str) -> bytes:
    answer = {"event": {"type": "Answer", "value": {"text": "yes"}}}
    return request_bytes("POST", f"/events/{handler_id}", json.dumps(answer).encode())


def _answer_one(server: Running, handler_id: str) -> float:
    """Answer a run; return the seconds until its stream is over."""
    with reading(server.port, handler_id) as read_until:
        read_until(1)
        begin = time.perf_counter()
        ask(server.port, _answer(handler_id))
        read_until(None)
        return time.perf_counter() - begin


def _answer_all(server: Running, prefix: str, runs: int) -> float:
    """Answer all runs; return the milliseconds until none is running any more, for a thousand of them."""
    answers = [_answer(f"{prefix}{number}") for number in range(runs)]
    begin = time.perf_counter()
    send_all(server.port, answers, connections=CONNECTIONS)
    left = _unfinished(server)
    changed = time.perf_counter()
    while left:
        # Seldom enough to cost little, often enough to be right within a few per cent.
        time.sleep((time.perf_counter() - begin) * 0.03)
        before, left = left, _unfinished(server)
        if left != before:
            changed = time.perf_counter()
        elif time.perf_counter() - changed > PATIENCE:
            raise LoadError(f"{left} of {runs} runs hang though they were answered")
    return (time.perf_counter() - begin) * 1000 * (1000 / runs)


def _unfinished(server: Running) -> int:
    return len(json.loads(ask(server.port, request_bytes("GET", "/handlers?status=running")))["handlers"])


def _database_bytes(folder: Path) -> int:
    """Return what the database holds, wherever its pages lie at the moment."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        used, free, size = (
            connection.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "freelist_count", "page_size")
        )
    return (used - free) * size

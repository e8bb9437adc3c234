"""What stored handlers cost: listing them, and starting runs beside them."""

from __future__ import annotations

import threading
import time

from bench.contestants import Contestant, Running, Store, empty_folder, running
from bench.load import ask, hammer, request_bytes, send_all
from bench.sample import Measure, Sample

CONNECTIONS = 32

_RUN = request_bytes("POST", "/workflows/one/run", b"{}")
_HEALTH = request_bytes("GET", "/health")


def page(stored: int, store: Store) -> Measure:
    """Return a measurement of a page of 100 handlers, the newest first; of the peer it is the whole list."""

    def measure(contestant: Contestant, seconds: float) -> Sample:
        with empty_folder() as folder, running(contestant, folder, store=store) as server:
            count = _fill(server, contestant, stored)
            tally = hammer(server.port, request_bytes("GET", "/handlers?limit=100"), connections=1, seconds=seconds)
        return Sample(_quantile(tally.latencies, 0.5), besides={"stored": float(count)})

    return measure


def whole(stored: int, store: Store) -> Measure:
    """Return a measurement of the whole list, and of how long `/health` takes meanwhile."""

    def measure(contestant: Contestant, seconds: float) -> Sample:
        taken: list[float] = []
        with empty_folder() as folder, running(contestant, folder, store=store) as server:
            count = _fill(server, contestant, stored)
            over = threading.Event()

            def read() -> None:
                while not over.is_set():
                    begin = time.perf_counter()
                    ask(server.port, request_bytes("GET", "/handlers"))
                    taken.append(time.perf_counter() - begin)

            reader = threading.Thread(target=read)
            reader.start()
            meanwhile = hammer(server.port, _HEALTH, connections=1, seconds=seconds)
            over.set()
            reader.join()
        besides = {"ms /health p99": _quantile(meanwhile.latencies, 0.99), "stored": float(count)}
        return Sample(_quantile(taken, 0.5), besides=besides)

    return measure


def beside(stored: int, store: Store) -> Measure:
    """Return a measurement of what a run costs when so many are stored, beside what it costs with a hundred."""

    def measure(contestant: Contestant, seconds: float) -> Sample:
        with empty_folder() as folder, running(contestant, folder, store=store) as server:
            few = _fill(server, contestant, 100)
            early = _cost(server, seconds)
            count = few + _fill(server, contestant, stored - few)
            late = _cost(server, seconds)
        return Sample(late, besides={"µs with 100": early, "stored": float(count)})

    return measure


def _fill(server: Running, contestant: Contestant, stored: int) -> int:
    count = min(stored, contestant.most_runs)
    send_all(server.port, [_RUN] * count, connections=CONNECTIONS)
    return count


def _cost(server: Running, seconds: float) -> float:
    """Return microseconds of processor time for a run; not of wall time, which tells of the disk, too."""
    before = server.cpu_seconds()
    tally = hammer(server.port, _RUN, connections=1, seconds=seconds)
    after = server.cpu_seconds()
    return float("nan") if before is None or after is None else (after - before) / tally.done * 1e6


def _quantile(latencies: list[float], part: float) -> float:
    """Return milliseconds."""
    return sorted(latencies)[int(len(latencies) * part)] * 1000

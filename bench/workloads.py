"""What is measured. Every sample starts a fresh process, so that no side pays for what an earlier one left."""

from __future__ import annotations

import json
from dataclasses import dataclass

from bench.contestants import PROGRAMS, Contestant, Store, empty_folder, output_of, running
from bench.durable import beside_busy_loop, loop, released, restart, waiting
from bench.listings import beside, page, whole
from bench.load import hammer, request_bytes
from bench.sample import Measure, Sample
from bench.streams import follow


@dataclass(frozen=True, slots=True)
class Workload:
    """One row of the table."""

    name: str
    title: str
    unit: str
    measure: Measure
    more_is_better: bool = True
    uses_loop: bool = True
    """Whether our two loops are worth a column each."""
    bare: tuple[str, ...] = ()
    """References measured beside it."""


def _requests(method: str, path: str, body: object, connections: int, store: Store = "memory") -> Measure:
    request = request_bytes(method, path, None if body is None else json.dumps(body).encode())

    def measure(contestant: Contestant, seconds: float) -> Sample:
        with empty_folder() as folder, running(contestant, folder, store=store) as server:
            hammer(server.port, request, connections=connections, seconds=min(0.3, seconds))
            before = server.cpu_seconds()
            tally = hammer(server.port, request, connections=connections, seconds=seconds)
            after = server.cpu_seconds()
        cpu = None if before is None or after is None else (after - before) / tally.done * 1e6
        return Sample(tally.done / tally.seconds, cpu, {"p99 ms": tally.within(0.99)})

    return measure


def _stream(events: int, readers: int, store: Store = "memory") -> Measure:
    def measure(contestant: Contestant, seconds: float) -> Sample:
        del seconds  # the length is given by the number of events
        with empty_folder() as folder, running(contestant, folder, store=store) as server:
            follow(server.port, events=20, readers=1)
            before = server.cpu_seconds()
            streamed = follow(server.port, events=events, readers=readers)
            after = server.cpu_seconds()
        cpu = None if before is None or after is None else (after - before) / streamed.deliveries * 1e6
        return Sample(streamed.deliveries / streamed.seconds, cpu, {"first ms": streamed.first * 1000})

    return measure


def _in_process(what: str) -> Measure:
    def measure(contestant: Contestant, seconds: float) -> Sample:
        program = str(PROGRAMS / "inprocess.py")
        rate, cpu = map(float, output_of(contestant, [program, what, str(seconds), contestant.backend]).split())
        return Sample(rate, cpu * 1e6)

    return measure


def _start_up(contestant: Contestant, seconds: float) -> Sample:
    del seconds
    with empty_folder() as folder, running(contestant, folder) as server:
        cpu = server.cpu_seconds()
        return Sample(server.started_in * 1000, None if cpu is None else cpu * 1e6)


def _memory(contestant: Contestant, seconds: float) -> Sample:
    del seconds
    with empty_folder() as folder, running(contestant, folder) as server:
        return Sample(server.resident_mb() or float("nan"))


_IMPORT = """
import sys, time
before = set(sys.modules)
begin = time.perf_counter()
from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent
from llama_agents.server import WorkflowServer
print((time.perf_counter() - begin) * 1000, len(set(sys.modules) - before))
"""


def _import(contestant: Contestant, seconds: float) -> Sample:
    del seconds
    milliseconds, modules = output_of(contestant, ["-c", _IMPORT]).split()
    return Sample(float(milliseconds), besides={"modules": float(modules)})


def _run(name: str) -> tuple[str, str, dict[str, object]]:
    return "POST", f"/workflows/{name}/run", {}


WORKLOADS = (
    Workload("generator", "the load generator itself, 32 connections", "req/s", _requests("GET", "/health", None, 32),
             uses_loop=False, bare=("bytes",)),
    Workload("health", "GET /health, 32 connections", "req/s", _requests("GET", "/health", None, 32),
             bare=("h11-asyncio", "h11-trio")),
    Workload("one-c1", "POST run, one step, 1 connection", "runs/s", _requests(*_run("one"), 1)),
    Workload("one-c32", "POST run, one step, 32 connections", "runs/s", _requests(*_run("one"), 32)),
    Workload("ten-c1", "POST run, ten steps, 1 connection", "runs/s", _requests(*_run("ten"), 1)),
    Workload("ten-c32", "POST run, ten steps, 32 connections", "runs/s", _requests(*_run("ten"), 32)),
    Workload("stream-1", "10,000 events, one reader", "events/s", _stream(10_000, 1)),
    Workload("stream-50", "1,000 events, 50 readers", "deliveries/s", _stream(1_000, 50)),
    Workload("waiting", "1,000 waiting runs: all answered", "ms", waiting(1000, "memory"),
             more_is_better=False),
    Workload("sqlite-one-c1", "SQLite: POST run, one step, 1 conn.", "runs/s", _requests(*_run("one"), 1, "sqlite")),
    Workload("sqlite-one-c32", "SQLite: one step, 32 connections", "runs/s", _requests(*_run("one"), 32, "sqlite")),
    Workload("sqlite-ten-c1", "SQLite: ten steps, 1 connection", "runs/s", _requests(*_run("ten"), 1, "sqlite")),
    Workload("sqlite-ten-c32", "SQLite: ten steps, 32 connections", "runs/s", _requests(*_run("ten"), 32, "sqlite")),
    Workload("sqlite-busy", "SQLite: one step, 32 conn., busy loop", "runs/s", beside_busy_loop(32)),
    Workload("sqlite-stream-1", "SQLite: 10,000 events, one reader", "events/s", _stream(10_000, 1, "sqlite")),
    Workload("sqlite-stream-50", "SQLite: 1,000 events, 50 readers", "deliveries/s", _stream(1_000, 50, "sqlite")),
    Workload("sqlite-waiting", "SQLite: 1,000 waiting runs, all answered", "ms", waiting(1000, "sqlite"),
             more_is_better=False),
    Workload("sqlite-released", "SQLite: memory of a run at rest", "KB", released(1000), more_is_better=False),
    Workload("sqlite-restart", "SQLite: 1,000 wait, restart to healthy", "ms", restart(1000), more_is_better=False),
    Workload("sqlite-loop-100", "SQLite: loop of 100 steps, a step", "µs", loop(100), more_is_better=False),
    Workload("sqlite-loop-1000", "SQLite: loop of 1,000 steps, a step", "µs", loop(1000), more_is_better=False),
    Workload("sqlite-loop-5000", "SQLite: loop of 5,000 steps, a step", "µs", loop(5000), more_is_better=False),
    Workload("list-page", "10,000 stored: a page of 100", "ms", page(10_000, "everything"), more_is_better=False),
    Workload("list-all", "10,000 stored: all of them", "ms", whole(10_000, "everything"), more_is_better=False),
    Workload("list-run", "10,000 stored: CPU of POST run", "µs", beside(10_000, "everything"), more_is_better=False),
    Workload("sqlite-list-page", "SQLite, 10,000: a page of 100", "ms", page(10_000, "sqlite"), more_is_better=False),
    Workload("sqlite-list-all", "SQLite, 10,000: all of them", "ms", whole(10_000, "sqlite"), more_is_better=False),
    Workload("sqlite-list-run", "SQLite, 10,000: CPU of POST run", "µs", beside(10_000, "sqlite"),
             more_is_better=False),
    Workload("runs", "trivial runs in process", "runs/s", _in_process("runs")),
    Workload("steps", "loop of 1,000 steps in process", "steps/s", _in_process("steps")),
    Workload("fan-out-100", "fan-out of 100 in process", "members/s", _in_process("members-100")),
    Workload("fan-out-300", "fan-out of 300 in process", "members/s", _in_process("members-300")),
    Workload("fan-out-1000", "fan-out of 1,000 in process", "members/s", _in_process("members-1000")),
    Workload("start", "process start to first /health", "ms", _start_up, more_is_better=False),
    Workload("import", "import of workflows and server", "ms", _import, more_is_better=False, uses_loop=False),
    Workload("memory", "resident after the first /health", "MB", _memory, more_is_better=False),
)  # fmt: skip
"""All rows, in the order of the table."""

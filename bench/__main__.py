"""`python -m bench`: measure this server and the peer in turns and print the table.

The sides take turns within one run (A B A B …): a machine's speed drifts by more than most
differences worth knowing, and only figures of the same minutes can be divided by each other.
"""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import json
import os
import platform
import sqlite3
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from bench.contestants import PEER_RUNS, PEER_STEPS, Contestant, bare, ours_on, peer
from bench.environment import PEER, ROOT, Unavailable, interpreter
from bench.load import LoadError
from bench.report import HEADINGS, Cell, rows
from bench.sample import Sample
from bench.workloads import WORKLOADS, Workload


def main() -> int:
    """Measure what the command line asks for; return the exit status."""
    options = _options()
    chosen = [workload for workload in WORKLOADS if not options.only or workload.name in options.only]
    sides: list[Contestant] = []
    if not options.no_peer:
        try:
            sides.append(peer(interpreter(PEER)))
        except Unavailable as error:
            print(f"Without the peer: {error}", file=sys.stderr)
    sides += [ours_on(backend) for backend in options.backends]
    if options.pin:
        sides = _pinned(sides)
    # An installed package has its byte code; ours, which runs from the checkout, shall not start slower for want of it.
    compileall.compile_dir(ROOT / "workflow_server", quiet=1)
    header = _header(options)
    print(header, HEADINGS, sep="\n\n")
    results: dict[str, dict[str, Cell]] = {}
    for workload in chosen:
        results[workload.name] = _measure(workload, sides, options)
        print(rows(workload, results[workload.name]), flush=True)
    if options.json:
        cells = {name: {who: cell.as_json() for who, cell in row.items()} for name, row in results.items()}
        Path(options.json).write_text(json.dumps({"header": header, "results": cells}, indent=1))
    return 1 if any(cell.problem for row in results.values() for cell in row.values()) else 0


def _options() -> argparse.Namespace:
    loops = ["asyncio", *(["trio"] if importlib.util.find_spec("trio") else [])]
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = [workload.name for workload in WORKLOADS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="WORKLOAD", help=f"some of: {', '.join(names)}")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a sample (default 2)")
    parser.add_argument("--repeat", type=int, default=3, help="samples for each cell (default 3)")
    parser.add_argument("--backends", nargs="+", choices=["asyncio", "trio"], default=loops, help="loops of ours")
    parser.add_argument("--no-peer", action="store_true", help="measure ours alone")
    parser.add_argument(
        "--pin", action="store_true", help="load generator on the last processor, servers on the others"
    )
    parser.add_argument("--json", metavar="FILE", help="write all samples there, too")
    return parser.parse_args()


def _measure(workload: Workload, sides: list[Contestant], options: argparse.Namespace) -> dict[str, Cell]:
    row = sides if workload.uses_loop else [side for side in sides if side.backend == "asyncio"]
    row = [] if workload.name == "generator" else row
    row = [*row, *(bare(kind) for kind in workload.bare)]
    samples: dict[str, list[Sample]] = {side.name: [] for side in row}
    problems: dict[str, str] = {}
    for turn in range(options.repeat):
        for side in row:
            if side.name in problems:
                continue
            print(f"{workload.name}: {side.name} ({turn + 1}/{options.repeat})", file=sys.stderr, flush=True)
            try:
                samples[side.name].append(workload.measure(side, options.seconds))
            except (LoadError, OSError) as error:
                problems[side.name] = " ".join(str(error).split())[-200:] or repr(error)
    return {name: Cell(tuple(taken), problems.get(name, "")) for name, taken in samples.items()}


def _pinned(sides: list[Contestant]) -> list[Contestant]:
    """Move this process to the last processor and give the servers the others."""
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("--pin needs Linux and two processors")
    *others, last = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {last})
    return [replace(side, processors=frozenset(others)) for side in sides]


def _header(options: argparse.Namespace) -> str:
    return (
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} processors, "
        f"{options.repeat} samples of {options.seconds:g} s in turns, medians; spread = (largest - smallest) / median; "
        f"a fresh process for every sample.\nRatio above 1 = better than the peer in the same turn, the median of all "
        f"turns; CPU = the server's processor time; besides = other figures, less is better, with their ratios.\n"
        f"Stores in memory unless a row says SQLite; there synchronous is FULL on both sides, and the file lies in "
        f"{tempfile.gettempdir()}.\n"
        f"Because the peer is slow, it is given {PEER_RUNS:,} waiting runs on SQLite (times are for a thousand) and "
        f"loops of {PEER_STEPS:,} steps at most; that favours it, as each costs it more the more there are.\n"
        f"Where runs wait, Python's collector of cyclic garbage is off in the peer, which would lose most to it."
    )


if __name__ == "__main__":
    sys.exit(main())

"""`python -m crash`: kill a server over and over, and check that no promise was broken."""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
import tempfile
import time
from pathlib import Path

from crash.guide import LooksThere, Verbatim, VerbatimKilled
from crash.harness import Harness
from crash.record import Violation


def main() -> int:
    """Do what the command line asks for; return the exit status."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    print(f"seed {options.seed}, in {folder}", flush=True)
    try:
        for backend in options.backends:
            for part in range(options.kills // options.part or 1):
                _mix(folder / f"{backend}{part}", options.seed + part, backend, min(options.kills, options.part))
        if not options.no_guide:
            for session in (Verbatim, VerbatimKilled, LooksThere):
                (home := folder / session.__name__).mkdir()
                print(f"the guide's program, {session.title}: {session(home, options.seed).run(options.rounds)}")
    except Violation as error:
        print(f"VIOLATION {error}\nkept in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


def _mix(folder: Path, seed: int, backend: str, kills: int) -> None:
    folder.mkdir()
    harness = Harness(folder, seed, backend)
    try:
        harness.run(kills)
    finally:
        print(f"{backend}, seed {seed}: {harness.figures}", flush=True)


def _options() -> argparse.Namespace:
    loops = ["asyncio", *(["trio"] if importlib.util.find_spec("trio") else [])]
    parser = argparse.ArgumentParser(prog="python -m crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=500, help="kills on each loop (default 500)")
    parser.add_argument("--part", type=int, default=100, help="kills of one database; the next has seed + 1 (100)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="what chance starts from (the time)")
    parser.add_argument("--backend", dest="backends", action="append", choices=loops, help="only this loop")
    parser.add_argument("--rounds", type=int, default=50, help="runs of the guide's program of each sort (50)")
    parser.add_argument("--no-guide", action="store_true", help="leave the guide's program out")
    options = parser.parse_args()
    options.backends = options.backends or loops
    return options


if __name__ == "__main__":
    sys.exit(main())

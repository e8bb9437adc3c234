"""Python environments for other people's packages, made once and kept under `.nox/foreign`.

What is compared with us must never be installed beside us: the import names would collide, and a
benchmark or a parity test would quietly compare a program with itself. Each environment is a
virtual environment of its own, filled from the package index by the running Python's pip (one less to
install) and marked with what it holds, so that a half-made one is made anew.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import venv
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

_HOME = ROOT / ".nox" / "foreign"


@dataclass(frozen=True, slots=True)
class Foreign:
    """Packages that live in an environment of their own."""

    name: str
    requirements: tuple[str, ...]
    override: str
    """Environment variable that names a Python which has them already."""
    without: tuple[str, ...] = ()
    """Distributions that come along and are taken out again."""


PEER = Foreign(
    "peer",
    ("llama-agents-server==0.8.0", "llama-index-workflows==2.26.1", "llama-agents-client==0.4.1"),
    "WORKFLOW_SERVER_PEER_PYTHON",
)
"""The peer with its server and its client."""

CLIENT = Foreign("client", ("llama-agents-client==0.4.1",), "WORKFLOW_SERVER_CLIENT_PYTHON")
"""The peer's official client alone, as its users install it."""


AGENTS = Foreign(
    "agents",
    # With pydantic 2.14 this version of llama-index-core can't write a chat history down. h11 and anyio are for us.
    ("llama-index-core==0.14.25", "pydantic==2.12.*", "h11>=0.16", "anyio>=4.16"),
    "WORKFLOW_SERVER_AGENTS_PYTHON",
    without=("llama-index-workflows",),
)
"""LlamaIndex's agents without the engine that they run on."""


class Unavailable(Exception):
    """The environment can't be made, most often for want of a network."""


def interpreter(foreign: Foreign, *, minutes: float = 5.0) -> Path:
    """Return the Python of an environment that holds `foreign`, making it if need be.

    Args:
        foreign: What it has to hold.
        minutes: How long the installation may take.

    Raises:
        Unavailable: It could not be made; the text is one sentence.
    """
    given = os.environ.get(foreign.override)
    if given:
        if not Path(given).is_file():
            raise Unavailable(f"{foreign.override} names {given}, which is no file")
        return Path(given)
    home = _HOME / f"{foreign.name}-{sys.version_info.major}.{sys.version_info.minor}"
    _HOME.mkdir(parents=True, exist_ok=True)
    # Tests in several processes may want it at once. SQLite's lock is one on every system.
    with closing(sqlite3.connect(f"{home}.lock", timeout=minutes * 60, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        return _made(foreign, home, minutes)


def _made(foreign: Foreign, home: Path, minutes: float) -> Path:
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    complete = home / "holds.txt"
    wanted = "\n".join((*foreign.requirements, *(f"not {name}" for name in foreign.without)))
    if complete.is_file() and complete.read_text() == wanted and python.is_file():
        return python
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home)
    # Most of it is never imported; what is gets compiled then.
    _pip(python, ("install", "--no-compile", *foreign.requirements), minutes)
    if foreign.without:
        _pip(python, ("uninstall", "--yes", *foreign.without), minutes)
    complete.write_text(wanted)
    return python


def _pip(python: Path, arguments: Sequence[str], minutes: float) -> None:
    quietly = ("--quiet", "--disable-pip-version-check", "--retries=1")
    pip = (sys.executable, "-m", "pip", *quietly, "--python", str(python))
    what = f"pip {' '.join(arguments)}"
    try:
        done = subprocess.run(
            [*pip, *arguments], capture_output=True, text=True, timeout=minutes * 60, env=clean(), check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{what} took more than {minutes:g} minutes") from error
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["pip gave no reason"]
        raise Unavailable(f"{what} failed: {last[0]}")


def clean() -> dict[str, str]:
    """Return this process's environment without what would lead another Python to our checkout."""
    return {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}}


def ours() -> dict[str, str]:
    """Return an environment in which this process's Python finds the checkout and its fallback names."""
    paths = (ROOT, ROOT / "workflow_server" / "aliases" / "top_level")
    return {**clean(), "PYTHONPATH": os.pathsep.join(map(str, paths))}

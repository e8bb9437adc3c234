"""Every command a developer needs. `nox` runs the tests; `nox --list` tells the rest.

Sessions are named for the question they answer. Arguments after `--` go to the tool: `nox -s tests-3.12 -- -k cursor`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["tests"]
nox.options.reuse_venv = "yes"
# A Python that isn't there is skipped by name, on a build machine too.
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"
# pip reads the configuration of the machine (mirrors, certificates); its faster rivals have their own.
nox.options.default_venv_backend = "virtualenv"

# Tests start hundreds of short processes, which should not compile everything anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

HOME = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The Python that nox runs on."""

PYTHONS = [*sorted({"3.11", "3.12", "3.13"} - {HOME}), HOME]

if (pyenv := Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")).is_dir():
    # pyenv hides the Pythons it keeps until they are chosen. The one that would be found anyhow stays first.
    kept = sorted((folder.name for folder in pyenv.glob("3.*")), key=lambda name: not name.startswith(f"{HOME}."))
    os.environ.setdefault("PYENV_VERSION", ":".join(kept))

ALONE = "tests/page/test_page_speed.py"
"""Tests of how fast the page is. They come last of the trials, when nothing else runs."""

QUIET = "tests/server/test_sqlite_health.py"
"""Tests that mostly wait, and look how soon others are answered meanwhile: one for each processor."""

TRIALS = (
    "tests/durability/test_faults_at_every_call.py",
    "tests/durability/test_killed_server.py",
    "tests/durability/test_random_histories.py",
    "tests/interop",
    "tests/neighbours",
    "tests/packaging",
    "tests/page",
    "tests/parity",
    "tests/server/test_sqlite_troubles.py",
)
"""Tests that take long, or need what few machines have: a browser, other people's programs, a package index."""

ONCE = (
    "tests/client/test_client_page.py",
    "tests/client/test_command.py",
    "tests/client/test_guide.py",
    "tests/durability",
    "tests/server/test_process.py",
    "tests/stores/test_sqlite_processes.py",
    "tests/test_bench.py",
    "tests/test_ci_skips.py",
    "tests/test_cli.py",
    "tests/test_docs.py",
    "tests/test_examples.py",
    "tests/test_import_names.py",
    "tests/test_layers.py",
    "tests/test_readme.py",
    "tests/testing/test_survive_crashes.py",
    "tests/transports/test_asgi_signals.py",
    "tests/transports/test_signals.py",
)
"""Tests of what is outside the interpreter (processes, crashes, programs shown to people, this project's own tools):
one Python is enough."""

LOWEST = (
    "h11==0.16.*",
    "anyio==4.16.*",
    "pydantic==2.12.*",
    "trio==0.32.*",
    "httpx==0.27.*",
    "opentelemetry-sdk==1.27.*",
)
"""The lower bounds in pyproject.toml."""


PROCESSORS = os.cpu_count() or 1

SPREAD = ("--dist=loadfile", "--no-loadscope-reorder")
"""The tests of a file stay together: they share what is slow to make. Files begin in the order of tests/conftest.py."""

TWOFOLD = (f"--numprocesses={2 * PROCESSORS}", *SPREAD)
"""Two processes for each processor, because some tests wait for something…"""

THREEFOLD = (f"--numprocesses={3 * PROCESSORS}", *SPREAD)
"""…and three where every other test does."""


def install(session: nox.Session, *what: str) -> None:
    """Install the checkout with an extra; bytecode comes with first use, since most of it is never used."""
    session.install("--no-compile", "--editable", *what)


def pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest in the session."""
    session.run("python", "-m", "pytest", *TWOFOLD, *arguments, *session.posargs)


def without(files: Sequence[str]) -> list[str]:
    """Return the options that leave out files and folders."""
    return [f"--ignore={file}" for file in files]


def with_those_apart(session: nox.Session, chosen: Sequence[str], *python: str) -> None:
    """Run the chosen tests and then those that others would disturb, or only what was asked for."""
    asked = session.posargs
    session.run(*python, "-m", "pytest", *THREEFOLD, *(asked or chosen))
    if not asked:
        session.run(*python, "-m", "pytest", f"--numprocesses={PROCESSORS}", QUIET)
        session.run(*python, "-m", "pytest", ALONE)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Does it work, on asyncio and on trio, under every Python that is here? Some minutes."""
    home = session.python == HOME
    install(session, ".[dev]" if home else ".[test]")
    left_out = (*TRIALS, QUIET) if home else (*TRIALS, QUIET, *ONCE)
    pytest(session, *(() if session.posargs else without(left_out)))


@nox.session
def trials(session: nox.Session) -> None:
    """Does it hold when servers are killed, stores fail, and browsers and other people's programs join in? Minutes."""
    install(session, ".[dev]")
    with_those_apart(session, (*without((ALONE,)), *TRIALS), "python")


@nox.session
def coverage(session: nox.Session) -> None:
    """Do the tests, all their processes together, reach enough branches?"""
    install(session, ".[dev]")
    session.run("coverage", "erase")
    with_those_apart(session, without((QUIET, ALONE)), "coverage", "run")
    session.run("coverage", "combine", "--keep")
    session.run("coverage", "report")


@nox.session
def types(session: nox.Session) -> None:
    """Do mypy and pyright, both strict, agree with the types?"""
    install(session, ".[dev]")
    session.run("mypy", *session.posargs)
    session.run("pyright", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Are the rules kept, and is the format the one format?"""
    session.install("ruff")
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check", *session.posargs)


@nox.session
def lowest(session: nox.Session) -> None:
    """Does it work with the oldest dependencies it claims to work with?"""
    install(session, ".[test]", *LOWEST)
    pytest(session, *without((*TRIALS, QUIET, *ONCE)))


@nox.session
def interop(session: nox.Session) -> None:
    """Do other people's programs get along with it, and does it behave as the peer does?"""
    install(session, ".[dev]")
    pytest(session, "tests/interop", "tests/parity")


@nox.session
def long(session: nox.Session) -> None:
    """Does what is exhaustive or random also hold when it is played for much longer? Some minutes."""
    install(session, ".[dev]")
    pytest(session, "--long", "tests/durability", "tests/neighbours/test_beside_peers_page.py")


@nox.session
def parity(session: nox.Session) -> None:
    """What does it do as the peer does, and what not? Ends with a table of all scenarios."""
    install(session, ".[dev]")
    session.run("python", "-m", "pytest", "tests/parity", "--table", *session.posargs)


@nox.session
def neighbours(session: nox.Session) -> None:
    """Does it get along with frameworks, proxies and pages that others have made?"""
    install(session, ".[dev]")
    pytest(session, "tests/neighbours")


@nox.session
def packaging(session: nox.Session) -> None:
    """Is the installed project what it promises, alone and beside others?"""
    install(session, ".[dev]")
    pytest(session, "tests/packaging")


@nox.session
def page(session: nox.Session) -> None:
    """Does the page work in a browser?"""
    install(session, ".[dev]")
    pytest(session, "tests/page")


@nox.session
def page_core(session: nox.Session) -> None:
    """Is the page's logic right? Without a browser, by Node's own test runner."""
    files = sorted(map(str, Path("tests/page").glob("*.test.js")))
    session.run("node", "--test", *files, *session.posargs, external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """How fast is it beside the peer, measured in turns within one run?"""
    install(session, ".[dev]")
    session.run("python", "-m", "bench", *session.posargs)


@nox.session
def crash(session: nox.Session) -> None:
    """Is every promise kept, however often the server is killed? A thousand times and more, for half an hour."""
    install(session, ".[client,trio]")
    session.run("python", "-m", "crash", *session.posargs)

"""Everyday workflows on the peer's engine and on ours, with the same inputs: what happens is the same.

All modules under `programs` are played once by the peer and once by ours on each loop; then every
scenario is compared by itself. What may differ stands in `tests_support/parity_differences.py`.
"""

from __future__ import annotations

import ast
import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.environment import PEER, Unavailable, clean, interpreter
from tests_support import parity_differences as differences
from tests_support.served import checkout_environ

pytestmark = pytest.mark.interop

PROGRAMS = Path(__file__).parent / "programs"
MODULES = ("contexts", "runs", "rules", "values", "recovery", "resources", "drawings", "streams", "assembly")


def _scenarios() -> list[str]:
    found = []
    for module in MODULES:
        tree = ast.parse((PROGRAMS / f"{module}.py").read_text())
        names = [node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)]
        found += [name for name in names if not name.startswith("_")]
    assert len(set(found)) == len(found), "two scenarios have one name"
    return found


SCENARIOS = _scenarios()


@functools.cache
def play(who: str) -> dict[str, Any]:
    """Play all scenarios on `peer`, `asyncio` or `trio`, once, and return what happened."""
    try:
        python = interpreter(PEER) if who == "peer" else Path(sys.executable)
    except Unavailable as error:
        pytest.skip(f"the peer is not to be had: {error}")
    env, backend = (clean(), "asyncio") if who == "peer" else (checkout_environ(), who)
    command = [str(python), str(PROGRAMS / "play.py"), backend, *MODULES]
    done = subprocess.run(command, cwd=PROGRAMS, env=env, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    played: dict[str, Any] = json.loads(done.stdout)
    return played


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_it_happens_as_with_the_peer(name: str, loop: str) -> None:
    expected, ours = play("peer")[name], play(loop)[name]
    assert "scenario failed" not in json.dumps(expected)
    assert differences.comparable(name, ours) == differences.comparable(name, expected)


def test_no_difference_is_listed_in_vain() -> None:
    assert differences.listed() <= set(SCENARIOS)

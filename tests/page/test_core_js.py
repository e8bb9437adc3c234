"""The page's logic is JavaScript, so it is tested by JavaScript's own test runner; this hands its verdict on."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NODE = shutil.which("node")


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

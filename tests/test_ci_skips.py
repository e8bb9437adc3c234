"""The plugin for build machines turns skips of what is installed there into failures, and leaves other skips alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MARKED = """
import pytest
@pytest.mark.page
def test_browser(): pytest.skip("no browser")
@pytest.mark.page
@pytest.mark.skipif(True, reason="no browser")
def test_decorated(): pass
@pytest.fixture
def network(): pytest.skip("no network")
@pytest.mark.packaging
def test_fixture(network): pass
@pytest.mark.page
@pytest.mark.xfail(reason="known")
def test_known(): raise ValueError
def test_platform(): pytest.skip("not on this platform")
"""
WHOLE_MODULE = "import pytest\npytest.skip('no browser', allow_module_level=True)\n"


def outcome(folder: Path, *options: str) -> str:
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    page: .\n    packaging: .\n    interop: .\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [(("-p", "ci_skips"), "1 failed, 1 skipped, 1 xfailed, 2 errors"), ((), "4 skipped, 1 xfailed")],
)
def test_skips_of_marked_tests(tmp_path: Path, options: tuple[str, ...], expected: str) -> None:
    (tmp_path / "test_marked.py").write_text(MARKED)
    assert outcome(tmp_path, *options).startswith(expected)


@pytest.mark.parametrize(("options", "expected"), [(("-p", "ci_skips"), "1 error"), ((), "1 skipped")])
def test_skips_of_whole_modules(tmp_path: Path, options: tuple[str, ...], expected: str) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "test_whole.py").write_text(WHOLE_MODULE)
    assert expected in outcome(tmp_path, *options)

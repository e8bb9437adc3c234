"""A server process that is killed at random moments: every promise is kept. The long form is `nox -s crash`.

A failure prints its seed; `python -m crash --seed …` plays the same decisions again.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crash.guide import LooksThere, Verbatim
from crash.harness import Harness

pytestmark = pytest.mark.crash
KILLS, GUIDE_ROUNDS = 21, 3
"""Together at least fifty kills: of the mix on each loop, and one or more in each round of the guide's program."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is short enough for a socket in it; kept if the test fails."""
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_clients_were_told_holds_however_often_the_server_is_killed(backend: str, folder: Path) -> None:
    if backend == "trio":
        pytest.importorskip("trio", reason="trio is not installed")
    harness = Harness(folder, int(time.time()), backend, players=6)
    harness.run(KILLS)
    assert harness.figures.runs.total() >= 10
    assert harness.figures.kills.total() == KILLS


def test_the_guides_program_tells_of_every_item_that_it_committed_before_ctrl_c(folder: Path) -> None:
    Verbatim(folder, int(time.time())).run(GUIDE_ROUNDS)


def test_the_guides_program_with_its_check_mended_repeats_no_item(folder: Path) -> None:
    LooksThere(folder, int(time.time())).run(GUIDE_ROUNDS)

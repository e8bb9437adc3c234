"""Every program of docs/client.md prints what it says, against the page's own server, on asyncio and on trio."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests_support.pages import programs_of
from tests_support.served import Served, checkout_environ, serving

PROGRAMS = programs_of("docs/client.md")

SAYS = {
    "order.py": "result: lamp 1\npacked: 0\npacked: 1\ndone\ncompleted\n",
    "failing.py": "failed - not approved\nshop has no result\n",
    "script.py": "True\n['Packed', 'Packed', 'Receipt']\nTrue\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    for name, text in PROGRAMS.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[Served]:
    with serving(folder / "shop.py", cwd=folder) as server:
        yield server


def test_every_program_is_known_here() -> None:
    assert set(PROGRAMS) == {"shop.py", *SAYS}


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize("name", SAYS)
def test_what_a_program_prints(server: Served, folder: Path, name: str, loop: str) -> None:
    text = (
        PROGRAMS[name].replace("http://127.0.0.1:8080", server.url).replace("run(main)", f"run(main, backend={loop!r})")
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text],
        cwd=folder,
        env=checkout_environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == (SAYS[name], "")

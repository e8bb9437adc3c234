"""Type checkers resolve the documented names, from the wheel and from an editable install.

What they are shown is what people are shown: the guide's programs, the examples, and the programs of the documentation.
An editable install is shown only the guide's: they import whatever can be found in another way there.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests_support.environments import CHECKOUT, Environment, build, clean_environ
from tests_support.pages import PAGES, programs_of

pytestmark = pytest.mark.packaging

FILES = {
    "guide": [
        *Path(__file__).parent.glob("programs/*.py"),
        CHECKOUT / "crash" / "programs" / "resumable.py",
        CHECKOUT / "crash" / "programs" / "guide_client.py",
    ],
    "examples": [*(CHECKOUT / "examples").glob("*.py")],
}
SHOWN = {
    **{folder: {file.name: file.read_text(encoding="utf-8") for file in files} for folder, files in FILES.items()},
    **{Path(page).stem: programs for page in ("README.md", *PAGES) if (programs := programs_of(page))},
}
"""Programs by folder: those of one page import each other, and those of two have the same names."""

STRANGERS = re.compile(r"^(?:from|import) (?:fastapi|opentelemetry|starlette|trio)\b", re.MULTILINE)
"""Who needs these is left out: they are not installed beside it."""


@pytest.fixture(scope="module")
def environment(new_environment: Callable[[], Environment]) -> Environment:
    """An environment with our wheel, and what is shown beside it."""
    environment = new_environment()
    for folder, programs in SHOWN.items():
        place = environment.path.parent / "shown" / folder
        place.mkdir(parents=True)
        for name, text in programs.items():
            if not STRANGERS.search(text):
                (place / name).write_text(text, encoding="utf-8")
    environment.install("workflow-server[client]")
    return environment


@pytest.fixture(scope="module", params=["wheel", "editable"])
def installed(
    request: pytest.FixtureRequest, environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """The same with our distribution of either kind. What mypy knows of the others' serves the second, too."""
    if request.param == "editable":
        environment.uninstall("workflow-server")
        environment.install("--no-deps", str(build("editable", CHECKOUT, tmp_path_factory.mktemp("editable"))))
    return environment


@pytest.fixture
def folders(installed: Environment) -> list[str]:
    """Names of the folders that are shown."""
    editable = not (installed.site_packages / "workflow_server").exists()
    return ["guide"] if editable else list(SHOWN)


def check(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=clean_environ(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.stdout


def mypy(environment: Environment, shown: Path, folders: list[str]) -> tuple[set[tuple[str, int]], str]:
    """Return where mypy complains, and all that it says."""
    cache = environment.path / "mypy_cache"
    options = ["--strict", "--python-executable", str(environment.python), "--cache-dir", str(cache), "--config-file="]
    said = "".join(check(["mypy", *options, "."], shown / folder) for folder in folders)
    return {(name, int(line)) for name, line in re.findall(r"^(\S+?):(\d+): error", said, re.MULTILINE)}, said


def pyright(environment: Environment, shown: Path, folders: list[str]) -> tuple[set[tuple[str, int]], str]:
    """Return where pyright complains in strict mode, and all that it says."""
    roots = [{"root": folder} for folder in folders]
    settings = {"typeCheckingMode": "strict", "include": folders, "executionEnvironments": roots}
    (shown / "pyrightconfig.json").write_text(json.dumps(settings))
    said = check(["pyright", "--pythonpath", str(environment.python), "--outputjson"], shown)
    found = json.loads(said)["generalDiagnostics"]
    return {(Path(d["file"]).name, d["range"]["start"]["line"] + 1) for d in found if d["severity"] == "error"}, said


def marked_mistakes() -> set[tuple[str, int]]:
    return {
        (name, number)
        for name, text in SHOWN["guide"].items()
        for number, line in enumerate(text.splitlines(), 1)
        if line.endswith("# mistake")
    }


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_programs_are_typed_and_mistakes_are_found(
    installed: Environment,
    folders: list[str],
    checker: Callable[[Environment, Path, list[str]], tuple[set[tuple[str, int]], str]],
) -> None:
    complaints, said = checker(installed, installed.path.parent / "shown", folders)
    assert complaints == marked_mistakes(), said

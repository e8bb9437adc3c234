"""Type checkers resolve the documented names, from the wheel and from an editable install."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests_support.environments import CHECKOUT, Environment, build, clean_environ

pytestmark = pytest.mark.packaging

PROGRAMS = (
    CHECKOUT / "crash" / "programs" / "resumable.py",
    *(CHECKOUT / "examples" / name for name in ("progress.py", "person_in_the_loop.py", "parallel.py")),
)
"""Programs that lie elsewhere, the guide's among them."""
MISTAKEN = "mistaken.py"


@pytest.fixture(scope="module", params=["wheel", "editable"])
def installed(
    request: pytest.FixtureRequest,
    new_environment: Callable[[], Environment],
    tmp_path_factory: pytest.TempPathFactory,
) -> Environment:
    """An environment with our distribution alone, of either kind."""
    environment = new_environment()
    for program in PROGRAMS:
        shutil.copy(program, environment.path.parent / "programs")
    environment.install("workflow-server")
    if request.param == "editable":
        environment.uninstall("workflow-server")
        environment.install("--no-deps", str(build("editable", CHECKOUT, tmp_path_factory.mktemp("editable"))))
    return environment


def check(command: list[str], environment: Environment) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=environment.path.parent / "programs",
        env=clean_environ(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def mypy(environment: Environment, *programs: str) -> tuple[set[tuple[str, int]], str]:
    """Return where mypy complains, and all that it says."""
    cache = environment.path / "mypy_cache"
    options = ["--strict", "--python-executable", str(environment.python), "--cache-dir", str(cache), "--config-file="]
    said = check(["mypy", *options, *programs], environment).stdout
    return {(name, int(line)) for name, line in re.findall(r"^(\S+?):(\d+): error", said, re.MULTILINE)}, said


def pyright(environment: Environment, *programs: str) -> tuple[set[tuple[str, int]], str]:
    """Return where pyright complains in strict mode, and all that it says."""
    project = environment.path.parent / "programs" / "pyrightconfig.json"
    project.write_text(json.dumps({"typeCheckingMode": "strict", "include": list(programs)}))
    said = check(["pyright", "--pythonpath", str(environment.python), "--outputjson"], environment).stdout
    found = json.loads(said)["generalDiagnostics"]
    return {(Path(d["file"]).name, d["range"]["start"]["line"] + 1) for d in found if d["severity"] == "error"}, said


def marked_mistakes() -> set[tuple[str, int]]:
    lines = (Path(__file__).parent / "programs" / MISTAKEN).read_text().splitlines()
    return {(MISTAKEN, number) for number, line in enumerate(lines, 1) if line.endswith("# mistake")}


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_programs_are_typed_and_mistakes_are_found(
    installed: Environment, checker: Callable[..., tuple[set[tuple[str, int]], str]]
) -> None:
    complaints, said = checker(installed, "my_server.py", *(program.name for program in PROGRAMS), MISTAKEN)
    assert complaints == marked_mistakes(), said

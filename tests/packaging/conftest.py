"""What the packaging tests share: the built wheel, and environments it is installed in.

Every environment serves a whole module, and a test may change it only if its fixture says so.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests_support.environments import CHECKOUT, PEER, Environment, NoPackageIndex, build, pip

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return build("wheel", CHECKOUT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def wheels(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our wheel, its dependencies and the peer's distributions from the package index."""
    folder = tmp_path_factory.mktemp("wheels")
    try:
        pip("download", "--only-binary=:all:", "--dest", str(folder), str(wheel), *PEER)
    except NoPackageIndex:
        pytest.skip("the package index can't be reached")
    return folder


@pytest.fixture(scope="module")
def new_environment(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Environment]:
    """Make an empty environment."""

    def create() -> Environment:
        environment = Environment.create(tmp_path_factory.mktemp("environment") / "venv", wheels)
        # Programs lie beside it, so that the folder a program runs in holds nothing else.
        shutil.copytree(PROGRAMS, environment.path.parent / "programs")
        return environment

    return create

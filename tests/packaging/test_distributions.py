"""What the wheel and the source distribution hold."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

from tests_support.environments import CHECKOUT, build


def names_in(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_the_wheel_puts_nothing_into_folders_that_others_own(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in names_in(wheel)}
    assert tops == {"workflow_server", "workflows.py", "llama_agents.py", "workflows-stubs", "llama_agents-stubs"}


def test_the_wheel_holds_every_module_once_and_the_page_inside_the_package(wheel: Path) -> None:
    package = {
        path.relative_to(CHECKOUT).as_posix()
        for path in (CHECKOUT / "workflow_server").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and "top_level" not in path.parts
    }
    page = {
        f"workflow_server/{path.relative_to(CHECKOUT).as_posix()}"
        for path in (CHECKOUT / "ui_dist").rglob("*")
        if path.is_file()
    }
    assert page, "there is no page"
    assert "workflow_server/py.typed" in package
    assert {name for name in names_in(wheel) if name.startswith("workflow_server/")} == package | page


def test_a_wheel_built_from_the_source_distribution_is_the_same(wheel: Path, tmp_path: Path) -> None:
    archive = build("sdist", CHECKOUT, tmp_path / "sdist")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    assert {"LICENSE", "README.md", "CHANGELOG.md", "noxfile.py", "tests", "examples"} <= {
        p.name for p in source.iterdir()
    }
    assert names_in(build("wheel", source, tmp_path / "wheel")) == names_in(wheel)


def test_an_editable_install_copies_nothing(tmp_path: Path) -> None:
    """Copies of module files, stubs or the page would grow stale while the checkout moves on."""
    assert names_in(build("editable", CHECKOUT, tmp_path)) == {"_workflow_server.pth"}

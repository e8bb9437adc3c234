"""Virtual environments as a user has them: only what was installed there, nothing of the tests' own.

They are made without pip (the tests' pip installs into them), which saves seconds each, and filled from
a folder of wheels that was fetched from the package index once.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

PEER = ("llama-index-workflows", "llama-agents-server", "llama-agents-client")
"""The distributions that own the names `workflows` and `llama_agents`."""

_UNREACHABLE = re.compile(r"NewConnectionError|ConnectTimeout|ProxyError|NameResolutionError|Network is unreachable")
_OURS = ("PYTHON", "COV", "VIRTUAL_ENV", "WORKFLOWS_PY_")


class NoPackageIndex(Exception):
    """The package index can't be reached."""


def clean_environ() -> dict[str, str]:
    """Return the environment variables without those that would let a process see the tests' own modules."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


def pip(*arguments: str, timeout: float = 180) -> str:
    """Run the tests' own pip and return what it printed.

    Raises:
        NoPackageIndex: It could not connect.
        AssertionError: It failed for any other reason.
    """
    command = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", "--retries=1", *arguments]
    done = subprocess.run(command, env=clean_environ(), capture_output=True, text=True, timeout=timeout, check=False)
    output = done.stdout + done.stderr
    if done.returncode and _UNREACHABLE.search(output):
        raise NoPackageIndex(output)
    assert done.returncode == 0, output
    return output


def build(target: str, source: Path, folder: Path) -> Path:
    """Build a `wheel`, an `sdist` or an `editable` of the project in `source` into `folder` and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", f"import hatchling.build as b; print(b.build_{target}({str(folder)!r}))"],
        cwd=source,
        env=clean_environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Args:
        path: Its folder.
        wheels: The folder that `install` takes distributions from.
    """

    path: Path
    wheels: Path

    @classmethod
    def create(cls, path: Path, wheels: Path) -> Environment:
        """Make a new, empty environment."""
        venv.create(path, with_pip=False, symlinks=os.name != "nt")
        return cls(path, wheels)

    @cached_property
    def python(self) -> Path:
        """Its interpreter."""
        return self.script("python")

    def script(self, name: str) -> Path:
        """Return the path of one of its commands."""
        return self.path / ("Scripts" if os.name == "nt" else "bin") / name

    @cached_property
    def site_packages(self) -> Path:
        """Where distributions lie."""
        return Path(self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())

    def install(self, *distributions: str) -> None:
        """Install distributions, with what they need, from the folder of wheels."""
        self._pip("install", "--no-compile", "--no-index", "--find-links", str(self.wheels), *distributions)

    def uninstall(self, *distributions: str) -> None:
        """Uninstall distributions, but nothing that they needed."""
        self._pip("uninstall", "--yes", *distributions)

    def _pip(self, *arguments: str) -> None:
        pip("--python", str(self.python), *arguments)

    def run(self, *arguments: str, cwd: Path | None = None, timeout: float = 60) -> str:
        """Run its interpreter, which must succeed, and return what it printed to stdout."""
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=cwd or self.path,
            env=clean_environ(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def files(self) -> dict[str, str]:
        """Return the digest of every file in site-packages by its path there; bytecode is left out."""
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in self._installed()}

    def _installed(self) -> Iterator[tuple[str, Path]]:
        for path in self.site_packages.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(self.site_packages).as_posix(), path

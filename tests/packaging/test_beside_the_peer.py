"""Our names and those of the distributions that own them, in one environment, in every order.

Each distribution's own record of digests says whether a file of it was changed, so the order of
installing hides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests_support.environments import CHECKOUT, PEER, Environment, build

pytestmark = pytest.mark.packaging

OWNERS = f"""
import base64, hashlib, json
from importlib import import_module, metadata

damaged, owner = [], {{}}
for distribution in metadata.distributions():
    if distribution.name in {PEER!r}:
        for file in distribution.files or []:
            path = file.locate()
            if file.hash is None:
                continue
            digest = hashlib.new(file.hash.mode, path.read_bytes()).digest() if path.exists() else b""
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
                damaged.append(str(file))

def home(module, name):
    try:
        found = getattr(import_module(module), name)
    except ImportError as error:
        return f"{{type(error).__name__}}"
    return found.__module__.partition(".")[0]

print(json.dumps({{
    "damaged": damaged,
    "workflows": home("workflows", "Workflow"),
    "workflows.events": home("workflows.events", "StopEvent"),
    "llama_agents.server": home("llama_agents.server", "WorkflowServer"),
    "llama_agents.client": home("llama_agents.client", "WorkflowClient"),
    "llama_agents.workflows": home("llama_agents.workflows", "Workflow"),
    "workflow_server": home("workflow_server", "WorkflowServer"),
}}))
"""
"""Prints the peer's changed files, and the top-level package that each name's class comes from."""

ALL_OURS = {
    "damaged": [],
    "workflows": "workflow_server",
    "workflows.events": "workflow_server",
    "llama_agents.server": "workflow_server",
    "llama_agents.client": "workflow_server",
    "llama_agents.workflows": "workflow_server",
    "workflow_server": "workflow_server",
}
ALL_THEIRS = {
    "damaged": [],
    "workflows": "workflows",
    "workflows.events": "workflows",
    "llama_agents.server": "llama_agents",
    "llama_agents.client": "llama_agents",
    "llama_agents.workflows": "workflows",
    "workflow_server": "workflow_server",
}


def owners(environment: Environment) -> dict[str, object]:
    found: dict[str, object] = json.loads(environment.run("-W", "ignore", "-c", OWNERS))
    return found


@pytest.fixture(scope="module")
def furnished(new_environment: Callable[[], Environment]) -> Environment:
    """An environment with all that either side needs, so that the sides themselves come and go in a second."""
    environment = new_environment()
    environment.install("workflow-server", *PEER)
    environment.uninstall("workflow-server", *PEER)
    return environment


@pytest.fixture
def environment(furnished: Environment) -> Iterator[Environment]:
    """An environment where neither side is installed, for one test."""
    before = furnished.files()
    yield furnished
    furnished.uninstall("workflow-server", *PEER)
    assert furnished.files() == before, "something was left behind"


def test_installed_before_the_peer(environment: Environment) -> None:
    """Theirs win once they are there; when they leave, ours are found again."""
    environment.install("--no-deps", "workflow-server")
    ours = environment.files()
    assert owners(environment) == ALL_OURS
    environment.install("--no-deps", *PEER)
    assert owners(environment) == ALL_THEIRS
    assert ours.items() <= environment.files().items(), "a file of ours was changed"
    environment.uninstall(*PEER)
    assert owners(environment) == ALL_OURS


def test_installed_after_the_peer_and_removed_again(environment: Environment) -> None:
    environment.install("--no-deps", *PEER)
    theirs = environment.files()
    environment.install("--no-deps", "workflow-server")
    assert owners(environment) == ALL_THEIRS
    environment.run("-m", "workflow_server", "--help")
    environment.uninstall("workflow-server")
    assert environment.files() == theirs
    environment.run("-W", "ignore", "-c", "import workflows, llama_agents.server, llama_agents.client")


def test_installed_between_parts_of_the_peer(environment: Environment) -> None:
    """Each name is theirs as soon as the distribution that owns it is there, and ours until then."""
    environment.install("--no-deps", "llama-index-workflows")
    environment.install("--no-deps", "workflow-server")
    assert owners(environment) == {
        **ALL_THEIRS,
        "llama_agents.server": "workflow_server",
        "llama_agents.client": "workflow_server",
    }
    environment.install("--no-deps", "llama-agents-client")
    assert owners(environment) == {**ALL_THEIRS, "llama_agents.server": "workflow_server"}
    environment.install("--no-deps", "llama-agents-server")
    assert owners(environment) == ALL_THEIRS


def test_an_editable_install_yields_to_the_peer_too(environment: Environment, tmp_path: Path) -> None:
    environment.install("--no-deps", str(build("editable", CHECKOUT, tmp_path)))
    assert owners(environment) == ALL_OURS
    environment.install("--no-deps", *PEER)
    assert owners(environment) == ALL_THEIRS
    path = environment.run("-c", "import workflows; print(*workflows.__path__)").split()
    assert path == [str(environment.site_packages / "workflows")], "our folder mixed into theirs"

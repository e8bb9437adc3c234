"""The documented import names are this project's modules, whichever name comes first.

Each test asks a fresh interpreter: in this process everything was imported long ago.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests_support.served import CHECKOUT, checkout_environ

ALIASES = CHECKOUT / "workflow_server" / "aliases"

LEAVES = {
    "workflows.events": "workflow_server.events",
    "workflows.errors": "workflow_server.errors",
    "workflows.decorators": "workflow_server.definition.step",
    "workflows.handler": "workflow_server.runtime.handler",
    "workflows.workflow": "workflow_server.runtime.workflow",
    "workflows.resource": "workflow_server.runtime.resource",
    "workflows.collect": "workflow_server.definition.collect",
    "workflows.retry_policy": "workflow_server.definition.retry_policy",
    "workflows.testing.runner": "workflow_server.testing.runner",
    "workflows.types": "workflow_server.types",
    "workflows.context.serializers": "workflow_server.serializers",
    "workflows.context.state_store": "workflow_server.runtime.state_store",
    "llama_agents.server.server": "workflow_server.server",
    "llama_agents.client.client": "workflow_server.client.client",
    "llama_agents.client.protocol.serializable_events": "workflow_server.wire.envelopes",
}
PACKAGES = (
    "workflows",
    "workflows.client",
    "workflows.context",
    "workflows.representation",
    "workflows.server",
    "workflows.testing",
)

EXPORTS = {
    "workflows": ("Context", "Workflow", "catch_error", "step"),
    "workflows.context": ("BaseSerializer", "Context", "JsonSerializer", "PickleSerializer"),
    "workflows.testing": ("WorkflowTestRunner",),
    "workflows.client": (
        "CancelHandlerResponse",
        "EventEnvelopeWithMetadata",
        "EventStream",
        "HandlerData",
        "HandlersListResponse",
        "SendEventResponse",
        "WorkflowClient",
        "WorkflowEventsListResponse",
        "WorkflowGraphResponse",
        "WorkflowSchemaResponse",
    ),
    "llama_agents.client.protocol": (
        "CancelHandlerResponse",
        "HandlerData",
        "HandlersListResponse",
        "HealthResponse",
        "SendEventResponse",
        "Status",
        "WorkflowEventsListResponse",
        "WorkflowGraphResponse",
        "WorkflowSchemaResponse",
        "WorkflowsListResponse",
        "is_status_completed",
    ),
    "workflows.server": (
        "AbstractWorkflowStore",
        "HandlerQuery",
        "MemoryWorkflowStore",
        "PersistentHandler",
        "SqliteWorkflowStore",
        "WorkflowServer",
    ),
}


ONLY_BELOW_LLAMA_AGENTS = {
    "llama_agents",
    "llama_agents.client",
    "llama_agents.client.protocol",
    "llama_agents.server",
    "llama_agents.workflows",
}


def python(program: str, *, cwd: Path | None = None) -> str:
    """Run `program` in a fresh interpreter with warnings as errors and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=cwd,
        env=checkout_environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def also_below_llama_agents(name: str) -> str:
    return f"llama_agents.{name}"


def test_every_alias_module_is_listed_here() -> None:
    found = {
        ".".join(part for part in path.relative_to(ALIASES).with_suffix("").parts if part != "__init__")
        for top in ("workflows", "llama_agents")
        for path in (ALIASES / top).rglob("*.py")
        if path.stem != "__main__"
    }
    assert found == {*LEAVES, *PACKAGES, *ONLY_BELOW_LLAMA_AGENTS}


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_a_leaf_module_is_one_whichever_name_is_imported_first(order: tuple[int, ...]) -> None:
    lines = ["from importlib import import_module"]
    for leaf, real in LEAVES.items():
        names = [leaf, real, also_below_llama_agents(leaf) if leaf.startswith("workflows") else leaf]
        lines.append(f"assert len({{import_module(n) for n in {[names[place] for place in order]}}}) == 1, {leaf!r}")
    python("\n".join(lines))


@pytest.mark.parametrize("reverse", [False, True])
def test_a_package_is_one_under_its_two_names(reverse: bool) -> None:
    lines = ["from importlib import import_module"]
    for package in PACKAGES:
        names = sorted((package, also_below_llama_agents(package)), reverse=reverse)
        lines.append(f"assert len({{import_module(n) for n in {names}}}) == 1, {package!r}")
    python("\n".join(lines))


def test_names_below_llama_agents_are_attributes_too() -> None:
    python(
        "import llama_agents.workflows.context.serializers as serializers, llama_agents, workflows\n"
        "assert llama_agents.workflows is workflows\n"
        "assert workflows.context.serializers is serializers\n"
        "from llama_agents.workflows import Workflow\n"
        "from workflows.workflow import Workflow as same\n"
        "assert Workflow is same"
    )


def test_patching_a_documented_name_patches_the_module_in_use() -> None:
    python(
        "from unittest import mock\nimport workflow_server.events as events\n"
        "with mock.patch('workflows.events.StopEvent', 'patched'):\n    assert events.StopEvent == 'patched'\n"
        "assert events.StopEvent != 'patched'"
    )


@pytest.mark.parametrize("module", EXPORTS)
def test_what_a_package_exports(module: str) -> None:
    found = python(f"import {module} as m\nprint(*sorted(m.__all__))\nassert all(hasattr(m, n) for n in m.__all__)")
    assert tuple(found.split()) == EXPORTS[module]


@pytest.mark.parametrize("package", ["server", "client"])
def test_both_packages_offer_the_same(package: str) -> None:
    python(
        f"import workflows.{package} as short, llama_agents.{package} as long\n"
        "assert short.__all__ == long.__all__\n"
        "assert all(getattr(short, name) is getattr(long, name) for name in short.__all__)"
    )


@pytest.mark.parametrize("name", ["workflows", "llama_agents"])
def test_a_top_level_name_is_a_package_in_every_respect(name: str) -> None:
    """`importlib.resources`, `pkgutil` and relative imports look at different attributes; all say the same."""
    folder = str(ALIASES / name)
    python(
        f"import importlib.resources, {name} as m\n"
        f"assert m.__package__ == m.__spec__.parent == m.__name__ == {name!r}\n"
        f"assert list(m.__path__) == list(m.__spec__.submodule_search_locations) == [{folder!r}]\n"
        f"assert str(importlib.resources.files({name!r})) == {folder!r}"
    )


def test_no_deprecation_is_announced_and_unknown_names_are_unknown() -> None:
    python(
        "import workflows.server, llama_agents.server\n"
        "try:\n    from workflows import AtLeast\nexcept ImportError:\n    pass\nelse:\n    raise AssertionError\n"
        "try:\n    import workflows.nonsense\nexcept ModuleNotFoundError as error:\n"
        "    assert error.name == 'workflows.nonsense'\nelse:\n    raise AssertionError"
    )


def test_a_folder_called_like_a_name_is_harmless_but_a_package_wins(tmp_path: Path) -> None:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "notes.txt").touch()
    where = "import workflows; print(workflows.__file__)"
    assert python(where, cwd=tmp_path) == str(ALIASES / "workflows" / "__init__.py")
    (tmp_path / "workflows" / "__init__.py").touch()
    assert python(where, cwd=tmp_path) == str(tmp_path / "workflows" / "__init__.py")


def test_folders_of_other_distributions_come_before_ours(tmp_path: Path) -> None:
    theirs = tmp_path / "llama_agents" / "client"
    theirs.mkdir(parents=True)
    (theirs / "__init__.py").write_text("owner = 'they'\n")
    python(
        "import llama_agents.client, llama_agents.server\n"
        "assert llama_agents.client.owner == 'they'\n"
        "assert llama_agents.server.WorkflowServer.__module__ == 'workflow_server.server'",
        cwd=tmp_path,
    )


def test_stub_packages_name_every_module() -> None:
    stubs = ALIASES / "top_level"
    below_workflows = {
        path.relative_to(ALIASES / "workflows").with_suffix(".pyi")
        for path in (ALIASES / "workflows").rglob("*.py")
        if path.stem != "__main__"
    }
    for folder in (stubs / "workflows-stubs", stubs / "llama_agents-stubs" / "workflows"):
        assert {path.relative_to(folder) for path in folder.rglob("*.pyi")} == below_workflows


def test_a_start_loads_nothing_that_only_some_programs_need() -> None:
    python(
        "import sys\n"
        "before = set(sys.modules)  # what measures the coverage of this process, for one\n"
        "import workflow_server.cli\n"
        "from llama_agents.server import WorkflowServer\n"
        "from workflows.server import WorkflowServer\n"
        "late = {'pickle', 'sqlite3', 'webbrowser'} & (set(sys.modules) - before)\n"
        "assert not late, late"
    )

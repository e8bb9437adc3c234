"""Names of classes, and the ways back to them."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from workflow_server import errors, events
from workflow_server.naming import PUBLIC_MODULES, TypeTable, only_these, qualified_name, resolve, routing_name


class Plain:
    pass


class Outer:
    class Plain:
        pass

    class Inner:
        pass


HERE = __name__
DOCUMENTED = {
    "workflows.events": "StopEvent",
    "workflows.errors": "WorkflowDone",
    "workflows.context.state_store": "DictState",
}


def test_a_qualified_name_is_module_and_class() -> None:
    assert qualified_name(Outer.Inner) == f"{HERE}.Inner"
    assert routing_name(Outer.Inner) == f"{HERE}.Outer.Inner"


def test_routing_names_keep_what_is_local_to_a_function() -> None:
    class Local:
        pass

    assert routing_name(Local) == f"{HERE}.test_routing_names_keep_what_is_local_to_a_function.<locals>.Local"


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (events.StopEvent, "workflows.events.StopEvent"),
        (errors.WorkflowRuntimeError, "workflows.errors.WorkflowRuntimeError"),
        (ValueError, "builtins.ValueError"),
    ],
)
def test_the_frameworks_classes_carry_their_documented_names(cls: type, name: str) -> None:
    assert qualified_name(cls) == routing_name(cls) == name
    assert resolve(name) is cls


def test_our_own_module_names_lead_there_too() -> None:
    for real, public in PUBLIC_MODULES.items():
        assert resolve(f"{real}.{DOCUMENTED[public]}") is resolve(f"{public}.{DOCUMENTED[public]}")


# ----------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (f"{HERE}.Inner", Outer.Inner),
        (f"{HERE}.Outer.Inner", Outer.Inner),
        ("Inner", Outer.Inner),
        ("__main__.Inner", Outer.Inner),
        ("another.module.Inner", Outer.Inner),
        (f"{HERE}.Plain", Plain),
        (f"{HERE}.Outer.Plain", Outer.Plain),
        ("Plain", None),
        ("__main__.Plain", None),
        ("Absent", None),
        ("", None),
        (".", None),
    ],
)
@pytest.mark.parametrize("types", [(Plain, Outer.Plain, Outer.Inner), (Outer.Plain, Outer.Inner, Plain)])
def test_a_declared_class_is_found_by_its_names(name: str, found: Any, types: tuple[type, ...]) -> None:
    """A name whose module differs, and a bare one, count only if they can mean one class."""
    assert TypeTable(types).find(name) is found


def test_short_names_are_found_if_they_can_mean_one_class() -> None:
    table = TypeTable((Plain, Outer.Plain, Outer.Inner, Outer.Inner))
    assert table.find_short("Inner") is Outer.Inner
    assert table.find_short("Plain") is None
    assert table.find_short(f"{HERE}.Inner") is None


def test_a_table_lists_each_class_once() -> None:
    assert set(TypeTable((Plain, Outer.Plain, Outer.Inner, Plain))) == {Plain, Outer.Plain, Outer.Inner}
    assert len(list(TypeTable((Plain, Outer.Plain, Outer.Inner, Plain)))) == 3


def test_a_framework_name_never_means_a_class_of_the_program() -> None:
    class StopEvent(events.StopEvent):
        pass

    class ValueError(events.Event):
        pass

    table = TypeTable((StopEvent, ValueError))
    assert table.find("workflows.events.StopEvent") is None
    assert table.find("workflow_server.events.StopEvent") is None
    assert table.find("builtins.ValueError") is None
    assert table.find_short("StopEvent") is StopEvent
    with only_these(table):
        assert resolve("workflows.events.StopEvent") is events.StopEvent


# ------------------------------------------------------------------------------------------- resolving


def test_without_a_limit_a_name_is_imported() -> None:
    assert resolve("os.PathLike") is os.PathLike
    assert resolve("asyncio.exceptions.TimeoutError") is TimeoutError
    assert asyncio.TimeoutError is TimeoutError


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".x",
        "ValueError",
        "no_such_module.X",
        "os.path",
        "os.NoSuchName",
        "workflows.events.NoSuchEvent",
        "workflows.events.cast",
        "a b.c",
        "x\0.y",
        "\ud800.x",
        "os..path",
    ],
)
def test_what_is_no_class_is_a_lookup_error(name: str) -> None:
    with pytest.raises(LookupError):
        resolve(name)


def test_a_module_that_fails_to_import_is_a_lookup_error(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_module_that_fails.py").write_text("raise RuntimeError('at import')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LookupError, match="at import"):
        resolve("a_module_that_fails.X")


def test_within_a_limit_only_declared_and_built_in_classes_are_found() -> None:
    with only_these(TypeTable((Plain,))):
        assert resolve(f"{HERE}.Plain") is Plain
        assert resolve("__main__.Plain") is Plain
        assert resolve("builtins.ValueError") is ValueError
        assert resolve("workflows.errors.WorkflowRuntimeError") is errors.WorkflowRuntimeError
        assert resolve("workflow_server.events.StopEvent") is events.StopEvent
        with pytest.raises(LookupError, match=r"os\.PathLike is not among the declared types"):
            resolve("os.PathLike")


def test_a_limit_imports_nothing(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_module_with_effects.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with only_these(TypeTable(())), pytest.raises(LookupError, match="not among the declared types"):
        resolve("a_module_with_effects.X")


def test_a_limit_ends_with_its_block_and_may_be_lifted_inside() -> None:
    with only_these(TypeTable(())):
        with only_these(None):
            assert resolve("os.PathLike") is os.PathLike
        with pytest.raises(LookupError):
            resolve("os.PathLike")
    assert resolve("os.PathLike") is os.PathLike

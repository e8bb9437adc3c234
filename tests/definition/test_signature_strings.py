"""Annotations as strings: which names they find, and from where."""

from __future__ import annotations

import sys
import textwrap
import types
from typing import Any, Generic, TypeVar

import pytest

from workflow_server.definition.step import catch_error, step
from workflow_server.errors import WorkflowValidationError
from workflow_server.events import Event, StartEvent, StepFailedEvent, StopEvent

S = TypeVar("S")


class Context(Generic[S]):
    pass


class Global(Event):
    pass


def accepted(function: Any) -> tuple[type, ...]:
    config: Any = function.step_config
    return config.accepted_events  # type: ignore[no-any-return]


def test_names_of_the_module() -> None:
    class W:
        @step
        async def work(self, ev: Global | StartEvent) -> StopEvent | None: ...

    assert accepted(W.work) == (Global, StartEvent)


def test_names_of_the_function_that_holds_the_class() -> None:
    class Local(Event):
        pass

    class W:
        @step
        async def bare(self, ev: Local, ctx: Context) -> StopEvent: ...  # type: ignore[type-arg]

        @step(num_workers=1)
        async def called(self, ev: Local) -> StopEvent: ...

        @catch_error
        async def rescue(self, ev: StepFailedEvent) -> Local: ...

    assert accepted(W.bare) == accepted(W.called) == (Local,)
    assert W.rescue.step_config.return_types == (Local,)  # type: ignore[attr-defined]


def test_names_of_the_class_body() -> None:
    class W:
        class Inner(Event):
            pass

        @step
        async def work(self, ev: Inner) -> StopEvent: ...

    assert accepted(W.work) == (W.Inner,)


def test_names_of_a_class_around_the_class() -> None:
    class Outer:
        class Inner(Event):
            pass

        class W:
            @step
            async def work(self, ev: Inner) -> StopEvent: ...  # type: ignore[name-defined]  # noqa: F821

    assert accepted(Outer.W.work) == (Outer.Inner,)


def test_names_of_functions_around_the_function() -> None:
    class Local(Event):
        pass

    def make() -> Any:
        class W:
            @step
            async def work(self, ev: Local) -> StopEvent: ...

        return W

    assert accepted(make().work) == (Local,)


def test_inner_names_win() -> None:
    class Same(Event):
        pass

    outer = Same

    def make() -> Any:
        class Same(Event):
            pass

        class W:
            @step
            async def work(self, ev: Same) -> StopEvent: ...

        return W, Same

    workflow, inner = make()
    assert accepted(workflow.work) == (inner,)
    assert inner is not outer


def test_callers_that_do_not_hold_the_function_lend_no_names() -> None:
    class OnlyHere(Event):
        pass

    with pytest.raises(WorkflowValidationError, match="Missing name: OnlyHere"):
        make_elsewhere()
    assert issubclass(OnlyHere, Event)


def make_elsewhere() -> Any:
    class W:
        @step
        async def work(self, ev: OnlyHere) -> StopEvent: ...  # type: ignore[name-defined]  # noqa: F821

    return W


def test_a_function_decorated_by_a_helper_sees_the_helpers_caller() -> None:
    """The names come from where the decorator is applied, also for a function made elsewhere."""

    class Local(Event):
        pass

    async def work(self: Any, ev: Local) -> StopEvent: ...

    work.__qualname__ = "W.work"
    assert accepted(step(work)) == (Local,)


@pytest.fixture
def other_module() -> Any:
    module = types.ModuleType("a_module_of_a_program")
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


def test_locals_of_the_decorating_module_never_shadow_names_of_the_function(other_module: Any) -> None:
    source = """
        from __future__ import annotations
        from workflow_server.events import Event, StartEvent, StopEvent

        class Mine(Event): pass

        async def work(self, ev: Mine | Extra) -> StopEvent: ...
        work.__qualname__ = "W.work"
        """
    exec(textwrap.dedent(source), other_module.__dict__)

    class Mine(Event):
        pass

    class Extra(Event):
        pass

    assert accepted(step(other_module.work)) == (other_module.Mine, Extra)


def test_a_module_can_be_run_with_locals_of_its_own(other_module: Any) -> None:
    source = """
        from __future__ import annotations
        class Mine(Event): pass
        class W:
            @step
            async def work(self, ev: Mine) -> StopEvent: ...
        """
    names: dict[str, Any] = {}
    exec(textwrap.dedent(source), {"Event": Event, "StopEvent": StopEvent, "step": step, "__name__": "x"}, names)
    assert accepted(names["W"].work) == (names["Mine"],)


def test_a_missing_name_is_named() -> None:
    with pytest.raises(
        WorkflowValidationError, match=r"Failed to resolve type annotations of step .*W\.work\. Missing name: Absent"
    ):

        class W:
            @step
            async def work(self, ev: Absent) -> StopEvent: ...  # type: ignore[name-defined]  # noqa: F821


def test_a_broken_annotation_is_told() -> None:
    async def work(self: Any, ev: Any) -> StopEvent: ...

    work.__annotations__["ev"] = "Global.nothing"
    work.__qualname__ = "W.work"
    with pytest.raises(WorkflowValidationError, match=r"Failed to resolve type annotations of step W\.work: .*nothing"):
        step(work)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type` statements came with Python 3.12")
def test_type_aliases_are_followed() -> None:
    names: dict[str, Any] = {"A": Global, "B": StartEvent}
    exec("type Either = A | B", names)
    Either = names["Either"]  # named by the annotation

    class W:
        @step
        async def work(self, ev: Either) -> StopEvent: ...  # type: ignore[valid-type]

    assert accepted(W.work) == (Global, StartEvent)

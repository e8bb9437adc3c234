"""Where events come to be, and what validation says of lists that lead nowhere and sets that never meet."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from workflow_server import Workflow, catch_error, step
from workflow_server.definition.collect import Collect, Take
from workflow_server.definition.compiled import definition_of
from workflow_server.definition.streams import levels_of
from workflow_server.engine.shape import shape_of
from workflow_server.errors import WorkflowValidationError
from workflow_server.events import (
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
)


class A(Event):
    pass


class SubA(A):
    pass


class B(Event):
    pass


class C(Event):
    pass


class D(Event):
    pass


class Ask(InputRequiredEvent):
    pass


class Answer(HumanResponseEvent):
    pass


def bindings(workflow: type[Workflow]) -> dict[str, tuple[str, ...]]:
    return dict(levels_of(definition_of(workflow)).bindings)


def made(workflow: type[Workflow], event: type[Event]) -> set[str | None]:
    return set(levels_of(definition_of(workflow)).made[event])


class Nested(Workflow):
    @step
    async def outer(self, ev: StartEvent) -> list[A]: ...

    @step
    async def inner(self, ev: A) -> list[B] | C: ...

    @step
    async def work(self, ev: B) -> B | None: ...

    @step
    async def gather_inner(self, found: list[B]) -> C: ...

    @step
    async def gather_outer(self, found: list[C]) -> StopEvent: ...


def test_what_is_collected_belongs_to_where_the_list_was_returned() -> None:
    assert made(Nested, A) == {"outer"}
    assert made(Nested, B) == {"inner"}
    assert made(Nested, C) == {"outer"}
    assert made(Nested, StopEvent) == {None}
    assert bindings(Nested) == {"outer": ("gather_outer",), "inner": ("gather_inner",)}
    assert not Nested().validate()


class Recursive(Workflow):
    @step
    async def begin(self, ev: StartEvent) -> A: ...

    @step
    async def split(self, ev: A) -> list[A] | B: ...

    @step
    async def gather(self, found: list[B]) -> B: ...

    @step
    async def end(self, ev: B) -> StopEvent: ...


def test_a_list_may_lead_to_lists_of_its_own_step() -> None:
    assert made(Recursive, B) == {None, "split"}
    assert bindings(Recursive) == {"split": ("gather",)}


class Rescued(Workflow):
    @step
    async def go(self, ev: StartEvent) -> list[A]: ...

    @step
    async def work(self, ev: A) -> None: ...

    @catch_error
    async def rescue(self, ev: StepFailedEvent) -> B: ...

    @step
    async def gather(self, found: list[B]) -> StopEvent: ...


def test_a_handler_stands_in_for_the_step_that_failed() -> None:
    assert made(Rescued, B) == {None, "go"}
    assert bindings(Rescued) == {"go": ("gather",)}


class Several(Workflow):
    """Two producers, one collector for both, and one that only one of them feeds."""

    @step
    async def one(self, ev: StartEvent) -> list[A]: ...

    @step
    async def two(self, ev: StartEvent) -> list[A | B]: ...

    @step
    async def gather_a(self, found: list[A]) -> C: ...

    @step
    async def gather_b(self, found: Annotated[list[B], Collect(Take(2))]) -> C: ...

    @step
    async def end(self, ev: C) -> StopEvent | None: ...


def test_a_collect_step_is_bound_to_every_list_that_feeds_it() -> None:
    assert bindings(Several) == {"one": ("gather_a",), "two": ("gather_a", "gather_b")}
    shape = shape_of(definition_of(Several))
    assert shape.steps["two"].feeds == ("gather_a", "gather_b")
    assert [(shape.steps[name].collects, shape.steps[name].take) for name in ("one", "gather_a", "gather_b")] == [
        (False, None),
        (True, None),
        (True, 2),
    ]


class Subclasses(Workflow):
    @step
    async def go(self, ev: StartEvent) -> list[SubA]: ...

    @step(accept_event_subclasses=True)
    async def gather(self, found: list[A]) -> StopEvent: ...


def test_subclasses_feed_where_they_are_taken() -> None:
    assert bindings(Subclasses) == {"go": ("gather",)}
    Subclasses().validate()


# ------------------------------------------------------------------------------------------- what is refused


class NoList(Workflow):
    @step
    async def go(self, ev: StartEvent) -> A: ...

    @step
    async def gather(self, found: list[A]) -> StopEvent: ...


class OtherList(Workflow):
    @step
    async def go(self, ev: StartEvent) -> list[B]: ...

    @step
    async def work(self, ev: B) -> None: ...

    @step
    async def gather(self, found: list[A]) -> StopEvent: ...


class HalfFed(Workflow):
    @step
    async def go(self, ev: StartEvent) -> list[B]: ...

    @step
    async def gather(self, found: list[A | B]) -> StopEvent: ...


class NoSubclasses(Workflow):
    @step
    async def go(self, ev: StartEvent) -> list[SubA]: ...

    @step
    async def gather(self, found: list[A]) -> StopEvent: ...


class OneLevelUp(Workflow):
    @step
    async def go(self, ev: StartEvent) -> list[B]: ...

    @step
    async def inner(self, found: list[B]) -> A: ...

    @step
    async def outer(self, found: list[A]) -> StopEvent: ...


class StartsWithAList(Workflow):
    @step
    async def go(self, found: list[StartEvent]) -> StopEvent: ...


class Answered(Workflow):
    @step
    async def go(self, ev: StartEvent) -> list[Ask]: ...

    @step
    async def gather(self, found: list[Answer]) -> StopEvent: ...


@pytest.mark.parametrize(
    ("workflow", "named"),
    [
        (NoList, r"'gather' collects list\[A\]"),
        (OtherList, r"'gather' collects list\[A\]"),
        (HalfFed, r"'gather' collects list\[A\]"),
        (NoSubclasses, r"'gather' collects list\[A\]"),
        (OneLevelUp, r"'outer' collects list\[A\]"),
        (StartsWithAList, r"'go' collects list\[StartEvent\]"),
        (Answered, r"'gather' collects list\[Answer\]"),
    ],
)
def test_a_collect_step_needs_a_list_that_feeds_it(workflow: type[Workflow], named: str) -> None:
    with pytest.raises(WorkflowValidationError, match=named + ".*returned-list producer"):
        workflow().validate()


class Below(Workflow):
    @step
    async def go(self, ev: StartEvent) -> B: ...

    @step
    async def split(self, ev: B) -> list[A]: ...

    @step
    async def join(self, a: A, b: B) -> StopEvent: ...


class Beside(Workflow):
    @step
    async def go(self, ev: StartEvent) -> list[A]: ...

    @step
    async def go_too(self, ev: StartEvent) -> list[B]: ...

    @step
    async def join(self, a: A, b: B) -> StopEvent: ...


class FromOutside(Workflow):
    @step
    async def go(self, ev: StartEvent) -> list[A]: ...

    @step
    async def ask(self, ev: A) -> Ask: ...

    @step
    async def join(self, a: A, b: Answer) -> StopEvent: ...


class FromNowhere(Workflow):
    @step
    async def go(self, ev: StartEvent) -> A: ...

    @step
    async def join(self, a: A, b: B) -> StopEvent: ...


@pytest.mark.parametrize(
    ("workflow", "places"),
    [
        (Below, "'a' comes to be in the stream of step 'split'; 'b' comes to be at the top"),
        (Beside, "'a' comes to be in the stream of step 'go'; 'b' comes to be in the stream of step 'go_too'"),
        (FromOutside, "'a' comes to be in the stream of step 'go'; 'b' comes to be at the top"),
        (FromNowhere, "'a' comes to be at the top; 'b' comes to be nowhere"),
    ],
)
def test_what_is_joined_must_be_able_to_meet(workflow: type[Workflow], places: str) -> None:
    with pytest.raises(WorkflowValidationError, match=f"Step 'join' joins .* common stream level: {places}"):
        workflow().validate()


class Meets(Workflow):
    """Two lists, each collected; what comes of them is joined at the top."""

    @step
    async def go(self, ev: StartEvent) -> list[A]: ...

    @step
    async def go_too(self, ev: StartEvent) -> list[B]: ...

    @step
    async def gather_a(self, found: list[A]) -> C: ...

    @step
    async def gather_b(self, found: list[B]) -> D: ...

    @step
    async def join(self, a: C, b: D) -> StopEvent: ...


def test_what_was_collected_meets_at_the_top() -> None:
    assert not Meets().validate()
    assert shape_of(definition_of(Meets)).steps["join"].slots == (f"{__name__}.C", f"{__name__}.D")


class Unheard(Workflow):
    @step
    async def go(self, ev: StartEvent) -> list[A] | StopEvent: ...


def test_elements_of_lists_need_somebody_too() -> None:
    with pytest.raises(WorkflowValidationError, match="produced but never consumed: A"):
        Unheard().validate()


class CollectsStop(Workflow):
    @step
    async def go(self, ev: StartEvent) -> list[A]: ...

    @step
    async def work(self, ev: A) -> StopEvent: ...

    @step
    async def gather(self, found: list[StopEvent]) -> StopEvent: ...


def test_nobody_collects_the_end() -> None:
    with pytest.raises(WorkflowValidationError, match="Step 'gather' cannot accept StopEvent"):
        CollectsStop().validate()


@pytest.mark.parametrize("parameters", [{"ev": list[StepFailedEvent]}, {"ev": StepFailedEvent, "other": A}])
def test_a_handler_of_failures_takes_one_failure(parameters: dict[str, Any]) -> None:
    async def rescue(self: Any, ev: Any, other: Any = None) -> Any: ...

    rescue.__annotations__ = {**parameters, "return": StopEvent}
    with pytest.raises(WorkflowValidationError, match="must accept StepFailedEvent"):
        catch_error(rescue)

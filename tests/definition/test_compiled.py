"""From a class to its definition: which steps, in which order, and what routing needs of them."""

from __future__ import annotations

import gc
import weakref
from typing import Any, Generic, TypeVar

import pytest
from pydantic import BaseModel

from workflow_server.definition.compiled import check_free_step, compile_definition, definition_of
from workflow_server.definition.step import catch_error, step
from workflow_server.errors import WorkflowConfigurationError, WorkflowValidationError
from workflow_server.events import (
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
)

S = TypeVar("S")


class Context(Generic[S]):
    pass


class A(Event):
    pass


class B(Event):
    pass


class Done(StopEvent):
    pass


class Begin(StartEvent):
    pass


class Parent:
    """Words of the parent."""

    @step
    async def second(self, ev: A) -> StopEvent: ...

    @step
    async def First(self, ev: StartEvent) -> A: ...

    @step
    async def first(self, ev: A) -> None: ...

    def helper(self) -> None: ...


def free(**steps: Any) -> dict[str, Any]:
    return steps


class Registry:
    @classmethod
    def add_step(cls, function: Any) -> None:
        pass


@step(workflow=Registry)
async def zeta(ev: A) -> None: ...


@step(workflow=Registry)
async def alpha(ev: A) -> B: ...


def test_steps_come_alphabetically_and_free_functions_after_them_as_registered() -> None:
    definition = compile_definition(Parent, free(zeta=zeta, alpha=alpha))
    assert list(definition.steps) == ["First", "first", "second", "zeta", "alpha"]
    assert [step.free for step in definition.steps.values()] == [False, False, False, True, True]
    assert definition.steps["zeta"].function is zeta
    assert definition.steps["second"].config.accepted_events == (A,)


def test_a_definition_knows_start_stop_and_events_in_order_of_mention() -> None:
    definition = compile_definition(Parent, {})
    assert (definition.name, definition.description) == ("Parent", "Words of the parent.")
    assert (definition.start_event_class, definition.stop_event_class) == (StartEvent, StopEvent)
    assert definition.event_classes == (StartEvent, A, StopEvent)
    assert definition.type_table.find_short("A") is A


def test_steps_are_inherited_and_overridden() -> None:
    class Child(Parent):
        @step
        async def second(self, ev: A) -> Done: ...

        @step
        async def another(self, ev: A) -> None: ...

    definition = compile_definition(Child)
    assert list(definition.steps) == ["First", "another", "first", "second"]
    assert definition.stop_event_class is Done
    assert definition.description == "Words of the parent."


@pytest.mark.parametrize("override", [lambda self, ev: None, None, 3])
def test_an_override_without_the_decorator_takes_the_step_away(override: Any) -> None:
    child = type("Child", (Parent,), {"first": override})
    assert list(compile_definition(child).steps) == ["First", "second"]


def test_one_function_under_two_names_is_two_steps() -> None:
    class Child(Parent):
        again = Parent.first

    assert list(compile_definition(Child).steps) == ["First", "again", "first", "second"]


def test_finding_steps_runs_no_code_of_the_class() -> None:
    class Child(Parent):
        @property
        def trap(self) -> None:
            raise RuntimeError

        class Trap:
            def __get__(self, instance: object, owner: type) -> None:
                raise RuntimeError

        other_trap = Trap()

    assert len(compile_definition(Child).steps) == 3


@pytest.mark.parametrize("kind", [staticmethod, classmethod])
def test_a_static_or_class_method_can_not_be_a_step(kind: Any) -> None:
    async def work(ev: StartEvent) -> StopEvent: ...

    work.__qualname__ = "W.work"
    with pytest.raises(WorkflowValidationError, match=f"Step 'work' of workflow 'W' is a {kind.__name__}"):
        compile_definition(type("W", (), {"work": kind(step(work))}))


def test_a_class_is_compiled_once() -> None:
    assert compile_definition(Parent) is compile_definition(Parent)
    assert definition_of(Parent) is compile_definition(Parent)


def test_a_replaced_method_and_a_new_free_function_are_seen() -> None:
    class Child(Parent):
        pass

    before = compile_definition(Child)

    async def other(self: Any, ev: A) -> B: ...

    other.__qualname__ = "Child.first"
    Child.first = step(other)  # type: ignore[method-assign, assignment]
    after = compile_definition(Child)
    assert after is not before
    assert after.steps["first"].config.returned_events == (B,)
    assert list(compile_definition(Child, free(zeta=zeta)).steps) == ["First", "first", "second", "zeta"]


def test_a_subclass_has_a_definition_of_its_own() -> None:
    class Child(Parent):
        pass

    assert compile_definition(Parent).name == "Parent"
    assert compile_definition(Child).name == "Child"


def test_a_dropped_class_takes_its_definition_along() -> None:
    class Child(Parent):
        pass

    gone = weakref.ref(Child)
    compile_definition(Child)
    del Child
    gc.collect()
    assert gone() is None


def test_registrations_are_read_from_exactly_this_class() -> None:
    class Child(Parent):
        __workflow_server_free_steps__ = {"zeta": zeta}

    class Grandchild(Child):
        pass

    assert "zeta" in definition_of(Child).steps
    assert "zeta" not in definition_of(Grandchild).steps


# ------------------------------------------------------------------------------------------- start and stop


def test_a_workflow_needs_a_start_and_the_start_is_missed_first() -> None:
    class W:
        @step
        async def work(self, ev: A) -> B: ...

    with pytest.raises(WorkflowConfigurationError) as caught:
        compile_definition(W)
    assert str(caught.value) == (
        "At least one Event of type StartEvent must be received by any step. "
        "(Workflow 'W' has no @step that accepts StartEvent.)"
    )


def test_a_workflow_without_steps_is_told_so() -> None:
    with pytest.raises(WorkflowConfigurationError, match="Workflow 'Empty' has no configured steps"):
        compile_definition(type("Empty", (), {}))


def test_a_workflow_needs_a_stop() -> None:
    class W:
        @step
        async def work(self, ev: StartEvent) -> A: ...

    with pytest.raises(WorkflowConfigurationError) as caught:
        compile_definition(W)
    assert str(caught.value) == (
        "At least one Event of type StopEvent must be returned by any step. "
        "(Workflow 'W' has no @step that returns StopEvent.)"
    )


def test_two_starts_are_too_many() -> None:
    class W:
        @step
        async def work(self, ev: StartEvent | Begin) -> StopEvent: ...

    with pytest.raises(WorkflowConfigurationError) as caught:
        compile_definition(W)
    assert str(caught.value) == (
        "Only one type of StartEvent is allowed per workflow, found 2: StartEvent, Begin in workflow 'W'."
    )


def test_two_stops_are_too_many() -> None:
    class W:
        @step
        async def work(self, ev: StartEvent) -> StopEvent: ...

        @step
        async def works(self, ev: StartEvent) -> Done: ...

    with pytest.raises(WorkflowConfigurationError, match="Only one type of StopEvent is allowed per workflow, found 2"):
        compile_definition(W)


def test_own_kinds_of_start_and_stop_may_be_used_by_many_steps() -> None:
    class W:
        @step
        async def one(self, ev: Begin) -> Done: ...

        @step
        async def two(self, ev: Begin) -> Done | None: ...

    definition = compile_definition(W)
    assert (definition.start_event_class, definition.stop_event_class) == (Begin, Done)


# ------------------------------------------------------------------------------------------------ documents


def test_the_frameworks_own_docstrings_describe_no_workflow() -> None:
    framework = type("Workflow", (), {"__module__": "workflow_server.runtime.workflow", "__doc__": "Ours."})

    class W(framework):  # type: ignore[misc, valid-type]
        @step
        async def one(self, ev: StartEvent) -> StopEvent: ...

    assert compile_definition(W).description is None


# ----------------------------------------------------------------------------------------------------- state


class Base(BaseModel):
    pass


class Derived(Base):
    pass


class Sibling(Base):
    pass


def stateful(*types: Any) -> Any:
    names: dict[str, Any] = {}
    for index, one in enumerate(types):

        async def work(self: Any, ev: StartEvent, ctx: Any) -> StopEvent: ...

        work.__annotations__["ctx"] = Context[one]
        work.__qualname__ = f"W.work{index}"
        names[f"work{index}"] = step(work)
    return compile_definition(type("W", (), names))


def test_the_most_derived_state_is_the_state() -> None:
    assert stateful(Base, Derived, Base).state_type is Derived
    assert stateful(Derived).type_table.find_short("Derived") is Derived
    assert compile_definition(Parent).state_type is None


def test_unrelated_states_are_an_error_only_when_the_state_is_asked_for() -> None:
    definition = stateful(Derived, Sibling)
    assert definition.state_types == (Derived, Sibling)
    with pytest.raises(ValueError, match="not in a compatible inheritance hierarchy: Derived, Sibling"):
        _ = definition.state_type


# ------------------------------------------------------------------------------------------------- human input


def workflow(**steps: tuple[Any, Any]) -> type:
    names: dict[str, Any] = {}
    for name, (accepted, returned) in steps.items():

        async def work(self: Any, ev: Any) -> Any: ...

        work.__annotations__.update({"ev": accepted, "return": returned})
        work.__qualname__ = f"W.{name}"
        names[name] = step(work)
    return type("W", (), names)


@pytest.mark.parametrize(
    ("other", "uses"),
    [
        ((A, B), False),
        ((StartEvent, InputRequiredEvent), True),
        ((HumanResponseEvent, None), True),
        ((StartEvent, HumanResponseEvent), False),
    ],
)
def test_human_input_is_a_returned_question_or_an_accepted_answer(other: tuple[Any, Any], uses: bool) -> None:
    assert compile_definition(workflow(main=(StartEvent, StopEvent), other=other)).uses_human_input is uses


# -------------------------------------------------------------------------------------------------- catch_error


def handled(**rules: dict[str, Any]) -> Any:
    """Compile a workflow with the steps `one` and `two` and these handlers."""

    class W:
        @step
        async def one(self, ev: StartEvent) -> A | StopEvent: ...

        @step
        async def two(self, ev: A) -> None: ...

    for name, options in rules.items():

        async def rescue(self: Any, ev: StepFailedEvent) -> None: ...

        rescue.__qualname__ = f"W.{name}"
        setattr(W, name, catch_error(**options)(rescue))
    return compile_definition(W)


def test_a_wildcard_handles_what_nobody_names_and_no_handler() -> None:
    definition = handled(any_failure={}, of_two={"for_steps": ["two"]}, of_none={"for_steps": []})
    assert definition.handlers == {"one": "any_failure", "two": "of_two"}


def test_without_a_wildcard_only_the_named_are_handled() -> None:
    definition = handled(of_two={"for_steps": ["two"]})
    assert definition.handlers == {"two": "of_two"}
    assert definition.steps["of_two"].config.catches.max_recoveries == 1


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"a": {}, "b": {}}, "Only one wildcard @catch_error handler is allowed per workflow, found 2: a, b"),
        ({"a": {"for_steps": ["zz"]}}, "@catch_error handler 'a' lists unknown step 'zz' in for_steps."),
        ({"a": {"for_steps": ["a"]}}, "@catch_error handler 'a' cannot cover another handler step 'a'."),
        ({"a": {"for_steps": ["b"]}, "b": {}}, "@catch_error handler 'a' cannot cover another handler step 'b'."),
        (
            {"a": {"for_steps": ["one"]}, "b": {"for_steps": ["two", "one"]}},
            "Step 'one' is claimed by two @catch_error handlers: 'a' and 'b'.",
        ),
    ],
)
def test_handlers_may_not_contradict_each_other(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(WorkflowValidationError) as caught:
        handled(**rules)
    assert str(caught.value) == message


# ------------------------------------------------------------------------------------------------ registration


def test_a_name_is_given_to_one_step() -> None:
    async def first(ev: A) -> None: ...

    step(workflow=Registry)(first)
    with pytest.raises(WorkflowValidationError) as caught:
        check_free_step(Parent, {}, first)
    assert str(caught.value) == "A step first is already part of this workflow, please choose another name."
    with pytest.raises(WorkflowValidationError, match="A step zeta is already part of this workflow"):
        check_free_step(Parent, {"zeta": zeta}, zeta)
    check_free_step(Parent, {"zeta": zeta}, alpha)


def test_an_undecorated_function_is_not_registered() -> None:
    async def plain(ev: A) -> None: ...

    with pytest.raises(WorkflowValidationError, match="Step function plain is missing the `@step` decorator"):
        check_free_step(Parent, {}, plain)

"""What `@step` and `@catch_error` accept, and what they say about the rest."""

import functools
from typing import Any

import pytest

from workflow_server.definition.step import (
    CatchRule,
    StepFunction,
    catch_error,
    is_free_function,
    is_step,
    step,
)
from workflow_server.errors import WorkflowValidationError
from workflow_server.events import Event, StartEvent, StepFailedEvent, StopEvent


class Work(Event):
    pass


class Policy:
    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return None


def config_of(function: Any) -> Any:
    assert is_step(function)
    return function.step_config


def test_a_bare_step_has_four_workers_and_no_options() -> None:
    class W:
        @step
        async def work(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=1)

    config = config_of(W.work)
    assert config.accepted_events == (StartEvent,)
    assert config.event_parameter == "ev"
    assert config.return_types == (StopEvent,)
    assert config.num_workers == 4
    assert config.retry_policy is None
    assert config.accept_event_subclasses is False
    assert config.skip_graph_checks == frozenset()
    assert config.catches is None
    assert config.is_async is True


def test_options_are_kept_as_given() -> None:
    policy = Policy()

    class W:
        @step(num_workers=2, retry_policy=policy, skip_graph_checks=["dead_end"], accept_event_subclasses=True)
        def work(self, ev: StartEvent) -> StopEvent:
            return StopEvent()

    config = config_of(W.work)
    assert (config.num_workers, config.retry_policy, config.accept_event_subclasses) == (2, policy, True)
    assert config.skip_graph_checks == {"dead_end"}
    assert config.is_async is False


def test_a_decorated_function_stays_the_function_it_was() -> None:
    def work(self: Any, ev: StartEvent) -> StopEvent:
        return StopEvent(result=ev)

    work.__qualname__ = "W.work"
    assert step(work) is work
    start = StartEvent()
    assert work(None, start).result is start


def test_an_undecorated_function_is_no_step() -> None:
    assert not is_step(test_an_undecorated_function_is_no_step)
    assert not is_step(3)


@pytest.mark.parametrize("number", [0, -1, 2.0, "2", None, True])
def test_num_workers_must_be_a_whole_number_from_one(number: Any) -> None:
    with pytest.raises(WorkflowValidationError, match="num_workers must be an integer greater than 0"):

        class W:
            @step(num_workers=number)
            async def work(self, ev: StartEvent) -> StopEvent: ...


def test_a_retry_policy_must_have_next() -> None:
    with pytest.raises(
        WorkflowValidationError, match=r"retry_policy must have a method next, got 3 \(step .*W\.work\)"
    ):

        class W:
            @step(retry_policy=3)  # type: ignore[arg-type]
            async def work(self, ev: StartEvent) -> StopEvent: ...


@pytest.mark.parametrize(("names", "unknown"), [(["nope", "dead_end"], "nope"), ("terminal_event", "terminal_event")])
def test_a_step_may_skip_only_checks_of_steps(names: Any, unknown: str) -> None:
    with pytest.raises(WorkflowValidationError, match=f"Unknown graph check names: {unknown}"):

        class W:
            @step(skip_graph_checks=names)
            async def work(self, ev: StartEvent) -> StopEvent: ...


class Registry:
    """A class that takes free functions, as `Workflow` does."""

    added: list[Any]

    @classmethod
    def add_step(cls, function: StepFunction[..., Any]) -> None:
        assert is_step(function), "registered before it was decorated"
        cls.added = [*getattr(cls, "added", []), function]


def test_a_free_function_registers_on_its_workflow_once_decorated() -> None:
    class W(Registry):
        pass

    @step(workflow=W)
    async def free(ev: StartEvent) -> StopEvent: ...

    assert W.added == [free]


def test_a_free_function_without_its_workflow_is_named() -> None:
    with pytest.raises(WorkflowValidationError, match="To decorate free please pass a workflow class"):

        @step
        async def free(ev: StartEvent) -> StopEvent: ...


def test_a_method_is_not_registered_even_if_a_workflow_is_named() -> None:
    class W(Registry):
        pass

    class V:
        @step(workflow=W)
        async def method(self, ev: StartEvent) -> StopEvent: ...

    assert not hasattr(W, "added")


def test_the_order_of_complaints_begins_with_the_signature() -> None:
    """A free function that also lacks its event is told of the event first."""
    with pytest.raises(WorkflowValidationError, match="at least one parameter annotated as type Event"):

        @step
        async def free() -> StopEvent: ...


def test_free_functions_are_told_from_methods_by_where_they_were_defined() -> None:
    class Local:
        def method(self) -> None: ...

    def local() -> None: ...

    assert is_free_function(local)
    assert is_free_function(config_of)
    assert not is_free_function(Local.method)


@pytest.mark.parametrize("decorate", [step, catch_error])
@pytest.mark.parametrize("kind", [staticmethod, classmethod])
def test_a_static_or_class_method_is_refused(decorate: Any, kind: Any) -> None:
    with pytest.raises(WorkflowValidationError, match="plain methods, not a staticmethod or classmethod"):
        decorate(kind(lambda ev: None))


@pytest.mark.parametrize("thing", [3, StartEvent, functools.partial(print)])
def test_only_functions_can_be_steps(thing: Any) -> None:
    with pytest.raises(WorkflowValidationError, match="@step decorates functions, got"):
        step(thing)


def test_a_wrapper_below_the_decorator_keeps_the_signature_of_what_it_wraps() -> None:
    def logged(function: Any) -> Any:
        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return wrapper

    class W:
        @step
        @logged
        async def work(self, ev: StartEvent) -> StopEvent: ...

    assert config_of(W.work).accepted_events == (StartEvent,)


def test_a_config_knows_which_events_go_to_its_step() -> None:
    class Base(Event):
        pass

    class Derived(Base):
        pass

    class W:
        @step
        async def exact(self, ev: Base) -> Derived | None: ...

        @step(accept_event_subclasses=True)
        async def wide(self, ev: Base) -> None: ...

    exact, wide = config_of(W.exact), config_of(W.wide)
    assert exact.accepts(Base)
    assert not exact.accepts(Derived)
    assert wide.accepts(Derived)
    assert not wide.accepts(Event)
    assert exact.returned_events == (Derived,)
    assert wide.returned_events == ()


# ------------------------------------------------------------------------------------------ catch_error


def test_a_bare_handler_takes_all_failures_once() -> None:
    class W:
        @catch_error
        async def rescue(self, ev: StepFailedEvent) -> StopEvent: ...

    config = config_of(W.rescue)
    assert config.catches == CatchRule(steps=None, max_recoveries=1)
    assert config.num_workers == 1
    assert config.retry_policy is None


def test_a_handler_may_name_its_steps_and_how_often_it_helps() -> None:
    class W:
        @catch_error(for_steps=["a", "b", "a"], max_recoveries=3)
        async def rescue(self, ev: StepFailedEvent) -> Work | None: ...

    assert config_of(W.rescue).catches == CatchRule(steps=("a", "b"), max_recoveries=3)


@pytest.mark.parametrize("names", ["a", ("a",), [1], 3])
def test_for_steps_is_checked_when_the_decorator_is_called(names: Any) -> None:
    with pytest.raises(WorkflowValidationError, match="for_steps must be None or a list of step name strings"):
        catch_error(for_steps=names)


@pytest.mark.parametrize("number", [0, -1, "1", 1.0, None, True])
def test_max_recoveries_is_checked_when_the_decorator_is_called(number: Any) -> None:
    with pytest.raises(WorkflowValidationError, match="max_recoveries must be an integer >= 1"):
        catch_error(max_recoveries=number)


@pytest.mark.parametrize("accepted", [Work, StepFailedEvent | Work, StartEvent])
def test_a_handler_accepts_exactly_the_failure(accepted: Any) -> None:
    async def rescue(self: Any, ev: Any) -> None: ...

    rescue.__annotations__["ev"] = accepted
    with pytest.raises(WorkflowValidationError, match="handler 'rescue' must accept StepFailedEvent"):
        catch_error(rescue)

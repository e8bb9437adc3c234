"""The decorators that turn functions into steps.

A decorated function stays the function it was: what the decorator found out is kept beside it,
in its attribute `step_config`. All checks that need only the function are made at once, so that
the traceback points at the step; checks over a whole workflow are in `compiled` and `validation`.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any, Literal, ParamSpec, Protocol, TypeGuard, TypeVar, cast, overload

from pydantic import BaseModel

from workflow_server.definition.collect import Cardinality
from workflow_server.definition.resource import Need
from workflow_server.definition.retry import RetryPolicy
from workflow_server.definition.signature import Signature, inspect_step
from workflow_server.definition.step_checks import (
    StepGraphCheck,
    check_execution,
    is_list_of_names,
    is_positive_int,
    known_checks,
    need_function,
)
from workflow_server.errors import WorkflowValidationError
from workflow_server.events import Event, StepFailedEvent
from workflow_server.valueclass import dataclass

WorkflowGraphCheck = Literal["reachability", "terminal_event", "dead_end"]
"""Checks of the graph that a workflow may opt out of."""

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class CatchRule:
    """Whose failures a `catch_error` handler takes."""

    steps: tuple[str, ...] | None
    """Names of the steps, or `None` for all that no other handler names."""
    max_recoveries: int
    """How often it may be used in one line of events."""


@dataclass(frozen=True, slots=True)
class StepConfig:
    """What the decorator found out about a step."""

    accepted_events: tuple[type[Event], ...]
    """The classes named by its event parameters."""
    event_parameter: str
    """The (first) parameter that takes events."""
    return_types: tuple[type, ...]
    """The event classes it may return, and `NoneType` when it may return nothing."""
    context_parameter: str | None
    context_state_type: type[BaseModel] | None
    """`State` of a `Context[State]` annotation."""
    num_workers: int
    """How many events it works on at once."""
    retry_policy: RetryPolicy | None
    accept_event_subclasses: bool
    """Whether it also takes subclasses of its event classes."""
    skip_graph_checks: frozenset[str]
    catches: CatchRule | None
    """Set on `catch_error` handlers."""
    is_async: bool
    collect: Cardinality | None = None
    """Set on collect steps: how many members of a stream they are given, as a list."""
    joined: tuple[tuple[str, type[Event]], ...] = ()
    """Set on joins: each parameter with its event class; the step is given one event for each."""
    listed_events: tuple[type[Event], ...] = ()
    """The event classes it may return in a list, which opens a stream."""
    unroutable_returns: tuple[str, ...] = ()
    """Names of annotated return types that are no events; validation refuses them."""
    resources: tuple[Need, ...] = ()
    """What its marked parameters are given."""

    def accepts(self, event_class: type[Event]) -> bool:
        """Return whether an event of exactly this class goes to the step."""
        if self.accept_event_subclasses:
            return issubclass(event_class, self.accepted_events)
        return event_class in self.accepted_events

    @property
    def returned_events(self) -> tuple[type[Event], ...]:
        """The event classes it may return, by themselves or in a list."""
        return tuple(dict.fromkeys((*self.bare_events, *self.listed_events)))

    @property
    def bare_events(self) -> tuple[type[Event], ...]:
        """The event classes it may return by themselves."""
        return tuple(one for one in self.return_types if issubclass(one, Event))


class StepFunction(Protocol[P, R_co]):
    """A function decorated with `step` or `catch_error`."""

    step_config: StepConfig
    __name__: str
    __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class TakesSteps(Protocol):
    """What `step(workflow=…)` needs of the class it is given."""

    def add_step(self, function: StepFunction[..., Any], /) -> None:
        """Make a decorated free function a step of the class."""
        ...


def is_step(function: object) -> TypeGuard[StepFunction[..., Any]]:
    """Return whether `function` was decorated with `step` or `catch_error`."""
    return callable(function) and isinstance(getattr(function, "step_config", None), StepConfig)


def is_free_function(function: Callable[..., Any]) -> bool:
    """Return whether `function` was defined outside a class body."""
    holder = function.__qualname__.rpartition(".")[0]
    return not holder or holder.endswith("<locals>")


@overload
def step(func: F, /) -> F: ...


@overload
def step(
    *,
    workflow: TakesSteps | None = None,
    num_workers: int = 4,
    retry_policy: RetryPolicy | None = None,
    skip_graph_checks: Iterable[StepGraphCheck] | None = None,
    accept_event_subclasses: bool = False,
) -> Callable[[F], F]: ...


def step(
    func: Callable[..., Any] | None = None,
    *,
    workflow: TakesSteps | None = None,
    num_workers: int = 4,
    retry_policy: RetryPolicy | None = None,
    skip_graph_checks: Iterable[StepGraphCheck] | None = None,
    accept_event_subclasses: bool = False,
) -> Any:
    """Make a method, or with `workflow=` a free function, a step. Used bare or with arguments.

    Args:
        func: The function, when used bare.
        workflow: The class that a free function becomes a step of.
        num_workers: How many events the step works on at once, from 1.
        retry_policy: Decides whether and when it runs again after a failure; `None`: it doesn't.
        skip_graph_checks: Checks of the graph that leave this step alone.
        accept_event_subclasses: Whether subclasses of the annotated events go to the step, too.

    Raises:
        WorkflowValidationError: The function or an argument breaks a rule; the message says which.
    """

    def decorate(function: F, frame: types.FrameType) -> F:
        need_function(function, "@step")
        where = f"step {function.__qualname__}"
        check_execution(num_workers, retry_policy, where)
        signature = inspect_step(function, frame)
        free = is_free_function(function)
        if free and workflow is None:
            raise WorkflowValidationError(
                f"To decorate {function.__name__} please pass a workflow class to the @step decorator."
            )
        _attach(
            function,
            signature,
            num_workers=num_workers,
            retry_policy=retry_policy,
            accept_event_subclasses=accept_event_subclasses,
            skip_graph_checks=known_checks(skip_graph_checks, where),
        )
        if free and workflow is not None:
            workflow.add_step(cast("StepFunction[..., Any]", function))
        return function

    if func is not None:
        return decorate(func, _applying_frame())

    def apply(function: F) -> F:
        return decorate(function, _applying_frame())

    return apply


@overload
def catch_error(func: F, /) -> F: ...


@overload
def catch_error(*, for_steps: list[str] | None = None, max_recoveries: int = 1) -> Callable[[F], F]: ...


def catch_error(
    func: Callable[..., Any] | None = None, *, for_steps: list[str] | None = None, max_recoveries: int = 1
) -> Any:
    """Make a method the handler of failures of other steps. Used bare or with arguments.

    The handler takes a `StepFailedEvent` once a step has used up its attempts; what it returns goes
    on in the step's place. It has one worker and is not retried itself.

    Args:
        func: The function, when used bare.
        for_steps: Names of the steps whose failures it takes; `None` for all that no other handler names.
        max_recoveries: How often it may be used in one line of events, from 1.

    Raises:
        WorkflowValidationError: The function or an argument breaks a rule; the message says which.
    """
    if not is_list_of_names(for_steps):
        raise WorkflowValidationError(
            f"@catch_error for_steps must be None or a list of step name strings, got {for_steps!r}"
        )
    if not is_positive_int(max_recoveries):
        raise WorkflowValidationError(f"@catch_error max_recoveries must be an integer >= 1, got {max_recoveries!r}")
    rule = CatchRule(None if for_steps is None else tuple(dict.fromkeys(for_steps)), max_recoveries)

    def decorate(function: F, frame: types.FrameType) -> F:
        need_function(function, "@catch_error")
        signature = inspect_step(function, frame)
        taken = signature.events
        if taken.accepted != (StepFailedEvent,) or taken.collect is not None or taken.joined:
            raise WorkflowValidationError(
                f"@catch_error handler {function.__name__!r} must accept StepFailedEvent as its event parameter"
            )
        _attach(function, signature, num_workers=1, catches=rule)
        return function

    if func is not None:
        return decorate(func, _applying_frame())

    def apply(function: F) -> F:
        return decorate(function, _applying_frame())

    return apply


def _applying_frame() -> types.FrameType:
    """Return the frame that called the caller: a class body, a function or a module."""
    return sys._getframe(2)  # pyright: ignore[reportPrivateUsage]  # inspect.currentframe is the same, but optional


def _attach(
    function: Callable[..., Any],
    signature: Signature,
    *,
    num_workers: int,
    retry_policy: RetryPolicy | None = None,
    accept_event_subclasses: bool = False,
    skip_graph_checks: frozenset[str] = frozenset(),
    catches: CatchRule | None = None,
) -> None:
    cast("StepFunction[..., Any]", function).step_config = StepConfig(
        accepted_events=signature.events.accepted,
        event_parameter=signature.events.name,
        return_types=signature.return_types,
        context_parameter=signature.context_parameter,
        context_state_type=signature.context_state_type,
        num_workers=num_workers,
        retry_policy=retry_policy,
        accept_event_subclasses=accept_event_subclasses,
        skip_graph_checks=skip_graph_checks,
        catches=catches,
        is_async=inspect.iscoroutinefunction(function),
        collect=signature.events.collect,
        joined=signature.events.joined,
        listed_events=signature.listed_events,
        unroutable_returns=signature.unroutable_returns,
        resources=signature.resources,
    )

"""A workflow class as data: its steps in routing order, its start, its stop, who handles failures.

Steps are the decorated methods a class has or inherits, by name in alphabetical order, then the
free functions registered on exactly this class, in order of registration. An override without
the decorator takes the step away.

A `Definition` exists only for a workflow that can be routed: one kind of start, one kind of stop,
and no two owners of a step's failures. Everything that merely looks wrong is `validation`'s.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from types import FunctionType, MappingProxyType
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from workflow_server.definition.step import StepConfig, StepFunction, is_step
from workflow_server.errors import WorkflowConfigurationError, WorkflowValidationError
from workflow_server.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent
from workflow_server.naming import TypeTable
from workflow_server.serializers import TrustingJsonSerializer
from workflow_server.valueclass import dataclass

_E = TypeVar("_E", bound=Event)
FREE_STEPS = "__workflow_server_free_steps__"
"""The attribute of a workflow class that holds the free functions registered on exactly this class, by name."""

_CACHE = "__workflow_server_definition__"


@dataclass(frozen=True)
class StepDefinition:
    """One step of a workflow."""

    name: str
    function: StepFunction[..., Any]
    config: StepConfig
    free: bool = False
    """Whether it is a free function, called without the workflow instance."""


@dataclass(frozen=True)
class Definition:
    """What a workflow is made of."""

    name: str
    """The name of the class."""
    description: str | None
    """Its docstring, or the nearest of a base of the program's own."""
    steps: Mapping[str, StepDefinition]
    """In the order in which they are offered an event."""
    start_event_class: type[StartEvent]
    stop_event_class: type[StopEvent]
    event_classes: tuple[type[Event], ...]
    """Every class named in a signature, in order of first mention: by step, what it takes, then what it returns."""
    state_types: tuple[type[BaseModel], ...]
    """Every `State` of a `Context[State]` annotation."""
    handlers: Mapping[str, str]
    """For each step whose failures have a `catch_error` handler, the handler's name; a handler itself has none."""

    @cached_property
    def state_type(self) -> type[BaseModel] | None:
        """The most derived of `state_types`, or `None` for free-form state.

        Raises:
            ValueError: Two of them are unrelated.
        """
        return _most_derived(self.state_types, self.name)

    @cached_property
    def type_table(self) -> TypeTable:
        """The declared event and state classes, for resolving stored names."""
        return TypeTable((*self.event_classes, *self.state_types))

    @cached_property
    def serializer(self) -> TrustingJsonSerializer:
        """What encodes state values, and reads them where they were kept, unless the program chose another one."""
        return TrustingJsonSerializer(self.type_table)

    @property
    def uses_human_input(self) -> bool:
        """Whether a step returns a question or takes an answer from outside."""
        return any(
            issubclass(one, InputRequiredEvent) for step in self.steps.values() for one in step.config.returned_events
        ) or any(
            issubclass(one, HumanResponseEvent) for step in self.steps.values() for one in step.config.accepted_events
        )


def compile_definition(
    cls: type, free_steps: Mapping[str, StepFunction[..., Any]] = MappingProxyType({})
) -> Definition:
    """Return the definition of a workflow class; the same object while its steps stay the same.

    Args:
        cls: The workflow class.
        free_steps: Free functions registered on it, by name, in order of registration.

    Raises:
        WorkflowConfigurationError: It lacks a start or a stop, or has two kinds of one.
        WorkflowValidationError: Its `catch_error` handlers contradict each other, or a step is named `run`
            or can't be called.
    """
    steps = (*_find_methods(cls), *((name, step, True) for name, step in free_steps.items()))
    # Kept on the class, so that a class that is dropped takes its definition along; a method that was
    # replaced since (tests do so) makes another key.
    cached = cast("tuple[Any, Definition] | None", cls.__dict__.get(_CACHE))
    if cached is None or cached[0] != steps:
        cached = (steps, _compile(cls, {name: _define(name, step, free) for name, step, free in steps}))
        setattr(cls, _CACHE, cached)
    return cached[1]


def definition_of(cls: type) -> Definition:
    """Return the definition of a workflow class with the free functions registered on it.

    Raises:
        WorkflowConfigurationError: It lacks a start or a stop, or has two kinds of one.
        WorkflowValidationError: Its `catch_error` handlers contradict each other, or a step is named `run`
            or can't be called.
    """
    return compile_definition(cls, cls.__dict__.get(FREE_STEPS, {}))


def check_free_step(cls: type, free_steps: Mapping[str, StepFunction[..., Any]], function: Callable[..., Any]) -> None:
    """Refuse a free function that can't become a step of `cls`.

    Raises:
        WorkflowValidationError: It isn't decorated, or its name is taken.
    """
    name = function.__name__
    if not is_step(function):
        raise WorkflowValidationError(f"Step function {name} is missing the `@step` decorator.")
    if name in free_steps or any(name == known for known, _, _ in _find_methods(cls)):
        raise WorkflowValidationError(f"A step {name} is already part of this workflow, please choose another name.")


def _find_methods(cls: type) -> tuple[tuple[str, StepFunction[..., Any], bool], ...]:
    found: dict[str, Any] = {}
    for base in cls.__mro__:
        for name, value in vars(base).items():
            found.setdefault(name, value)
    methods: list[tuple[str, StepFunction[..., Any], bool]] = []
    for name, value in sorted(found.items()):
        if isinstance(value, FunctionType):
            if is_step(value):
                if name == "run":
                    raise WorkflowValidationError(
                        f"Step 'run' of workflow {cls.__name__!r} hides Workflow.run, which begins runs; "
                        "choose another name"
                    )
                methods.append((name, value, False))
        elif isinstance(value, (staticmethod, classmethod)) and is_step(cast("Any", value).__func__):
            raise WorkflowValidationError(
                f"Step {name!r} of workflow {cls.__name__!r} is a {type(cast('object', value)).__name__}; "
                "make it a plain method"
            )
    return tuple(methods)


def _define(name: str, function: StepFunction[..., Any], free: bool) -> StepDefinition:
    return StepDefinition(name, function, function.step_config, free)


def _compile(cls: type, steps: Mapping[str, StepDefinition]) -> Definition:
    name = cls.__name__
    configs = [one.config for one in steps.values()]
    accepted = [event for config in configs for event in config.accepted_events]
    returned = [event for config in configs for event in config.returned_events]
    empty = "" if steps else f" Workflow {name!r} has no configured steps."
    start = _only_one(
        accepted, StartEvent, name, "received", f"(Workflow {name!r} has no @step that accepts StartEvent.){empty}"
    )
    stop = _only_one(returned, StopEvent, name, "returned", f"(Workflow {name!r} has no @step that returns StopEvent.)")
    events = [event for config in configs for event in (*config.accepted_events, *config.returned_events)]
    states = [config.context_state_type for config in configs if config.context_state_type is not None]
    return Definition(
        name=name,
        description=_description(cls),
        steps=MappingProxyType(dict(steps)),
        start_event_class=start,
        stop_event_class=stop,
        event_classes=tuple(dict.fromkeys(events)),
        state_types=tuple(dict.fromkeys(states)),
        handlers=MappingProxyType(_assign_handlers(steps)),
    )


def _description(cls: type) -> str | None:
    for base in cls.__mro__:
        if base is object or base.__module__.startswith("workflow_server."):
            break
        if doc := base.__dict__.get("__doc__"):
            return inspect.cleandoc(doc)
    return None


def _only_one(classes: Iterable[type[Event]], kind: type[_E], workflow: str, verb: str, hint: str) -> type[_E]:
    found = list(dict.fromkeys(one for one in classes if issubclass(one, kind)))
    if not found:
        raise WorkflowConfigurationError(
            f"At least one Event of type {kind.__name__} must be {verb} by any step. {hint}"
        )
    if len(found) > 1:
        names = ", ".join(one.__qualname__ for one in found)
        raise WorkflowConfigurationError(
            f"Only one type of {kind.__name__} is allowed per workflow, found {len(found)}: {names} "
            f"in workflow {workflow!r}."
        )
    return found[0]


def _assign_handlers(steps: Mapping[str, StepDefinition]) -> dict[str, str]:
    """Return the handler of each step that has one.

    Raises:
        WorkflowValidationError: The handlers contradict each other or name what doesn't exist.
    """
    rules = {name: one.config.catches for name, one in steps.items() if one.config.catches is not None}
    owners: dict[str, str] = {}
    for handler, rule in rules.items():
        for name in rule.steps or ():
            if name not in steps:
                raise WorkflowValidationError(
                    f"@catch_error handler {handler!r} lists unknown step {name!r} in for_steps."
                )
            if name in rules:
                raise WorkflowValidationError(
                    f"@catch_error handler {handler!r} cannot cover another handler step {name!r}."
                )
            if name in owners:
                raise WorkflowValidationError(
                    f"Step {name!r} is claimed by two @catch_error handlers: {owners[name]!r} and {handler!r}."
                )
            owners[name] = handler
    wildcards = [handler for handler, rule in rules.items() if rule.steps is None]
    if len(wildcards) > 1:
        raise WorkflowValidationError(
            "Only one wildcard @catch_error handler is allowed per workflow, "
            f"found {len(wildcards)}: {', '.join(wildcards)}"
        )
    for wildcard in wildcards:
        owners.update({name: wildcard for name in steps if name not in rules and name not in owners})
    return owners


def _most_derived(types: tuple[type[BaseModel], ...], workflow: str) -> type[BaseModel] | None:
    if not types:
        return None
    for candidate in types:
        if all(issubclass(candidate, other) for other in types):
            return candidate
    names = ", ".join(one.__name__ for one in types)
    raise ValueError(f"The state types of workflow {workflow!r} are not in a compatible inheritance hierarchy: {names}")

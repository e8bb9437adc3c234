"""What a step's signature says: which events it takes and returns, whether it wants a context.

Annotations may be strings (`from __future__ import annotations`). They are resolved when the
decorator is applied, because only then the names around it can be seen: those of the class
body, those of the function that holds it, and of functions around that one that still run.

Parameters are recognised by annotation alone: event classes, unions and lists of them, a context by
the name of its class (the class itself lives floors above). Everything else is left alone.
"""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, Never, NoReturn, get_args, get_origin

from pydantic import BaseModel

from workflow_server.definition.annotations import alternatives, is_event_class, is_list
from workflow_server.definition.event_parameters import EventParameters, read_event_parameters
from workflow_server.definition.resource import Need, mark_of, need_of
from workflow_server.errors import WorkflowValidationError
from workflow_server.events import Event
from workflow_server.valueclass import dataclass

_ASYNC_ITERATION = (
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncGenerator,
)
_SAY_NOTHING = (Any, NoReturn, Never)


@dataclass(frozen=True, slots=True)
class Signature:
    """What was found; see `StepConfig` for the meaning of each field."""

    events: EventParameters
    return_types: tuple[type, ...]
    listed_events: tuple[type[Event], ...]
    context_parameter: str | None
    context_state_type: type[BaseModel] | None
    unroutable_returns: tuple[str, ...]
    resources: tuple[Need, ...] = ()


def names_around(frame: types.FrameType) -> dict[str, Any]:
    """Return the local names visible where a decorator is applied, inner ones first.

    Args:
        frame: The frame that applies the decorator: a class body, a function or a module.
    """
    names: dict[str, Any] = {}
    scope: types.FrameType | None = frame
    inner = ""  # qualified name of the innermost function; its callers count only if they hold it lexically
    while scope is not None and scope.f_locals is not scope.f_globals:
        code = scope.f_code
        if not inner or inner.startswith(f"{code.co_qualname}.<locals>."):
            names = {**scope.f_locals, **names}
        if not inner and code.co_flags & inspect.CO_OPTIMIZED:
            inner = code.co_qualname
        scope = scope.f_back
        if scope is not None and scope.f_globals is not frame.f_globals:
            break
    return names


def _resolved_hints(function: Callable[..., Any], frame: types.FrameType) -> dict[str, Any]:
    """Return the annotations of `function` as objects.

    Raises:
        WorkflowValidationError: A name can't be found.
    """
    module_names: dict[str, Any] = getattr(inspect.unwrap(function), "__globals__", {})
    names = names_around(frame)
    if frame.f_globals is not module_names:
        # Applied from another module: its locals help out, but never replace what the function itself sees.
        names = {name: value for name, value in names.items() if name not in module_names}
    try:
        return typing.get_type_hints(function, module_names, names, include_extras=True)
    except NameError as error:
        raise WorkflowValidationError(
            f"Failed to resolve type annotations of step {_where(function)}. Missing name: {error.name}. "
            "Annotations written as strings may use names of the module, of the class body and of the function "
            "that applies the decorator."
        ) from error
    except Exception as error:  # evaluating an annotation runs whatever it says
        raise WorkflowValidationError(
            f"Failed to resolve type annotations of step {_where(function)}: {error}"
        ) from error


def _where(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))


def _context_class(annotation: Any) -> Any:
    """Return `Context` or `Context[State]` if that is what the annotation means, else `None`."""
    for member in alternatives(annotation):
        origin = get_origin(member) or member
        if isinstance(origin, type) and origin.__name__ == "Context":
            return member
    return None


def _state_type(context: Any) -> type[BaseModel] | None:
    args = get_args(context)
    state = args[0] if args else None
    return state if isinstance(state, type) and issubclass(state, BaseModel) else None


@dataclass(frozen=True, slots=True)
class _Returns:
    """What a return annotation names: event classes, those inside `list[…]`, and the names of all else in it."""

    bare: tuple[type, ...]
    listed: tuple[type[Event], ...]
    unroutable: tuple[str, ...]


def _returns(function: Callable[..., Any], annotation: Any) -> _Returns:
    members = list(alternatives(annotation))
    if inspect.isasyncgenfunction(function) or any(
        member in _ASYNC_ITERATION or get_origin(member) in _ASYNC_ITERATION for member in members
    ):
        raise WorkflowValidationError(
            f"Async-iterator fan-out is not supported (step {_where(function)}): return a list of events."
        )
    if inspect.isgeneratorfunction(function):
        raise WorkflowValidationError(f"Step {_where(function)} is a generator: return a list of events.")
    elements = [one for member in members if is_list(member) for arg in get_args(member) for one in alternatives(arg)]
    listed = [one for one in elements if is_event_class(one)]
    routable = [one for one in members if one is type(None) or is_event_class(one)]
    others = [one for one in members if one not in routable and not (is_list(one) and get_args(one))]
    others += [one for one in elements if one not in listed and one is not type(None)]
    names = (getattr(one, "__name__", str(one)) for one in others if one not in _SAY_NOTHING)
    return _Returns(tuple(dict.fromkeys(routable)), tuple(dict.fromkeys(listed)), tuple(names))


def inspect_step(function: Callable[..., Any], frame: types.FrameType) -> Signature:
    """Read the signature of a step.

    Args:
        function: The step, a plain function or a coroutine function.
        frame: The frame that applies the decorator.

    Raises:
        WorkflowValidationError: The signature breaks a rule; the message names the step.
    """
    hints = _resolved_hints(function, frame)
    parameters = inspect.signature(function).parameters.values()
    considered: dict[str, Any] = {}
    resources: list[Need] = []
    context_parameter, state_type = None, None
    for parameter in parameters:
        if parameter.name not in hints or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        annotation = hints[parameter.name]
        if (mark := mark_of(annotation)) is not None:
            resources.append(need_of(parameter.name, annotation, mark, frame, names_around(frame)))
            continue
        considered[parameter.name] = annotation
        if (context := _context_class(annotation)) is not None:
            if context_parameter is not None:
                raise WorkflowValidationError(
                    f"Step {_where(function)} has two context parameters, {context_parameter!r} and {parameter.name!r}"
                )
            context_parameter, state_type = parameter.name, _state_type(context)
    events = read_event_parameters(considered, f"step {_where(function)}")
    if "return" not in hints:
        raise WorkflowValidationError(
            f"Return types of workflows step functions must be annotated with their type (step {_where(function)}; "
            "'-> None' is fine)"
        )
    returned = _returns(function, hints["return"])
    return Signature(
        events=events,
        return_types=returned.bare,
        listed_events=returned.listed,
        context_parameter=context_parameter,
        context_state_type=state_type,
        unroutable_returns=returned.unroutable,
        resources=tuple(resources),
    )

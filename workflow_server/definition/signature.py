"""What a step's signature says: which events it takes and returns, whether it wants a context.

Annotations may be strings (`from __future__ import annotations`). They are resolved when the
decorator is applied, because only then the names around it can be seen: those of the class
body, those of the function that holds it, and of functions around that one that still run.

Parameters are recognised by annotation alone: event classes and unions of them, a context by
the name of its class (the class itself lives floors above). Everything else is left alone.
"""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Never, NoReturn, Union, get_args, get_origin

from pydantic import BaseModel

from workflow_server.definition.resource import Need, mark_of, need_of
from workflow_server.errors import WorkflowValidationError
from workflow_server.events import Event

_ASYNC_ITERATION = (
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncGenerator,
)
_SAY_NOTHING = (Any, NoReturn, Never)


@dataclass(frozen=True, slots=True)
class Signature:
    """What was found; see `StepConfig` for the meaning of each field."""

    accepted_events: tuple[type[Event], ...]
    event_parameter: str
    return_types: tuple[type, ...]
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


def _alternatives(annotation: Any) -> Iterator[Any]:
    """Yield the members of a union, with aliases and `Annotated` taken off."""
    if type(annotation).__name__ == "TypeAliasType":  # `type X = A | B`, Python 3.12 and newer
        yield from _alternatives(annotation.__value__)
        return
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif origin is Union or origin is types.UnionType:
        for member in get_args(annotation):
            yield from _alternatives(member)
    else:
        yield annotation


def _is_event_class(annotation: Any) -> bool:
    return isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, Event)


def _event_classes(annotation: Any) -> tuple[type[Event], ...]:
    """Return the event classes of a parameter's annotation; empty unless it names nothing else but `None`."""
    members = [member for member in _alternatives(annotation) if member is not type(None)]
    return tuple(dict.fromkeys(members)) if all(map(_is_event_class, members)) else ()


def _is_event_list(annotation: Any) -> bool:
    for member in _alternatives(annotation):
        if get_origin(member) is list and _event_classes(get_args(member)[0]):
            return True
    return False


def _context_class(annotation: Any) -> Any:
    """Return `Context` or `Context[State]` if that is what the annotation means, else `None`."""
    for member in _alternatives(annotation):
        origin = get_origin(member) or member
        if isinstance(origin, type) and origin.__name__ == "Context":
            return member
    return None


def _state_type(context: Any) -> type[BaseModel] | None:
    args = get_args(context)
    state = args[0] if args else None
    return state if isinstance(state, type) and issubclass(state, BaseModel) else None


def _return_types(function: Callable[..., Any], annotation: Any) -> tuple[tuple[type, ...], tuple[str, ...]]:
    """Return the event classes and `NoneType` that a return annotation names, and the names of all else in it."""
    members = list(_alternatives(annotation))
    if inspect.isasyncgenfunction(function) or any(
        member in _ASYNC_ITERATION or get_origin(member) in _ASYNC_ITERATION for member in members
    ):
        raise WorkflowValidationError(
            f"Async-iterator fan-out is not supported (step {_where(function)}): "
            "return one event, and send others with ctx.send_event."
        )
    if inspect.isgeneratorfunction(function):
        raise WorkflowValidationError(
            f"Step {_where(function)} is a generator: return one event, and send others with ctx.send_event."
        )
    if any(member is list or get_origin(member) is list for member in members):
        raise WorkflowValidationError(
            f"Step {_where(function)} returns a list of events; this version does not run fan-out by list yet. "
            "Send each event with ctx.send_event and gather them with ctx.collect_events."
        )
    routable = [one for one in members if one is type(None) or _is_event_class(one)]
    others = [one for one in members if one not in routable and one not in _SAY_NOTHING]
    return tuple(dict.fromkeys(routable)), tuple(getattr(one, "__name__", str(one)) for one in others)


def _refuse_what_is_not_run(
    function: Callable[..., Any], single: dict[str, tuple[type[Event], ...]], lists: list[str]
) -> None:
    where = f"step {_where(function)}"
    if len(lists) > 1:
        raise WorkflowValidationError(f"A step takes at most one list[E] parameter; {where} has {', '.join(lists)}")
    if lists and single:
        raise WorkflowValidationError(
            f"A list[E] parameter cannot be combined with other event parameters; {where} has {lists[0]} "
            f"and {', '.join(single)}"
        )
    if lists:
        raise WorkflowValidationError(
            f"Parameter {lists[0]!r} of {where} is a list of events; this version does not run fan-in by list yet. "
            "Take one event and gather them with ctx.collect_events."
        )
    if len(single) > 1:
        for name, classes in single.items():
            if len(classes) > 1:
                raise WorkflowValidationError(
                    f"Each of several event parameters must have a single event type; {name!r} of {where} is a union"
                )
        raise WorkflowValidationError(
            f"The {where} has several event parameters ({', '.join(single)}); this version does not run joins yet. "
            "Take a union of the events and gather them with ctx.collect_events."
        )


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
    single: dict[str, tuple[type[Event], ...]] = {}
    lists: list[str] = []
    resources: list[Need] = []
    context_parameter, state_type = None, None
    for parameter in parameters:
        if parameter.name not in hints or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        annotation = hints[parameter.name]
        if (mark := mark_of(annotation)) is not None:
            resources.append(need_of(parameter.name, annotation, mark, frame, names_around(frame)))
        elif classes := _event_classes(annotation):
            single[parameter.name] = classes
        elif _is_event_list(annotation):
            lists.append(parameter.name)
        elif (context := _context_class(annotation)) is not None:
            if context_parameter is not None:
                raise WorkflowValidationError(
                    f"Step {_where(function)} has two context parameters, {context_parameter!r} and {parameter.name!r}"
                )
            context_parameter, state_type = parameter.name, _state_type(context)
    _refuse_what_is_not_run(function, single, lists)
    if not single:
        raise WorkflowValidationError(
            f"Step signature must have at least one parameter annotated as type Event (step {_where(function)})"
        )
    if "return" not in hints:
        raise WorkflowValidationError(
            f"Return types of workflows step functions must be annotated with their type (step {_where(function)}; "
            "'-> None' is fine)"
        )
    name, accepted = next(iter(single.items()))
    returned, unroutable = _return_types(function, hints["return"])
    return Signature(accepted, name, returned, context_parameter, state_type, unroutable, tuple(resources))

"""What a step may return: an event, nothing, or, if its annotation says so, a list of events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from workflow_server.definition.compiled import StepDefinition
from workflow_server.engine.inputs import Execution, FannedOut, Returned
from workflow_server.engine.message import Message
from workflow_server.errors import WorkflowRuntimeError
from workflow_server.events import Event


def input_of(
    at: float, by: Execution, step: StepDefinition, value: Any, wrap: Callable[[Event], Message]
) -> Returned | FannedOut:
    """Return the input that says what an execution has returned.

    Args:
        at: Now, in seconds since the epoch.
        by: The execution.
        step: Its step.
        value: What its function returned.
        wrap: Makes messages of events.

    Raises:
        WorkflowRuntimeError: It is no event, a list with something else in it, a list where none is annotated, or an
            event that is annotated in a list only.
        SerializationError: An event can't be encoded.
    """
    returned = _checked(step, value)
    if isinstance(returned, list):
        return FannedOut(at, by, tuple(map(wrap, returned)))
    return Returned(at, by, None if returned is None else wrap(returned))


def _checked(step: StepDefinition, value: Any) -> Event | list[Event] | None:
    fans_out = bool(step.config.listed_events)
    if value is None:
        return None
    if fans_out and isinstance(value, list):
        for one in cast("list[object]", value):
            if not isinstance(one, Event):
                raise WorkflowRuntimeError(
                    f"Step function {step.name} returned a list that contains {type(one).__name__} instead of an "
                    "Event instance."
                )
        return cast("list[Event]", value)
    name = type(value).__name__
    if not isinstance(value, Event):
        raise WorkflowRuntimeError(f"Step function {step.name} returned {name} instead of an Event instance.")
    if fans_out and not isinstance(value, step.config.bare_events):
        raise WorkflowRuntimeError(
            f"Step function {step.name} returned a bare {name}, which its annotation has only inside a list. "
            f"Return a list with it, or add it to the annotation: -> list[…] | {name}."
        )
    return value

"""How a run sets out: the event that it begins with, and the resumption of one that a snapshot told of."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from workflow_server.engine.message import Message
from workflow_server.errors import WorkflowRuntimeError
from workflow_server.events import StartEvent
from workflow_server.runtime.runner import Runner
from workflow_server.runtime.snapshot import ResumableRun

log = logging.getLogger("workflow_server")


def start_event_of(expected: type[StartEvent], given: Any, fields: dict[str, Any]) -> StartEvent:
    """Return the start event.

    Args:
        expected: The workflow's class of it.
        given: The event as the caller gave it, or `None`.
        fields: Its fields, if none was given; otherwise they are ignored, with a warning in the log.

    Raises:
        ValueError: `given` is something else.
        WorkflowRuntimeError: `fields` don't make such an event.
    """
    if given is None:
        try:
            return expected(**fields)
        except ValidationError as error:
            raise WorkflowRuntimeError(
                f"Failed creating a start event of type '{expected.__name__}' with the keyword arguments: {fields}"
            ) from error
    if fields:
        log.warning(
            "Keyword arguments are not supported when 'run()' is invoked with the 'start_event' parameter. "
            "These keyword arguments will be ignored: %s",
            fields,
        )
    if not isinstance(given, StartEvent):
        raise ValueError("The 'start_event' argument must be an instance of 'StartEvent'.")
    if not isinstance(given, expected):
        raise ValueError(f"The 'start_event' argument must be an instance of '{expected.__name__}'.")
    return given


def beginning(runner: Runner, start: Message | None, resumed: ResumableRun | None) -> Callable[[], None]:
    """Return what sets a run going when it is its turn.

    Args:
        runner: The run.
        start: What it begins with; needed unless it is resumed and had begun.
        resumed: What a snapshot told of it.
    """

    def begin() -> None:
        if resumed is not None and resumed.run.started:
            runner.revive({}, resumed.alive)
        elif start is not None:
            runner.begin(start)

    runner.start = start
    return begin

"""The event that a run in process begins with."""

from __future__ import annotations

import logging
from typing import Any

from pydantic import ValidationError

from workflow_server.errors import WorkflowRuntimeError
from workflow_server.events import StartEvent

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

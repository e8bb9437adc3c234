"""What a `catch_error` handler is given when a step has failed for good."""

from __future__ import annotations

from datetime import UTC, datetime

from workflow_server.engine.inputs import Failed
from workflow_server.engine.message import Message, message_of, whole_input
from workflow_server.engine.routing import Recoveries
from workflow_server.engine.state import Run, WorkItem
from workflow_server.events import StepFailedEvent


def to_catcher(run: Run, item: WorkItem, failed: Failed, elapsed: float) -> tuple[Message, str, Recoveries] | None:
    """Return what goes to the responsible `catch_error` handler, if it may recover this lineage once more."""
    catcher = run.shape.steps[item.step].catcher
    exception = failed.failure.exception
    if catcher is None or not isinstance(exception, Exception):
        return None
    spent = dict(item.recoveries)
    if spent.get(catcher, 0) >= run.shape.steps[catcher].max_recoveries:
        return None
    spent[catcher] = spent.get(catcher, 0) + 1
    event = StepFailedEvent(
        step_name=item.step,
        input_event=whole_input(item.message, item.given),
        exception=exception,
        attempts=item.failures,
        elapsed_seconds=elapsed,
        failed_at=datetime.fromtimestamp(failed.at, UTC),
    )
    return message_of(event), catcher, tuple(sorted(spent.items()))

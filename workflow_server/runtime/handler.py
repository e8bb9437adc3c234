"""`WorkflowHandler`: a program's hold on a run that it started in process."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from typing import Any

from workflow_server.engine.inputs import Misdirected, Sent
from workflow_server.errors import (
    WorkflowCancelledByUser,
    WorkflowRuntimeError,
    WorkflowTimeoutError,
)
from workflow_server.events import Event, StopEvent, WorkflowCancelledEvent
from workflow_server.runtime.context import Context
from workflow_server.runtime.event_stream import EventLog, EventStream
from workflow_server.runtime.publications import result_of
from workflow_server.runtime.runner import Runner


class WorkflowHandler:
    """A run in process. Awaiting it returns the run's result, as often as it is awaited.

    Args:
        runner: The run.
        log: Its events.
        ctx: Its context.
    """

    def __init__(self, runner: Runner, log: EventLog, ctx: Context[Any]) -> None:
        self._runner = runner
        self._events = log
        self.ctx = ctx

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._runner.plan.run_id

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._result().__await__()

    async def _result(self) -> Any:
        return result_of(await self.stop_event_result())

    async def stop_event_result(self) -> StopEvent:
        """Return the stop event that the run ends with.

        Raises:
            WorkflowTimeoutError: The run used up its time limit.
            WorkflowCancelledByUser: It was cancelled.
            Exception: What its failed step raised, the very object.
        """
        await self._runner.ended.wait()
        run = self._runner.run
        match run.ending:
            case "failed":
                assert run.exception is not None
                raise run.exception
            case "timed_out":
                raise WorkflowTimeoutError(self._timeout_sentence())
            case "cancelled":
                raise WorkflowCancelledByUser("The run was cancelled")
            case _:
                stop = self.get_stop_event()
                assert stop is not None
                return stop

    def _timeout_sentence(self) -> str:
        active = self._runner.run.active_at_end
        steps = f"Currently active steps: {', '.join(active)}" if active else "No steps active"
        return f"Operation timed out after {self._runner.plan.time_limit} seconds. {steps}"

    def is_done(self) -> bool:
        """Tell whether the run is over."""
        return self._runner.ended.is_set()

    def get_stop_event(self) -> StopEvent | None:
        """Return the stop event of a completed run, a `WorkflowCancelledEvent` for a cancelled one, else `None`."""
        run = self._runner.run
        if run.ending == "cancelled":
            return WorkflowCancelledEvent()
        event = None if run.result is None else run.result.event
        return event if isinstance(event, StopEvent) else None

    def stream_events(self, expose_internal: bool = False) -> EventStream:
        """Return an iterator over the run's events from its first one, until the stop event.

        One reader can read them, once; leaving the loop early keeps the rest for the next call.

        Args:
            expose_internal: Whether to yield the engine's own events, too.

        Raises (at the first event):
            WorkflowRuntimeError: They have been read already, or somebody is reading them now.
        """
        return EventStream(self._events, expose_internal, "All the streamed events have already been consumed.")

    async def send_event(self, message: Event, step: str | None = None) -> None:
        """Send an event into the run; does nothing once the run is over.

        Args:
            message: The event.
            step: The one step it is for; `None` for all that take it.

        Raises:
            WorkflowRuntimeError: The step does not exist, or does not accept such an event.
        """
        runner = self._runner
        refusal: Misdirected | None = runner.apply(Sent(runner.host.clock(), runner.message(message), step))
        if refusal is not None:
            raise WorkflowRuntimeError(refusal.describe(type(message)))

    async def cancel_run(self, timeout: float = 5.0) -> None:
        """End the run; does nothing if it is over. Never raises.

        Args:
            timeout: Seconds to wait for its steps to stop.
        """
        await self._runner.cancel(timeout)

    def __str__(self) -> str:
        stop = self.get_stop_event()
        result = None if stop is None else result_of(stop)
        return f"WorkflowHandler(workflow={self._runner.plan.name}, run_id={self.run_id}, result={result})"

    # Kept for programs written when a handler was a future

    def done(self) -> bool:
        """Tell whether the run is over. Deprecated: use `is_done`."""
        _deprecated("done", "is_done")
        return self.is_done()

    def cancelled(self) -> bool:
        """Tell whether the run was cancelled. Deprecated: look at `get_stop_event`."""
        _deprecated("cancelled", "get_stop_event")
        return self._runner.run.ending == "cancelled"

    def exception(self) -> BaseException | None:
        """Return what the run failed with. Deprecated: await the handler."""
        _deprecated("exception", "await handler")
        return self._runner.run.exception

    def cancel(self) -> None:
        """End the run without waiting for its steps. Deprecated: use `cancel_run`."""
        _deprecated("cancel", "cancel_run")
        self._runner.request_cancel()


def _deprecated(name: str, instead: str) -> None:
    message = f"WorkflowHandler.{name} is deprecated; use {instead} instead"
    warnings.warn(message, DeprecationWarning, stacklevel=3)

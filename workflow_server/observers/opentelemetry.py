"""OpenTelemetry spans of runs, steps and waits: `trace_runs()`, with the extra `workflow-server[otel]`.

    with trace_runs():
        await MyWorkflow().run()

A run's span is a child of the span that is current where the run was started, a step's span one of its run's, and
while a step executes, its span is current: what it calls adds its own spans below. A failure is recorded on the span
of the step, a retry as an event on it; a wait has a span of its own, so that its time is not taken for work.
"""

from __future__ import annotations

from typing import Any

from workflow_server.observation import (
    Committed,
    Observation,
    Record,
    RunBegan,
    RunEnded,
    StepBegan,
    StepEnded,
    StepKey,
    StepRetried,
    WaitBegan,
    WaitEnded,
    observe,
)


def trace_runs(tracer_provider: Any = None) -> Observation:
    """Make spans of everything that happens to runs in this process, from now on.

    Args:
        tracer_provider: Where spans go; the global `TracerProvider` by default.

    Returns:
        Call its `stop()`, or use it in a `with` statement.

    Raises:
        ImportError: opentelemetry-api is not installed.
    """
    return observe(Tracer(tracer_provider))


class Tracer:
    """An observer that makes spans of records.

    Args:
        tracer_provider: As for `trace_runs`.
    """

    def __init__(self, tracer_provider: Any = None) -> None:
        from opentelemetry import context, trace

        self._trace: Any = trace
        self._attach: Any = context.attach
        self._tracer: Any = trace.get_tracer("workflow_server", tracer_provider=tracer_provider)
        self._open: dict[str | StepKey | tuple[StepKey, str], Any] = {}

    def __call__(self, record: Record) -> None:
        """Take a record."""
        match record:
            case RunBegan():
                about = {"run_id": record.run_id, "workflow": record.workflow, "resumed": record.resumed}
                if record.handler_id is not None:
                    about["handler_id"] = record.handler_id
                self._begin(record.run_id, f"run {record.workflow}", record.at, about, current=True)
            case RunEnded():
                about = {"ending": record.ending}
                self._end(record.run_id, record.at, about, _failure_of(record))
            case StepBegan():
                about = {**_where(record), "input": type(record.event).__name__, "failures": record.failures}
                self._begin(record.key, f"step {record.step}", record.at, about, current=True)
            case StepRetried():
                about = _attributes({"failures": record.failures, "delay": record.delay})
                if (span := self._open.get(record.key)) is not None:
                    span.add_event("retry", about, _nanoseconds(record.at))
            case StepEnded():
                output = {} if record.result is None else {"output": type(record.result).__name__}
                self._end(record.key, record.at, {"outcome": record.outcome, **output}, record.exception)
            case WaitBegan():
                about = {**_where(record), "awaits": record.awaits}
                self._begin((record.key, record.wait), f"wait for {record.awaits}", record.at, about)
            case WaitEnded():
                self._end((record.key, record.wait), record.at, {"outcome": record.outcome}, None)
            case Committed():
                pass  # it belongs to many runs at once, and to none of their spans

    def _begin(
        self,
        key: str | StepKey | tuple[StepKey, str],
        name: str,
        at: float,
        about: dict[str, Any],
        *,
        current: bool = False,
    ) -> None:
        span = self._tracer.start_span(name, attributes=_attributes(about), start_time=_nanoseconds(at))
        self._open[key] = span
        if current:
            # Never detached: the context variables that hold it go with the run or the step.
            self._attach(self._trace.set_span_in_context(span))

    def _end(
        self,
        key: str | StepKey | tuple[StepKey, str],
        at: float,
        about: dict[str, Any],
        error: BaseException | str | None,
    ) -> None:
        span = self._open.pop(key, None)
        if span is None:
            return  # it began before this was observing
        span.set_attributes(_attributes(about))
        if isinstance(error, BaseException):
            span.record_exception(error, timestamp=_nanoseconds(at))
        if error is not None:
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, str(error)))
        span.end(_nanoseconds(at))


def _failure_of(record: RunEnded) -> str | None:
    """Return why a run failed; its exception is on the span of the step."""
    return record.error or "" if record.ending in ("failed", "timed_out") else None


def _where(record: StepBegan | WaitBegan) -> dict[str, Any]:
    return {"run_id": record.key.run_id, "workflow": record.workflow, "step": record.step}


def _attributes(about: dict[str, Any]) -> dict[str, Any]:
    return {f"workflow_server.{name}": value for name, value in about.items()}


def _nanoseconds(at: float) -> int:
    return int(at * 1_000_000_000)

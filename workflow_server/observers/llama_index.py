"""Tells `llama_index_instrumentation` of runs: a span for each run, and in it one for each execution of a step.

It is attached by itself as soon as a run begins in a program that has imported that package: only such a program can
have a handler there. Steps see the tags `llamaindex.run_id`, `llamaindex.handler_id`, `llamaindex.step.input_event` and
`llamaindex.step.input_summary` beside those of whoever started the run; the run's own span bears
`llamaindex.start_event` as well. A step that waits keeps its span open. A step that is stopped, and a run that is
cancelled or leaves memory, exit their spans as usual; only failures and time limits drop theirs.
"""

from __future__ import annotations

import sys
from inspect import BoundArguments, Parameter, Signature
from typing import Any
from uuid import uuid4

from workflow_server.errors import WorkflowTimeoutError
from workflow_server.events import Event
from workflow_server.observation import Observation, Record, RunBegan, RunEnded, StepBegan, StepEnded, StepKey, observe

SUMMARY_LENGTH = 200
"""Characters of an event that its summary shows at most."""

_attached: list[Observation] = []
"""The one that there is in this process, once it is attached."""


def attach_if_used() -> None:
    """Attach the observer, unless it is attached already or the program has not imported the instrumentation."""
    if not _attached and "llama_index_instrumentation" in sys.modules:
        _attached.append(observe(SpanTeller()))


def detach() -> None:
    """Take the observer away, until the next run begins."""
    while _attached:
        _attached.pop().stop()


class SpanTeller:
    """An observer that makes spans of the records of runs and steps."""

    def __init__(self) -> None:
        from llama_index_instrumentation import get_dispatcher
        from llama_index_instrumentation.dispatcher import active_instrument_tags
        from llama_index_instrumentation.events.span import SpanDropEvent
        from llama_index_instrumentation.span import active_span_id

        self._dispatcher = get_dispatcher("workflows")
        self._tags = active_instrument_tags
        self._span = active_span_id
        self._drop_event = SpanDropEvent
        self._open: dict[str | StepKey, tuple[str, BoundArguments, object]] = {}
        self._classes: dict[str, str] = {}

    def __call__(self, record: Record) -> None:
        """Take a record."""
        match record:
            case RunBegan():
                self._begin_run(record)
            case StepBegan():
                self._begin_step(record)
            case StepEnded():
                self._end(record.key, record.result, record.exception)
            case RunEnded():
                self._classes.pop(record.run_id, None)
                self._end(record.run_id, record.result, _why(record))
            case _:
                pass

    def _begin_run(self, record: RunBegan) -> None:
        name = self._classes[record.run_id] = type(record.instance).__name__
        tags = {**self._tags.get(), "llamaindex.run_id": record.run_id}
        if record.handler_id is not None:
            tags["llamaindex.handler_id"] = record.handler_id
        arguments = _bound("start_event", record.start)
        about = {} if record.start is None else {"llamaindex.start_event": _summary(record.start)}
        self._enter(record.run_id, f"{name}.run-{uuid4()}", arguments, record.instance, {**tags, **about})
        self._tags.set(tags)

    def _begin_step(self, record: StepBegan) -> None:
        name = self._classes.get(record.key.run_id, record.workflow.rpartition(".")[2])
        tags = {
            **self._tags.get(),
            "llamaindex.step.input_event": type(record.event).__name__,
            "llamaindex.step.input_summary": _summary(record.event),
        }
        arguments = _bound(record.parameter, record.event)
        self._enter(record.key, f"{name}.{record.step}-{uuid4()}", arguments, None, tags)
        self._tags.set(tags)

    def _enter(
        self, key: str | StepKey, id: str, arguments: BoundArguments, instance: object, tags: dict[str, Any]
    ) -> None:
        parent = self._span.get()
        self._open[key] = id, arguments, instance
        self._dispatcher.span_enter(id, arguments, instance=instance, parent_id=parent, tags=tags)
        self._span.set(id)

    def _end(self, key: str | StepKey, result: Event | list[Event] | None, error: BaseException | None) -> None:
        opened = self._open.pop(key, None)
        if opened is None:
            return  # it began before the observer was attached
        id, arguments, instance = opened
        if error is None:
            self._dispatcher.span_exit(id, arguments, instance=instance, result=result)
        else:
            self._dispatcher.event(self._drop_event(span_id=id, err_str=str(error)))
            self._dispatcher.span_drop(id, arguments, instance=instance, err=error)


def _why(record: RunEnded) -> BaseException | None:
    if record.ending == "timed_out":
        return WorkflowTimeoutError(record.error)
    return record.exception if record.ending == "failed" else None


def _bound(name: str, value: object) -> BoundArguments:
    signature = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD)])
    return signature.bind(value)


def _summary(event: Event) -> str:
    text = repr(event)
    return text if len(text) <= SUMMARY_LENGTH else f"{text[: SUMMARY_LENGTH - 1]}…"

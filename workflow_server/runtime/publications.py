"""From what the engine publishes to what readers see: an event object in process, an encoded record in a store.

The engine's own news are not made into event objects until somebody reads them as such: a run publishes
two for each step, and most are never looked at.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, assert_never

from pydantic_core import PydanticSerializationError, to_json

from workflow_server.engine.effects import (
    BecameIdle,
    Fact,
    Publication,
    RunCancelled,
    RunFailed,
    RunTimedOut,
    StepChanged,
    WentUnhandled,
)
from workflow_server.engine.message import EventKind, Message, kind_of
from workflow_server.errors import SerializationError
from workflow_server.events import (
    Event,
    StepStateChanged,
    StopEvent,
    UnhandledEvent,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowIdleEvent,
    WorkflowTimedOutEvent,
)
from workflow_server.wire.records import STEP_EXTRAS, EventRecord

_STEP_STATE = kind_of(StepStateChanged)


def is_internal(fact: Fact) -> bool:
    """Tell whether readers see `fact` only if they ask for internal events."""
    if isinstance(fact, Message):
        return fact.kind.type == "InternalDispatchEvent" or "InternalDispatchEvent" in fact.kind.types
    return isinstance(fact, (StepChanged, BecameIdle, WentUnhandled))


def result_of(event: Event) -> Any:
    """Return what a run that ended with `event` results in: a plain stop event's result, or the event itself."""
    return event.result if type(event) is StopEvent else event


def event_of(fact: Fact) -> Event:
    """Return the event object that tells `fact`."""
    match fact:
        case Message():
            return fact.event
        case StepChanged():
            return StepStateChanged(
                name=fact.step,
                step_state=fact.state,
                worker_id=fact.worker,
                input_event_name=fact.input,
                output_event_name=fact.output,
                **_attempt(fact),
            )
        case BecameIdle():
            return WorkflowIdleEvent()
        case WentUnhandled():
            return UnhandledEvent(
                event_type=fact.kind.type,
                qualified_name=fact.kind.qualified_name,
                step_name=fact.step,
                idle=fact.idle,
            )
        case RunFailed():
            exception = fact.failure.exception
            return WorkflowFailedEvent(
                step_name=fact.step,
                # SystemExit is no Exception, and an event holds one.
                exception=exception if isinstance(exception, Exception) else RuntimeError(repr(exception)),
                attempts=fact.attempts,
                elapsed_seconds=fact.elapsed,
            )
        case RunTimedOut():
            return WorkflowTimedOutEvent(timeout=fact.limit, active_steps=list(fact.active))
        case RunCancelled():
            return WorkflowCancelledEvent()
        case _:
            assert_never(fact)


def encode_event(event: Event) -> str:
    """Return the dump of `event` as JSON text.

    Raises:
        SerializationError: A field can't be encoded; the message names event, field and type.
    """
    try:
        if type(event) is StopEvent:
            # Most runs end with one: equal to its dump, without the detour through its serializer in Python.
            result = event.result
            return to_json({} if result is None else {"result": result}, inf_nan_mode="null").decode()
        return event.model_dump_json()
    except (PydanticSerializationError, ValueError, TypeError) as error:
        raise SerializationError(_what_failed(event, error)) from error


def _what_failed(event: Event, error: Exception) -> str:
    """Find the field that can't be encoded, by encoding each by itself."""
    name = type(event).__name__
    values = {field: getattr(event, field, None) for field in type(event).model_fields} | dict(event.items())
    result = getattr(event, "result", None)
    if result is not None:
        values["result"] = result
    for field, value in values.items():
        try:
            Event(value=value).model_dump_json()
        except (PydanticSerializationError, ValueError, TypeError):
            return f"{name} can't be stored: its field {field!r} holds a {type(value).__name__}, which has no JSON form"
    return f"{name} can't be stored: {error}"


def record_of(publication: Publication) -> EventRecord:
    """Return `publication` encoded, for a store."""
    fact = publication.fact
    if isinstance(fact, StepChanged):
        kind: EventKind = _STEP_STATE
        value = _step_json(fact)
    elif isinstance(fact, Message):
        kind = fact.kind
        value = fact.value if fact.value is not None else encode_event(fact.event)
    else:
        event = event_of(fact)
        kind, value = kind_of(type(event)), encode_event(event)
    return EventRecord(
        publication.sequence, publication.at, kind.type, kind.qualified_name, kind.types, value, publication.item
    )


def _step_json(fact: StepChanged) -> str:
    """Encode the most frequent event of all by hand; equal to the dump of its event."""
    output = "null" if fact.output is None else _quoted(fact.output)
    return (
        f'{{"name":{_quoted(fact.step)},"step_state":"{fact.state.value}","worker_id":"{fact.worker}",'
        f'"input_event_name":{_quoted(fact.input)},"output_event_name":{output}{_attempt_json(fact)}}}'
    )


def _attempt(fact: StepChanged) -> dict[str, Any]:
    """Return which attempt `fact` tells of and how it failed; nothing for a first one that did not."""
    if fact.attempt == 1 and fact.failure is None:
        return {}
    failure = None
    if fact.failure is not None:
        failure = {"exception_type": fact.failure.type, "exception_message": fact.failure.text}
    return {"attempt": fact.attempt, "failure": failure}


def _attempt_json(fact: StepChanged) -> str:
    more = _attempt(fact)
    return f"{STEP_EXTRAS}{to_json(more).decode()}" if more else ""


@lru_cache(maxsize=4096)
def _quoted(name: str) -> str:
    """Return a name of the program's as JSON text; there are few, and each is encoded again and again."""
    return json.dumps(name)

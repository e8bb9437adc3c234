"""Answers as the classes that a program expects: results by `result_type=`, events by `registry=`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar, cast

from pydantic import PrivateAttr, TypeAdapter

from workflow_server.events import (
    Event,
    EventType,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowTimedOutEvent,
)
from workflow_server.wire.envelopes import EventEnvelopeWithMetadata, EventValidationError
from workflow_server.wire.models import HandlerData, RunFailed

R = TypeVar("R")

_ENDS = (WorkflowCancelledEvent, WorkflowFailedEvent, WorkflowTimedOutEvent)


class TypedHandler(HandlerData, Generic[R]):
    """A handler whose result has a known type."""

    _result_type: Any = PrivateAttr()

    @property
    def output(self) -> R:
        """The result: the stop event, where the type is a class of events, else what a plain one holds.

        Raises:
            RunFailed: There is none, because the run failed, was cancelled, or goes on.
            pydantic.ValidationError: The result is not of the type.
        """
        if self.result is None:
            raise RunFailed(self)
        value: Any = self.result.value
        if not _is_event_class(self._result_type) and self.result.type == "StopEvent":
            value = value.get("result")
        return cast("R", TypeAdapter(self._result_type).validate_python(value))


def _is_event_class(result_type: Any) -> bool:
    return isinstance(result_type, type) and issubclass(result_type, Event)


def typed_as(result_type: type[R], body: bytes) -> TypedHandler[R]:
    """Return the handler that `body` holds as JSON, with the type of its result."""
    handler: TypedHandler[R] = TypedHandler[R].model_validate_json(body)
    handler._result_type = result_type  # pyright: ignore[reportPrivateUsage]
    return handler


def load_event(
    envelope: EventEnvelopeWithMetadata, registry: Sequence[EventType] | None
) -> Event | EventEnvelopeWithMetadata:
    """Return the event in `envelope` if its class is in `registry` or a basic one, else `envelope` itself."""
    if registry is None:
        return envelope
    try:
        return envelope.load_event((*registry, *_ENDS))
    except EventValidationError:
        return envelope

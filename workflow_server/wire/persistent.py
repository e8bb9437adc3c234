"""A handler as `AbstractWorkflowStore.query` returns it to programs."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, cast

from pydantic import field_serializer, field_validator

from workflow_server.errors import SerializationError
from workflow_server.events import StopEvent
from workflow_server.serializers import JsonSerializer
from workflow_server.wire.base import WireModel
from workflow_server.wire.records import EventRecord, HandlerRecord, Status


class PersistentHandler(WireModel):
    """A handler with its current run.

    `result` takes a stop event, its tagged JSON object, or any other value, which becomes `StopEvent(result=value)`.
    """

    handler_id: str
    workflow_name: str
    status: Status
    run_id: str | None = None
    error: str | None = None
    result: Any = None
    started_at: datetime | None = None
    updated_at: datetime | None = None
    completed_at: datetime | None = None
    idle_since: datetime | None = None

    @field_validator("result", mode="before")
    @classmethod
    def _as_stop_event(cls, value: Any) -> StopEvent | None:
        if value is None or isinstance(value, StopEvent):
            return value
        if isinstance(value, dict) and "__is_pydantic" in value:
            loaded = JsonSerializer().deserialize_value(cast("dict[str, Any]", value))
            return loaded if isinstance(loaded, StopEvent) else StopEvent(result=loaded)
        return StopEvent(result=value)

    @field_serializer("result")
    def _as_tagged(self, value: StopEvent | None) -> Any:
        return None if value is None else JsonSerializer().serialize_value(value)

    @classmethod
    def of(cls, record: HandlerRecord) -> PersistentHandler:
        """Return what `record` says."""
        return cls(
            handler_id=record.handler_id,
            workflow_name=record.workflow_name,
            status=record.status,
            run_id=record.run_id,
            error=record.error,
            result=None if record.result is None else _load(record.result),
            started_at=_moment(record.started_at),
            updated_at=_moment(record.updated_at),
            completed_at=_moment(record.completed_at),
            idle_since=_moment(record.updated_at) if record.phase == "idle" else None,
        )


def _load(result: EventRecord) -> Any:
    """Return the event that ended a run; if there is no such class any more, one that holds its fields."""
    fields = json.loads(result.value)  # an event's own dump has no tags: what looks like one came from outside
    try:
        return JsonSerializer().deserialize_value(
            {"__is_pydantic": True, "value": fields, "qualified_name": result.qualified_name}
        )
    except SerializationError:
        return StopEvent(result=fields)


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at).astimezone()

"""The models that clients read answers with, held against what the server writes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from workflow_server.api.outcomes import (
    Cancelled,
    Deleted,
    EventAccepted,
    EventSchemas,
    Graph,
    HandlerFound,
    HandlersListed,
    HandlersPage,
    Health,
    Outcome,
    Readiness,
    Schemas,
    WorkflowNames,
)
from workflow_server.api.render import envelope_json, render
from workflow_server.events import Event, StopEvent
from workflow_server.http.messages import Stream
from workflow_server.naming import qualified_name
from workflow_server.wire.envelopes import EventEnvelopeWithMetadata
from workflow_server.wire.models import (
    CancelHandlerResponse,
    HandlerData,
    HandlersListResponse,
    HealthResponse,
    ReadinessResponse,
    SendEventResponse,
    WorkflowEventsListResponse,
    WorkflowGraphResponse,
    WorkflowSchemaResponse,
    WorkflowsListResponse,
    is_status_completed,
)
from workflow_server.wire.persistent import PersistentHandler
from workflow_server.wire.records import EventRecord, HandlerRecord

STOP = EventRecord(3, 1.5, "StopEvent", "workflows.events.StopEvent", (), '{"result":"Hello"}')
HANDLER = HandlerRecord("h1", "greet", "r1", "completed", "done", 1.5, 2.5, 3.5, result=STOP)


class Unread:
    async def pull(self) -> Sequence[Any] | None: ...

    def close(self) -> None: ...


class Parent(Event):
    x: int = 1


class Child(Parent):
    y: str = "z"


def written(outcome: Outcome) -> bytes:
    body = render(outcome, Unread()).body
    if isinstance(body, Stream):
        return body.opening + body.frame(HANDLER) + body.closing
    return body


@pytest.mark.parametrize(
    ("model", "outcome"),
    [
        (HealthResponse, Health(True)),
        (HealthResponse, Health(False)),
        (ReadinessResponse, Readiness(True)),
        (ReadinessResponse, Readiness(False, ("It stops.",))),
        (WorkflowsListResponse, WorkflowNames(("a",))),
        (HandlerData, HandlerFound(HANDLER)),
        (HandlersListResponse, HandlersListed(Unread())),
        (HandlersListResponse, HandlersPage((HANDLER,), "7")),
        (HandlersListResponse, HandlersPage((), None)),
        (SendEventResponse, EventAccepted()),
        (CancelHandlerResponse, Cancelled()),
        (CancelHandlerResponse, Deleted(("slow",))),
        (WorkflowSchemaResponse, Schemas({"title": "A"}, {"title": "B"})),
        (WorkflowEventsListResponse, EventSchemas(({"title": "A"},))),
        (WorkflowGraphResponse, Graph({"name": "G", "nodes": [], "edges": [], "description": None})),
    ],
)
def test_what_the_server_writes_is_what_the_model_reads_and_nothing_more(
    model: type[BaseModel], outcome: Outcome
) -> None:
    read = model.model_validate_json(written(outcome))
    again = model.model_validate_json(written(outcome), strict=True)
    assert again == read
    assert model.model_validate_json(read.model_dump_json(exclude_unset=True)) == read
    assert read.model_dump(mode="json", exclude_unset=True) == model.model_validate_json(
        written(outcome), extra="forbid"
    ).model_dump(mode="json", exclude_unset=True)


def test_a_handler_is_read_whole() -> None:
    handler = HandlerData.model_validate_json(written(HandlerFound(HANDLER)))
    assert handler.model_fields_set == set(HandlerData.model_fields)
    assert handler.result == EventEnvelopeWithMetadata(
        value={"result": "Hello"}, qualified_name="workflows.events.StopEvent", type="StopEvent", types=None
    )


def test_a_handler_from_a_server_without_phases_is_read_too() -> None:
    fields = HandlerData.model_validate_json(written(HandlerFound(HANDLER))).model_dump(exclude={"phase"})
    assert HandlerData.model_validate(fields).phase is None


def test_an_envelope_joined_from_text_is_the_one_made_of_the_event() -> None:
    event = Child(y="q", note="n")
    record = EventRecord(0, 0.0, "Child", qualified_name(Child), ("Parent",), event.model_dump_json())
    for named in (True, False):
        joined = EventEnvelopeWithMetadata.model_validate_json(envelope_json(record, named))
        assert joined == EventEnvelopeWithMetadata.from_event(event, include_qualified_name=named)


def test_which_statuses_are_an_end() -> None:
    assert [is_status_completed(status) for status in ("running", "completed", "failed", "cancelled")] == [
        False,
        True,
        True,
        True,
    ]


def result_of(qualified_name: str, value: str) -> StopEvent:
    """Return the result that programs see of a handler whose run has stored this one."""
    result = PersistentHandler.of(
        replace(HANDLER, result=replace(STOP, qualified_name=qualified_name, value=value))
    ).result
    assert isinstance(result, StopEvent)
    return result


def test_a_result_that_looks_like_a_tagged_object_is_what_it_is() -> None:
    """It may have come from a client, so what it names is not imported."""
    sent = {"__is_pydantic": True, "qualified_name": "this.Any", "value": {}}
    assert result_of("workflows.events.StopEvent", json.dumps({"result": sent})).result == sent
    assert "this" not in sys.modules


def test_a_result_whose_class_is_gone_shows_what_it_held() -> None:
    assert result_of("program.Gone", '{"n":3}').result == {"n": 3}

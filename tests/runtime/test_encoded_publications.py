"""What the runtime encodes by hand equals what the event's own dump would be."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import json
import uuid
from typing import Any

import pytest
from pydantic import BaseModel

from workflow_server.engine.effects import Publication, StepChanged
from workflow_server.errors import SerializationError
from workflow_server.events import Event, HumanResponseEvent, StepState, StopEvent
from workflow_server.runtime.publications import encode_event, event_of, record_of


class Model(BaseModel):
    ratio: float = float("inf")


@dataclasses.dataclass
class Point:
    x: int = 1


RESULTS: list[Any] = [
    None,
    0,
    "",
    "é\u2028",
    10**30,
    float("nan"),
    float("-inf"),
    b"bytes",
    decimal.Decimal("1.50"),
    dt.timedelta(hours=1),
    dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    uuid.UUID(int=7),
    StepState.RUNNING,
    Model(),
    Point(),
    Event(name="x", inner=Model()),
    StopEvent(result=[1]),
    HumanResponseEvent(x=1),
    {"list": [Model(), (1, 2)], 3: {"deep": float("inf")}},
]


@pytest.mark.parametrize("result", RESULTS, ids=lambda value: type(value).__name__)
def test_a_plain_stop_event_is_encoded_as_its_dump(result: Any) -> None:
    assert encode_event(StopEvent(result=result)) == StopEvent(result=result).model_dump_json()
    assert encode_event(StopEvent(result=result, extra=1)) == StopEvent(result=result, extra=1).model_dump_json()


@pytest.mark.parametrize(
    "result", [object(), {"k": object()}, "\ud800", b"\xff"], ids=["object", "nested", "half", "bytes"]
)
def test_what_has_no_json_form_is_refused_by_name(result: Any) -> None:
    with pytest.raises(SerializationError, match="StopEvent can't be stored"):
        encode_event(StopEvent(result=result))


@pytest.mark.parametrize("output", [None, "Next", 'Quo"ted'])
def test_a_step_state_is_encoded_as_its_dump(output: str | None) -> None:
    fact = StepChanged("stép", StepState.NOT_RUNNING, "0", "Start", output)
    encoded = record_of(Publication(0, 1.0, fact)).value
    assert json.loads(encoded) == json.loads(event_of(fact).model_dump_json())

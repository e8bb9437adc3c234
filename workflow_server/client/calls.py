"""What a client asks and how answers are read: values in, values out, shared by the async and the sync client.

Each method of `Calls` checks and encodes its arguments and returns a `Call`: a request, and how to read its answer.
Nothing here knows a socket, a clock or httpx.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Generic, Literal, TypedDict, TypeVar, Unpack, cast
from urllib.parse import quote

from pydantic import BaseModel

from workflow_server.client.typed import typed_as
from workflow_server.events import StartEvent
from workflow_server.valueclass import dataclass
from workflow_server.wire.envelopes import EventEnvelope
from workflow_server.wire.models import (
    CancelHandlerResponse,
    HandlerData,
    HandlersListResponse,
    HealthResponse,
    InputResponse,
    SendEventResponse,
    StateResponse,
    WaitingResponse,
    WorkflowEventsListResponse,
    WorkflowGraphResponse,
    WorkflowSchemaResponse,
    WorkflowsListResponse,
)

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

Failures = Literal["raise", "return"]
Texts = str | Sequence[str] | None


class Filters(TypedDict, total=False):
    """Only handlers in such a phase, started between two times (ISO 8601), with an id that begins so."""

    phase: Texts
    started_after: str | None
    started_before: str | None
    q: str | None


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request, and how its answer is read."""

    method: str
    path: str
    """Percent-encoded, below the server's URL."""
    read: Callable[[bytes], T]
    """Makes a value of the answer's body."""
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    takes: float | None = 0.0
    """Seconds that the server may take by intention, `None` for any time."""
    failed_run: bool = False
    """Whether a handler whose run failed, which has an error's status, is an answer too."""

    def answer(self, status: int, body: bytes) -> T | None:
        """Return what the server answered; `None` if it refused."""
        if status < 400 or (status == 500 and self.failed_run and b'"handler_id"' in body):
            return self.read(body)
        return None


class Calls:
    """Makes calls.

    Args:
        failures: Whether a run that failed is an error or an answer.
    """

    def __init__(self, failures: Failures) -> None:
        if failures not in ("raise", "return"):
            raise ValueError(f"failures must be 'raise' or 'return', not {failures!r}")
        self._values = failures == "return"

    # The server and its workflows

    def health(self) -> Call[HealthResponse]:
        """Is it up?"""
        return _get("/health", HealthResponse)

    def workflows(self) -> Call[WorkflowsListResponse]:
        """What does it serve?"""
        return _get("/workflows", WorkflowsListResponse)

    def schema(self, name: str) -> Call[WorkflowSchemaResponse]:
        """What does a workflow take and give?"""
        return _get(_path("workflows", name, "schema"), WorkflowSchemaResponse)

    def events_schema(self, name: str) -> Call[WorkflowEventsListResponse]:
        """Which events does it know?"""
        return _get(_path("workflows", name, "events"), WorkflowEventsListResponse)

    def graph(self, name: str) -> Call[WorkflowGraphResponse]:
        """How is it drawn?"""
        return _get(_path("workflows", name, "representation"), WorkflowGraphResponse)

    # Runs

    def run(
        self,
        name: str,
        handler_id: str | None,
        start_event: Any,
        context: Any,
        idempotency_key: str | None,
        result_type: Any,
        *,
        wait: bool,
    ) -> Call[Any]:
        """Start a run, and wait for its end or not."""
        event = StartEvent() if start_event is None else start_event
        try:
            body: dict[str, Any] = {"start_event": _plain(_start(event, bare=wait))}
        except Exception as error:  # validators and serializers of users raise anything
            raise ValueError(f"Impossible to serialize the start event because of: {error}") from error
        try:
            body["context"] = _plain({} if context is None else _snapshot(context))
        except Exception as error:
            raise ValueError(f"Impossible to serialize the context because of: {error}") from error
        if handler_id:
            body["handler_id"] = handler_id
        return Call(
            "POST",
            _path("workflows", name, "run" if wait else "run-nowait"),
            _handler(result_type),
            body=_json(body),
            headers=_key(idempotency_key),
            takes=None if wait else 0.0,
            failed_run=self._values,
        )

    def send(
        self, handler_id: str, event: Any, step: str | None, waiter_id: str | None, idempotency_key: str | None
    ) -> Call[SendEventResponse]:
        """Send an event to a run."""
        try:
            body: dict[str, Any] = {"event": _plain(event if isinstance(event, dict) else _envelope(event))}
        except Exception as error:
            raise ValueError(f"Error while serializing the provided event: {error}") from error
        if step:
            body["step"] = step
        if waiter_id is not None:
            body["waiter_id"] = waiter_id
        path, read = _path("events", handler_id), SendEventResponse.model_validate_json
        return Call("POST", path, read, body=_json(body), headers=_key(idempotency_key))

    def cancel(self, handler_id: str, purge: bool) -> Call[CancelHandlerResponse]:
        """Cancel a run, and with `purge` remove its handler."""
        query = (("purge", "true" if purge else "false"),)
        path, read = _path("handlers", handler_id, "cancel"), CancelHandlerResponse.model_validate_json
        return Call("POST", path, read, query, takes=30.0)

    def handler(self, handler_id: str, result_type: Any = None, wait: float = 0.0) -> Call[Any]:
        """How does a handler stand, perhaps after so many seconds?"""
        query = ((("wait", f"{wait:g}"),) if wait else ()) + ((("outcome", "body"),) if self._values else ())
        read = _handler(result_type)
        return Call("GET", _path("handlers", handler_id), read, query, takes=wait, failed_run=self._values)

    def handlers(
        self,
        status: Texts,
        workflow_name: Texts,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        **filters: Unpack[Filters],
    ) -> Call[HandlersListResponse]:
        """Which handlers are there? `None` is no filter, a list holds alternatives.

        Raises:
            TypeError: There is no such filter.
        """
        if unknown := filters.keys() - Filters.__annotations__.keys():
            raise TypeError(f"handlers can't be filtered by {', '.join(sorted(unknown))}")
        given = {"status": status, "workflow_name": workflow_name, **filters, "limit": limit, "cursor": cursor}
        query: list[tuple[str, str]] = []
        for name, value in given.items():
            values = [] if value is None else [value] if isinstance(value, str | int) else cast("Sequence[str]", value)
            query += [(name, str(one)) for one in values]
        return Call("GET", "/handlers", HandlersListResponse.model_validate_json, tuple(query))

    def state(self, handler_id: str) -> Call[StateResponse]:
        """What does a run keep?"""
        return _get(_path("handlers", handler_id, "state"), StateResponse)

    def input(self, handler_id: str) -> Call[InputResponse]:
        """What did it begin with?"""
        return _get(_path("handlers", handler_id, "input"), InputResponse)

    def waiting(self, handler_id: str) -> Call[WaitingResponse]:
        """What does it wait for?"""
        return _get(_path("handlers", handler_id, "waiting"), WaitingResponse)

    def events(self, handler_id: str, include_internal: bool, after: int | Literal["now"]) -> Call[bytes]:
        """Which events does it publish?"""
        internal = "true" if include_internal else "false"
        query = (("sse", "true"), ("include_internal", internal), ("after_sequence", str(after)))
        accept = {"accept": "text/event-stream", "cache-control": "no-store"}
        return Call("GET", _path("events", handler_id), bytes, query, headers=accept, takes=None)


def _path(*segments: str) -> str:
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def _get(path: str, model: type[M]) -> Call[M]:
    return Call("GET", path, model.model_validate_json)


def _handler(result_type: Any) -> Callable[[bytes], Any]:
    if result_type is None:
        return HandlerData.model_validate_json
    return lambda body: typed_as(result_type, body)


def _key(idempotency_key: str | None) -> dict[str, str]:
    return {} if idempotency_key is None else {"idempotency-key": idempotency_key}


def _start(event: Any, *, bare: bool) -> Any:
    """Return a start event as JSON values: bare fields for a run that is waited for, else an envelope.

    The documented client does so, and its server takes an envelope without input for something else than no input.
    """
    if isinstance(event, dict):
        return cast("dict[str, Any]", event)
    return event.model_dump(mode="json") if bare else _envelope(event)


def _envelope(event: Any) -> Any:
    return EventEnvelope.from_event(event).model_dump()


def _snapshot(context: Any) -> Any:
    return context.to_dict() if hasattr(context, "to_dict") else context


def _plain(value: Any) -> Any:
    """Return `value`, which JSON can hold."""
    json.dumps(value)
    return value


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")

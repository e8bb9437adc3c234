"""`SyncWorkflowClient`: the same client for scripts and notebooks, without an event loop.

Its methods are those of `WorkflowClient`, whose documentation holds for these too; `get_workflow_events`, an older name
of `events`, is the other's alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from workflow_server.client.calls import Call, Calls, Failures, Filters, Texts
from workflow_server.client.connecting import Connections, is_break, need_httpx, read_answer, request_for
from workflow_server.client.following import Cursor, Follower
from workflow_server.client.patience import Breaks, Patience
from workflow_server.client.polling import Backoff, Polls
from workflow_server.client.sync_streams import SyncEvents
from workflow_server.client.typed import TypedHandler
from workflow_server.events import Event, EventType, StartEvent
from workflow_server.wire.envelopes import EventEnvelopeWithMetadata
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
    is_status_completed,
)

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
R = TypeVar("R")


class SyncWorkflowClient:
    """Asks a server of workflows, see `WorkflowClient`; `WorkflowClient.sync(…)` makes one."""

    def __init__(
        self, *, httpx_client: httpx.Client | None = None, base_url: str | None = None, failures: Failures = "raise"
    ) -> None:
        self._connections = Connections(httpx_client, base_url, need_httpx().Client)
        self._calls = Calls(failures)

    def _ask(self, call: Call[T]) -> T:
        client, own = self._connections.lend()
        try:
            return read_answer(call, client.send(request_for(call, client, own=own)))
        finally:
            if own:
                client.close()

    def is_healthy(self) -> HealthResponse:
        """Return whether the server is up."""
        return self._ask(self._calls.health())

    def list_workflows(self) -> WorkflowsListResponse:
        """Return the names of the served workflows."""
        return self._ask(self._calls.workflows())

    def get_workflow_schema(self, workflow_name: str) -> WorkflowSchemaResponse:
        """Return the JSON schemas of a workflow's start and stop event."""
        return self._ask(self._calls.schema(workflow_name))

    def get_workflow_events_schema(self, workflow_name: str) -> WorkflowEventsListResponse:
        """Return the JSON schemas of all events of a workflow."""
        return self._ask(self._calls.events_schema(workflow_name))

    def get_workflow_graph(self, workflow_name: str) -> WorkflowGraphResponse:
        """Return a workflow as nodes and edges."""
        return self._ask(self._calls.graph(workflow_name))

    @overload
    def run_workflow(
        self,
        workflow_name: str,
        handler_id: str | None = None,
        start_event: StartEvent | dict[str, Any] | None = None,
        context: Any = None,
        *,
        result_type: None = None,
        idempotency_key: str | None = None,
    ) -> HandlerData: ...
    @overload
    def run_workflow(
        self,
        workflow_name: str,
        handler_id: str | None = None,
        start_event: StartEvent | dict[str, Any] | None = None,
        context: Any = None,
        *,
        result_type: type[R],
        idempotency_key: str | None = None,
    ) -> TypedHandler[R]: ...
    def run_workflow(
        self,
        workflow_name: str,
        handler_id: str | None = None,
        start_event: StartEvent | dict[str, Any] | None = None,
        context: Any = None,
        *,
        result_type: Any = None,
        idempotency_key: str | None = None,
    ) -> Any:
        """Run a workflow and return its handler when the run is over."""
        call = self._calls.run(workflow_name, handler_id, start_event, context, idempotency_key, result_type, wait=True)
        return self._ask(call)

    def run_workflow_nowait(
        self,
        workflow_name: str,
        handler_id: str | None = None,
        start_event: StartEvent | dict[str, Any] | None = None,
        context: Any = None,
        *,
        idempotency_key: str | None = None,
    ) -> HandlerData:
        """Start a workflow and return its handler at once."""
        call = self._calls.run(workflow_name, handler_id, start_event, context, idempotency_key, None, wait=False)
        handler: HandlerData = self._ask(call)
        return handler

    @overload
    def get_handler(self, handler_id: str, *, result_type: None = None) -> HandlerData: ...
    @overload
    def get_handler(self, handler_id: str, *, result_type: type[R]) -> TypedHandler[R]: ...
    def get_handler(self, handler_id: str, *, result_type: Any = None) -> Any:
        """Return a handler."""
        return self._ask(self._calls.handler(handler_id, result_type))

    def get_result(self, handler_id: str) -> HandlerData:
        """Return a handler: another name of `get_handler`."""
        return self.get_handler(handler_id)

    @overload
    def wait_for_handler(
        self,
        handler_id: str,
        *,
        timeout: float | None = None,
        poll_interval: float = 0.5,
        max_poll_interval: float = 5.0,
        backoff: Backoff = "linear",
        patience: Patience | None = None,
        result_type: None = None,
    ) -> HandlerData: ...
    @overload
    def wait_for_handler(
        self,
        handler_id: str,
        *,
        timeout: float | None = None,
        poll_interval: float = 0.5,
        max_poll_interval: float = 5.0,
        backoff: Backoff = "linear",
        patience: Patience | None = None,
        result_type: type[R],
    ) -> TypedHandler[R]: ...
    def wait_for_handler(
        self,
        handler_id: str,
        *,
        timeout: float | None = None,
        poll_interval: float = 0.5,
        max_poll_interval: float = 5.0,
        backoff: Backoff = "linear",
        patience: Patience | None = None,
        result_type: Any = None,
    ) -> Any:
        """Return a handler when its run is over."""
        breaks = Breaks(patience)
        polls = Polls(handler_id, timeout, poll_interval, max_poll_interval, backoff, breaks, time.monotonic())
        while True:
            try:
                handler = self._ask(self._calls.handler(handler_id, result_type, polls.ask(time.monotonic())))
            except need_httpx().HTTPError as error:
                pause = polls.broken(time.monotonic()) if is_break(error, breaks.patience) else None
                if pause is None:
                    raise
            else:
                if is_status_completed(handler.status):
                    return handler
                pause = polls.pause(time.monotonic())
            time.sleep(pause)

    def get_handlers(
        self,
        status: Texts = None,
        workflow_name: Texts = None,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        **filters: Unpack[Filters],
    ) -> HandlersListResponse:
        """Return handlers, all that match or a page of them."""
        return self._ask(self._calls.handlers(status, workflow_name, limit=limit, cursor=cursor, **filters))

    def iter_handlers(
        self,
        status: Texts = None,
        workflow_name: Texts = None,
        *,
        page_size: int = 100,
        **filters: Unpack[Filters],
    ) -> Iterator[HandlerData]:
        """Yield all handlers that match, newest first, asking for a page at a time."""
        cursor: str | None = None
        while True:
            page = self.get_handlers(status, workflow_name, limit=page_size, cursor=cursor, **filters)
            yield from page.handlers
            cursor = page.next_cursor
            if cursor is None:
                return

    def cancel_handler(self, handler_id: str, purge: bool = False) -> CancelHandlerResponse:
        """Cancel a run; with `purge`, remove its handler and all that hangs on it."""
        return self._ask(self._calls.cancel(handler_id, purge))

    def get_state(self, handler_id: str) -> StateResponse:
        """Return what a run keeps in `ctx.store`."""
        return self._ask(self._calls.state(handler_id))

    def get_input(self, handler_id: str) -> InputResponse:
        """Return the event that a run began with."""
        return self._ask(self._calls.input(handler_id))

    def get_waiting(self, handler_id: str) -> WaitingResponse:
        """Return what a run waits for."""
        return self._ask(self._calls.waiting(handler_id))

    def send_event(
        self,
        handler_id: str,
        event: Event | dict[str, Any],
        step: str | None = None,
        *,
        waiter_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> SendEventResponse:
        """Send an event to a run."""
        return self._ask(self._calls.send(handler_id, event, step, waiter_id, idempotency_key))

    @overload
    def events(
        self,
        handler_id: str,
        *,
        include_internal_events: bool = False,
        after_sequence: Cursor = -1,
        registry: None = None,
        patience: Patience | None = None,
    ) -> SyncEvents[EventEnvelopeWithMetadata]: ...
    @overload
    def events(
        self,
        handler_id: str,
        *,
        include_internal_events: bool = False,
        after_sequence: Cursor = -1,
        registry: Sequence[EventType],
        patience: Patience | None = None,
    ) -> SyncEvents[Event | EventEnvelopeWithMetadata]: ...
    def events(
        self,
        handler_id: str,
        *,
        include_internal_events: bool = False,
        after_sequence: Cursor = -1,
        registry: Sequence[EventType] | None = None,
        patience: Patience | None = None,
    ) -> Any:
        """Return the events of a run, to its end: `with client.events(id) as events: for event in events`."""
        breaks = Breaks(patience)
        follower = Follower(self._calls, handler_id, include_internal_events, after_sequence, registry, breaks)
        return SyncEvents[Any](self._connections, follower)

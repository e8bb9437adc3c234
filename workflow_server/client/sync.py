"""`SyncWorkflowClient`: the same client for scripts and notebooks, without an event loop.

Its methods are those of `WorkflowClient`, whose documentation holds for these too.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar, overload

from workflow_server.client.calls import Call, Calls, Failures, Texts
from workflow_server.client.connecting import (
    Verification,
    check_one,
    need_httpx,
    read_answer,
    request_for,
)
from workflow_server.client.following import Cursor, Follower, Patience
from workflow_server.client.polling import Backoff, Polls
from workflow_server.client.sync_streams import SyncEvents
from workflow_server.client.typed import TypedHandler, load_event
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
        check_one(httpx_client, base_url)
        need_httpx()
        self._given = httpx_client
        self._base_url = base_url
        self._verification = Verification()
        self._calls = Calls(failures)

    def _lend(self) -> tuple[httpx.Client, bool]:
        if self._given is not None:
            return self._given, False
        httpx = need_httpx()
        return httpx.Client(base_url=self._base_url or "", verify=self._verification.context), True

    @contextmanager
    def _borrow(self) -> Generator[tuple[httpx.Client, bool]]:
        client, own = self._lend()
        try:
            yield client, own
        finally:
            if own:
                client.close()

    def _ask(self, call: Call[T]) -> T:
        with self._borrow() as (client, own):
            return read_answer(call, client.send(request_for(call, client, own=own)))

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
        result_type: Any = None,
    ) -> Any:
        """Return a handler when its run is over."""
        polls = Polls(handler_id, timeout, poll_interval, max_poll_interval, backoff, time.monotonic())
        while True:
            handler = self._ask(self._calls.handler(handler_id, result_type, polls.ask(time.monotonic())))
            if is_status_completed(handler.status):
                return handler
            time.sleep(polls.pause(time.monotonic()))

    def get_handlers(self, status: Texts = None, workflow_name: Texts = None, **filters: Any) -> HandlersListResponse:
        """Return handlers, all that match or a page of them."""
        return self._ask(self._calls.handlers(status=status, workflow_name=workflow_name, **filters))

    def iter_handlers(self, *, page_size: int = 100, **filters: Any) -> Iterator[HandlerData]:
        """Yield all handlers that match, newest first, asking for a page at a time."""
        cursor: str | None = None
        while True:
            page = self.get_handlers(**filters, limit=page_size, cursor=cursor)
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
        random = Random()  # noqa: S311  # draws pauses, no secrets
        follower = Follower(
            self._calls, handler_id, include_internal_events, after_sequence, patience or Patience(), random
        )
        client, own = self._lend()
        return SyncEvents[Any](client, own, follower, partial(load_event, registry=registry))

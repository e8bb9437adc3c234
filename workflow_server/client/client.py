"""`WorkflowClient`: a server of workflows as methods, on asyncio and on trio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

import anyio

from workflow_server.client.calls import Call, Calls, Failures, Filters, Texts
from workflow_server.client.connecting import Connections, is_break, need_httpx, read_answer, request_for
from workflow_server.client.following import Cursor, Follower
from workflow_server.client.patience import Breaks, Patience
from workflow_server.client.polling import Backoff, Polls
from workflow_server.client.streams import Events, EventStream
from workflow_server.client.sync import SyncWorkflowClient
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


class WorkflowClient:
    """Asks a server of workflows.

    Every method that asks raises:
        httpx.HTTPStatusError: The server refused; the text holds the status and the beginning of its answer.
        httpx.TransportError: It could not be reached, or broke off.

    Args:
        httpx_client: Sends the requests; its `base_url` is the server's. It stays open.
        base_url: The server's URL, instead; each call then has a connection of its own.
        failures: What an answer about a failed or cancelled run is: an `httpx.HTTPStatusError` ("raise", as programs
            written for llama-agents-client expect), or a handler like any other ("return"), whose `raise_for_run()`
            raises `RunFailed`.

    Raises:
        ValueError: Neither or both of the first two are given.
        ImportError: httpx isn't installed.
    """

    def __init__(
        self,
        *,
        httpx_client: httpx.AsyncClient | None = None,
        base_url: str | None = None,
        failures: Failures = "raise",
    ) -> None:
        self._connections = Connections(httpx_client, base_url, need_httpx().AsyncClient)
        self._calls = Calls(failures)

    @staticmethod
    def sync(
        *, httpx_client: httpx.Client | None = None, base_url: str | None = None, failures: Failures = "raise"
    ) -> SyncWorkflowClient:
        """Return a client for programs without an event loop; the arguments are those of the class."""
        return SyncWorkflowClient(httpx_client=httpx_client, base_url=base_url, failures=failures)

    async def _ask(self, call: Call[T]) -> T:
        client, own = self._connections.lend()
        try:
            return read_answer(call, await client.send(request_for(call, client, own=own)))
        finally:
            if own:
                await client.aclose()

    # The server and its workflows

    async def is_healthy(self) -> HealthResponse:
        """Return whether the server is up."""
        return await self._ask(self._calls.health())

    async def list_workflows(self) -> WorkflowsListResponse:
        """Return the names of the served workflows."""
        return await self._ask(self._calls.workflows())

    async def get_workflow_schema(self, workflow_name: str) -> WorkflowSchemaResponse:
        """Return the JSON schemas of a workflow's start and stop event."""
        return await self._ask(self._calls.schema(workflow_name))

    async def get_workflow_events_schema(self, workflow_name: str) -> WorkflowEventsListResponse:
        """Return the JSON schemas of all events of a workflow."""
        return await self._ask(self._calls.events_schema(workflow_name))

    async def get_workflow_graph(self, workflow_name: str) -> WorkflowGraphResponse:
        """Return a workflow as nodes and edges."""
        return await self._ask(self._calls.graph(workflow_name))

    # Starting runs

    @overload
    async def run_workflow(
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
    async def run_workflow(
        self,
        workflow_name: str,
        handler_id: str | None = None,
        start_event: StartEvent | dict[str, Any] | None = None,
        context: Any = None,
        *,
        result_type: type[R],
        idempotency_key: str | None = None,
    ) -> TypedHandler[R]: ...
    async def run_workflow(
        self,
        workflow_name: str,
        handler_id: str | None = None,
        start_event: StartEvent | dict[str, Any] | None = None,
        context: Any = None,
        *,
        result_type: Any = None,
        idempotency_key: str | None = None,
    ) -> Any:
        """Run a workflow and return its handler when the run is over.

        Args:
            workflow_name: What to run.
            handler_id: The handler to begin or, if it is over, to go on with; a new one by default.
            start_event: What to begin with: an event, or a dictionary of its fields.
            context: A snapshot to begin from, as `Context.to_dict` returns it, or the context itself.
            result_type: What the result is: a class of stop events, or the type of what a plain one holds. The
                handler that is returned has it as `output`.
            idempotency_key: Whatever was started with this key before, with the same arguments, is not started again.

        Raises:
            ValueError: `start_event` or `context` can't become JSON.
        """
        call = self._calls.run(workflow_name, handler_id, start_event, context, idempotency_key, result_type, wait=True)
        return await self._ask(call)

    async def run_workflow_nowait(
        self,
        workflow_name: str,
        handler_id: str | None = None,
        start_event: StartEvent | dict[str, Any] | None = None,
        context: Any = None,
        *,
        idempotency_key: str | None = None,
    ) -> HandlerData:
        """Start a workflow and return its handler at once; the arguments are those of `run_workflow`."""
        call = self._calls.run(workflow_name, handler_id, start_event, context, idempotency_key, None, wait=False)
        handler: HandlerData = await self._ask(call)
        return handler

    # Handlers

    @overload
    async def get_handler(self, handler_id: str, *, result_type: None = None) -> HandlerData: ...
    @overload
    async def get_handler(self, handler_id: str, *, result_type: type[R]) -> TypedHandler[R]: ...
    async def get_handler(self, handler_id: str, *, result_type: Any = None) -> Any:
        """Return a handler; `result_type` is that of `run_workflow`."""
        return await self._ask(self._calls.handler(handler_id, result_type))

    async def get_result(self, handler_id: str) -> HandlerData:
        """Return a handler: another name of `get_handler`."""
        return await self.get_handler(handler_id)

    @overload
    async def wait_for_handler(
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
    async def wait_for_handler(
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
    async def wait_for_handler(
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
        """Return a handler when its run is over.

        The server is asked to answer only then. One that doesn't know how is asked again and again, and so is one that
        goes away in the meantime, as in a restart.

        Args:
            handler_id: Whose run.
            timeout: Seconds to wait at most; `None` for as long as it takes.
            poll_interval: Seconds before asking again, where the server answers at once.
            max_poll_interval: What these pauses grow to.
            backoff: How they grow: not at all, by `poll_interval`, or to twice as much.
            patience: How to go on when the server is away.
            result_type: As in `run_workflow`.

        Raises:
            TimeoutError: The time is over, the run isn't.
            ValueError: An argument can't be meant.
        """
        breaks = Breaks(patience)
        polls = Polls(handler_id, timeout, poll_interval, max_poll_interval, backoff, breaks, anyio.current_time())
        while True:
            try:
                handler = await self._ask(self._calls.handler(handler_id, result_type, polls.ask(anyio.current_time())))
            except need_httpx().HTTPError as error:
                pause = polls.broken(anyio.current_time()) if is_break(error, breaks.patience) else None
                if pause is None:
                    raise
            else:
                if is_status_completed(handler.status):
                    return handler
                pause = polls.pause(anyio.current_time())
            await anyio.sleep(pause)

    async def get_handlers(
        self,
        status: Texts = None,
        workflow_name: Texts = None,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        **filters: Unpack[Filters],
    ) -> HandlersListResponse:
        """Return handlers: all that match in the order of starting or, with `limit` or `cursor`, a page, newest first.

        Args:
            status: Only such; a list holds alternatives, as in `workflow_name` and `phase`.
            workflow_name: Only of this workflow.
            limit: How many at most, up to 1,000.
            cursor: The page before said it, as `next_cursor`.
            **filters: `phase`, `started_after` and `started_before` (ISO 8601), and `q`, what the id begins with.
        """
        return await self._ask(self._calls.handlers(status, workflow_name, limit=limit, cursor=cursor, **filters))

    async def iter_handlers(
        self,
        status: Texts = None,
        workflow_name: Texts = None,
        *,
        page_size: int = 100,
        **filters: Unpack[Filters],
    ) -> AsyncIterator[HandlerData]:
        """Yield all handlers that match, newest first, asking for a page at a time.

        Args:
            status: As in `get_handlers`.
            workflow_name: Likewise.
            page_size: How many to ask for at once.
            **filters: As in `get_handlers`.
        """
        cursor: str | None = None
        while True:
            page = await self.get_handlers(status, workflow_name, limit=page_size, cursor=cursor, **filters)
            for handler in page.handlers:
                yield handler
            cursor = page.next_cursor
            if cursor is None:
                return

    async def cancel_handler(self, handler_id: str, purge: bool = False) -> CancelHandlerResponse:
        """Cancel a run; with `purge`, remove its handler and all that hangs on it."""
        return await self._ask(self._calls.cancel(handler_id, purge))

    async def get_state(self, handler_id: str) -> StateResponse:
        """Return what a run keeps in `ctx.store`."""
        return await self._ask(self._calls.state(handler_id))

    async def get_input(self, handler_id: str) -> InputResponse:
        """Return the event that a run began with."""
        return await self._ask(self._calls.input(handler_id))

    async def get_waiting(self, handler_id: str) -> WaitingResponse:
        """Return what a run waits for."""
        return await self._ask(self._calls.waiting(handler_id))

    # Events

    async def send_event(
        self,
        handler_id: str,
        event: Event | dict[str, Any],
        step: str | None = None,
        *,
        waiter_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> SendEventResponse:
        """Send an event to a run.

        Args:
            handler_id: Whose run.
            event: The event, or a dictionary that is sent as it is: an envelope with `type` and `value`.
            step: The one step that it is for.
            waiter_id: The one question that it answers, as `get_waiting` names it. If somebody else has answered it,
                the server refuses (409).
            idempotency_key: An event that was sent with this key before is not sent again.

        Raises:
            ValueError: The event can't become JSON.
        """
        return await self._ask(self._calls.send(handler_id, event, step, waiter_id, idempotency_key))

    @overload
    def events(
        self,
        handler_id: str,
        *,
        include_internal_events: bool = False,
        after_sequence: Cursor = -1,
        registry: None = None,
        patience: Patience | None = None,
    ) -> Events[EventEnvelopeWithMetadata]: ...
    @overload
    def events(
        self,
        handler_id: str,
        *,
        include_internal_events: bool = False,
        after_sequence: Cursor = -1,
        registry: Sequence[EventType],
        patience: Patience | None = None,
    ) -> Events[Event | EventEnvelopeWithMetadata]: ...
    def events(
        self,
        handler_id: str,
        *,
        include_internal_events: bool = False,
        after_sequence: Cursor = -1,
        registry: Sequence[EventType] | None = None,
        patience: Patience | None = None,
    ) -> Any:
        """Return the events of a run, to its end: `async with client.events(id) as events: async for event in events`.

        A connection that breaks is made again, and goes on after the last event.

        Args:
            handler_id: Whose run.
            include_internal_events: Whether to see what the engine says about itself.
            after_sequence: The sequence after which to begin; -1 for the beginning, "now" for what is still to come.
            registry: Classes of events: such, and the built-in ones, are yielded as themselves, all others in their
                envelopes; `None` for all in their envelopes.
            patience: How to take up a broken stream.
        """
        return self._follow(handler_id, include_internal_events, after_sequence, registry, patience)

    def get_workflow_events(
        self,
        handler_id: str,
        include_internal_events: bool = False,
        after_sequence: int | Literal["now"] = -1,
        max_reconnect_attempts: int = 3,
    ) -> EventStream:
        """Return the events of a run in their envelopes, to iterate over once.

        Args:
            handler_id: Whose run.
            include_internal_events: Whether to see what the engine says about itself.
            after_sequence: The sequence after which to begin; -1 for the beginning, "now" for what comes from now on.
            max_reconnect_attempts: How many tries to connect may fail in a row after the first.
        """
        patience = Patience(attempts=max_reconnect_attempts, silence=None, errors_break=False)
        return EventStream(self._follow(handler_id, include_internal_events, after_sequence, None, patience))

    def _follow(
        self,
        handler_id: str,
        include_internal: bool,
        after: Cursor,
        registry: Sequence[EventType] | None,
        patience: Patience | None,
    ) -> Events[Any]:
        follower = Follower(self._calls, handler_id, include_internal, after, registry, Breaks(patience))
        return Events(self._connections, follower)

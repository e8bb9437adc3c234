"""The table of routes: the one place that says which requests the API knows.

Routing, 404, 405 with `Allow`, HEAD, OPTIONS, which requests may wait, and OpenAPI are all read from it. Every
path has the form `/first`, `/first/{name}` or `/first/{name}/last`, so finding a route is one look-up.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from pydantic import BaseModel

from workflow_server.api import parse
from workflow_server.api.commands import (
    CheckHealth,
    CheckReadiness,
    Command,
    DescribeApi,
    DescribeEvents,
    DescribeGraph,
    DescribeSchema,
    GetInput,
    GetResult,
    GetState,
    GetWaiting,
    ListWorkflows,
)
from workflow_server.api.outcomes import Refusal, Refused
from workflow_server.api.queries import Invalid
from workflow_server.http.messages import Request
from workflow_server.valueclass import dataclass
from workflow_server.wire.envelopes import EventEnvelopeWithMetadata
from workflow_server.wire.models import (
    CancelHandlerResponse,
    ErrorResponse,
    HandlerData,
    HandlersListResponse,
    HealthResponse,
    InputResponse,
    ReadinessResponse,
    RunRequest,
    SendEventRequest,
    SendEventResponse,
    StateResponse,
    WaitingResponse,
    WorkflowEventsListResponse,
    WorkflowGraphResponse,
    WorkflowSchemaResponse,
    WorkflowsListResponse,
)


@dataclass(frozen=True, slots=True)
class Route:
    """What one method does at one path."""

    method: str
    path: str
    """With `{…}` for the one part that names something."""
    summary: str
    parse: parse.Parser
    """Takes the request and the name in its path; raises `queries.Invalid`."""
    answers: Mapping[int, type[BaseModel] | None]
    """What is answered with which status; `None` for what has no model."""
    query: tuple[str, ...] = ()
    """Names of the parameters that it knows."""
    body: type[BaseModel] | None = None
    waits: bool = False
    """The answer may take long, so the transport watches meanwhile whether the client is still there."""
    waits_with: str = ""
    """The name of a query parameter with which the answer may take long."""


_Answers = Mapping[int, type[BaseModel] | None]

_HANDLER: _Answers = {200: HandlerData, 404: ErrorResponse, 500: HandlerData}
_RUN: _Answers = {**_HANDLER, 400: ErrorResponse, 409: ErrorResponse}
_STREAM: _Answers = {200: EventEnvelopeWithMetadata, 204: None, 400: ErrorResponse, 404: ErrorResponse}
_STREAMED = ("sse", "after_sequence", "include_internal", "include_qualified_name", "include_attempts")

ROUTES = (
    Route(
        "GET",
        "/health",
        "Whether the service is up",
        parse.plain(CheckHealth),
        {200: HealthResponse, 503: HealthResponse},
    ),
    Route(
        "GET",
        "/ready",
        "Whether it should be given work",
        parse.plain(CheckReadiness),
        {200: ReadinessResponse, 503: ReadinessResponse},
    ),
    Route("GET", "/openapi.json", "This document", parse.plain(DescribeApi), {200: None}),
    Route("GET", "/workflows", "List workflows", parse.plain(ListWorkflows), {200: WorkflowsListResponse}),
    Route(
        "POST",
        "/workflows/{workflow name}/run",
        "Run and return the result",
        parse.run,
        _RUN,
        body=RunRequest,
        waits=True,
    ),
    Route("POST", "/workflows/{workflow name}/run-nowait", "Start a run", parse.run_nowait, _RUN, body=RunRequest),
    Route(
        "GET",
        "/workflows/{workflow name}/schema",
        "JSON schemas of the start and the stop event",
        parse.by_name(DescribeSchema),
        {200: WorkflowSchemaResponse, 404: ErrorResponse},
    ),
    Route(
        "GET",
        "/workflows/{workflow name}/events",
        "JSON schemas of all events",
        parse.by_name(DescribeEvents),
        {200: WorkflowEventsListResponse, 404: ErrorResponse},
    ),
    Route(
        "GET",
        "/workflows/{workflow name}/representation",
        "The workflow as a graph",
        parse.by_name(DescribeGraph),
        {200: WorkflowGraphResponse, 404: ErrorResponse},
    ),
    Route(
        "GET",
        "/handlers",
        "List handlers",
        parse.list_handlers,
        {200: HandlersListResponse, 400: ErrorResponse},
        query=("status", "workflow_name", "phase", "started_after", "started_before", "q", "limit", "cursor"),
    ),
    Route(
        "DELETE",
        "/handlers/{handler id}",
        "Cancel its run and remove the handler",
        parse.delete_handler,
        {200: CancelHandlerResponse, 404: ErrorResponse},
        waits=True,
    ),
    Route(
        "GET",
        "/handlers/{handler id}",
        "A handler's status and result",
        parse.get_handler,
        {**_HANDLER, 202: HandlerData},
        query=("wait", "outcome"),
        waits_with="wait",
    ),
    Route(
        "GET",
        "/handlers/{handler id}/state",
        "What its run has in `ctx.store`",
        parse.by_name(GetState),
        {200: StateResponse, 404: ErrorResponse},
    ),
    Route(
        "GET",
        "/handlers/{handler id}/input",
        "The event that its run began with",
        parse.by_name(GetInput),
        {200: InputResponse, 404: ErrorResponse},
    ),
    Route(
        "GET",
        "/handlers/{handler id}/waiting",
        "What its run waits for",
        parse.by_name(GetWaiting),
        {200: WaitingResponse, 404: ErrorResponse},
    ),
    Route(
        "POST",
        "/handlers/{handler id}/cancel",
        "Cancel a run",
        parse.cancel_handler,
        {200: CancelHandlerResponse, 404: ErrorResponse},
        query=("purge",),
        waits=True,
    ),
    Route(
        "GET",
        "/results/{handler id}",
        "As the handler, with the bare result",
        parse.by_name(GetResult),
        {200: None, 202: None, 404: ErrorResponse, 500: None},
    ),
    Route(
        "GET",
        "/events",
        "Stream the events of several runs",
        parse.stream_several,
        _STREAM,
        query=("handler_id", "workflow_name", "cursor", *_STREAMED),
        waits=True,
    ),
    Route(
        "GET",
        "/events/{handler id}",
        "Stream the events of a run",
        parse.stream_events,
        _STREAM,
        query=(*_STREAMED, "include_timestamp", "run_id"),
        waits=True,
    ),
    Route(
        "POST",
        "/events/{handler id}",
        "Send an event to a run",
        parse.send_event,
        {200: SendEventResponse, 400: ErrorResponse, 404: ErrorResponse, 409: ErrorResponse},
        body=SendEventRequest,
    ),
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """All that the API knows at one path."""

    routes: dict[str, Route]
    """By method; HEAD is where GET is."""
    allow: tuple[str, ...]
    """The methods, OPTIONS included, as `Allow` lists them."""
    names: str
    """What the variable part of the path names, or empty."""


def _key(path: str) -> tuple[str, str | None, str]:
    """Split a path into its first part, the name in it (`None` without one), and the rest."""
    first, slash, rest = path[1:].partition("/")
    name, slash_after, last = rest.partition("/")
    return first, name if slash else None, slash_after + last


def _build() -> dict[tuple[str, bool, str], Endpoint]:
    grouped: dict[tuple[str, bool, str], list[Route]] = {}
    for route in ROUTES:
        first, name, last = _key(route.path)
        grouped.setdefault((first, name is not None, last), []).append(route)
    table: dict[tuple[str, bool, str], Endpoint] = {}
    for key, routes in grouped.items():
        methods = {route.method: route for route in routes}
        if "GET" in methods:
            methods["HEAD"] = methods["GET"]
        names = (_key(routes[0].path)[1] or "").strip("{}")
        table[key] = Endpoint(methods, (*sorted(methods), "OPTIONS"), names)
    return table


_TABLE = _build()

METHODS = tuple(sorted({method for endpoint in _TABLE.values() for method in endpoint.allow}))
"""Every method that the API knows anywhere."""


@lru_cache(maxsize=256)  # most requests go to few paths, and each asks twice
def find(path: str) -> tuple[Endpoint, str] | None:
    """Return what the API knows at `path` and the name in it, still encoded; `None` for nothing."""
    first, name, last = _key(path)
    if name == "" or not path.startswith("/"):
        return None
    endpoint = _TABLE.get((first, name is not None, last))
    return None if endpoint is None else (endpoint, name or "")


def may_wait(request: Request) -> bool:
    """Tell whether the answer to `request` may take long."""
    found = find(request.path)
    if found is None or request.method == "HEAD":
        return False
    route = found[0].routes.get(request.method)
    # A name that only contains the other has the client watched for nothing, no more.
    return route is not None and (route.waits or bool(route.waits_with and route.waits_with in request.query))


def read(request: Request, endpoint: Endpoint, name: str) -> Command | Refused:
    """Return the command that `request` stands for at `endpoint`, or why there is none."""
    route = endpoint.routes.get(request.method)
    if route is None:
        known = ", ".join(endpoint.allow)
        detail = f"Method Not Allowed: {request.path} takes {known}, not {request.method}"
        return Refused(Refusal.METHOD_NOT_ALLOWED, detail, allow=endpoint.allow)
    try:
        return route.parse(request, parse.path_name(name, endpoint.names) if endpoint.names else "")
    except Invalid as error:
        return Refused(Refusal.INVALID, str(error))

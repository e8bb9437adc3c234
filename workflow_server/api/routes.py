"""The table of routes: the one place that says which requests the API knows.

Routing, 404, 405 with `Allow`, HEAD, OPTIONS and which requests may wait are all read from it. Every
path has the form `/first`, `/first/{name}` or `/first/{name}/last`, so finding a route is one look-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from workflow_server.api import parse
from workflow_server.api.commands import (
    CheckHealth,
    CheckReadiness,
    Command,
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


@dataclass(frozen=True, slots=True)
class Route:
    """What one method does at one path."""

    method: str
    path: str
    """With `{…}` for the one part that names something."""
    parse: parse.Parser
    """Takes the request and the name in its path; raises `queries.Invalid`."""
    waits: bool = False
    """The answer may take long, so the transport watches meanwhile whether the client is still there."""
    waits_with: str = ""
    """The name of a query parameter with which the answer may take long."""


ROUTES = (
    Route("GET", "/health", parse.plain(CheckHealth)),
    Route("GET", "/ready", parse.plain(CheckReadiness)),
    Route("GET", "/workflows", parse.plain(ListWorkflows)),
    Route("POST", "/workflows/{workflow name}/run", parse.run, waits=True),
    Route("POST", "/workflows/{workflow name}/run-nowait", parse.run_nowait),
    Route("GET", "/workflows/{workflow name}/schema", parse.by_name(DescribeSchema)),
    Route("GET", "/workflows/{workflow name}/events", parse.by_name(DescribeEvents)),
    Route("GET", "/workflows/{workflow name}/representation", parse.by_name(DescribeGraph)),
    Route("GET", "/handlers", parse.list_handlers),
    Route("DELETE", "/handlers/{handler id}", parse.delete_handler, waits=True),
    Route("GET", "/handlers/{handler id}", parse.get_handler, waits_with="wait"),
    Route("GET", "/handlers/{handler id}/state", parse.by_name(GetState)),
    Route("GET", "/handlers/{handler id}/input", parse.by_name(GetInput)),
    Route("GET", "/handlers/{handler id}/waiting", parse.by_name(GetWaiting)),
    Route("POST", "/handlers/{handler id}/cancel", parse.cancel_handler, waits=True),
    Route("GET", "/results/{handler id}", parse.by_name(GetResult)),
    Route("GET", "/events/{handler id}", parse.stream_events, waits=True),
    Route("POST", "/events/{handler id}", parse.send_event),
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

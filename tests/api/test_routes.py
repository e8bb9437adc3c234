"""The table of routes, and what is read from it."""

from __future__ import annotations

import pytest

from workflow_server.api import routes
from workflow_server.api.outcomes import Refusal, Refused
from workflow_server.http.messages import Request


def sample(path: str) -> str:
    return path.partition("{")[0] + "x" + path.partition("}")[2] if "{" in path else path


@pytest.mark.parametrize("route", routes.ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_each_route_is_found_by_its_path(route: routes.Route) -> None:
    found = routes.find(sample(route.path))
    assert found is not None
    endpoint, name = found
    assert endpoint.routes[route.method] is route
    assert name == ("x" if "{" in route.path else "")


def test_the_guides_routes_are_there() -> None:
    known = {(route.method, sample(route.path)) for route in routes.ROUTES}
    assert known >= {
        ("GET", "/health"),
        ("GET", "/workflows"),
        ("POST", "/workflows/x/run"),
        ("POST", "/workflows/x/run-nowait"),
        ("GET", "/handlers/x"),
        ("GET", "/events/x"),
        ("POST", "/events/x"),
        ("GET", "/handlers"),
        ("POST", "/handlers/x/cancel"),
    }


@pytest.mark.parametrize(
    "path",
    [
        "",
        "*",
        "/",
        "//",
        "xhealth",
        "/Health",
        "/health/",
        "/health/x",
        "//health",
        "/workflows/",
        "/workflows/x",
        "/workflows//run",
        "/workflows/x/run/",
        "/workflows/x/y/run",
        "/workflows/x/{workflow name}",
        "/handlers/",
        "/handlers//cancel",
        "/handlers/x/",
        "/handlers/x/cancel/y",
        "/events/",
        "/events/x/y",
        "/results",
        "/nope",
    ],
)
def test_other_paths_are_not_the_apis(path: str) -> None:
    assert routes.find(path) is None
    assert not routes.may_wait(Request("GET", path))


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/health", "GET, HEAD, OPTIONS"),
        ("PUT", "/handlers/h1", "DELETE, GET, HEAD, OPTIONS"),
        ("GET", "/workflows/x/run", "POST, OPTIONS"),
        ("HEAD", "/workflows/x/run-nowait", "POST, OPTIONS"),
        ("PUT", "/events/h1", "GET, HEAD, POST, OPTIONS"),
        ("get", "/health", "GET, HEAD, OPTIONS"),
        ("BREW", "/health", "GET, HEAD, OPTIONS"),
    ],
)
def test_another_method_is_refused_with_those_that_are_allowed(method: str, path: str, allow: str) -> None:
    found = routes.find(path)
    assert found is not None
    assert routes.read(Request(method, path), *found) == Refused(
        Refusal.METHOD_NOT_ALLOWED,
        f"Method Not Allowed: {path} takes {allow}, not {method}",
        allow=tuple(allow.split(", ")),
    )


def test_only_answers_that_may_take_long_are_watched() -> None:
    waiting = {f"{route.method} {sample(route.path)}" for route in routes.ROUTES if route.waits}
    assert waiting == {
        "POST /workflows/x/run",
        "POST /handlers/x/cancel",
        "DELETE /handlers/x",
        "GET /events",
        "GET /events/x",
    }
    for route in routes.ROUTES:
        assert routes.may_wait(Request(route.method, sample(route.path))) is route.waits
        assert not routes.may_wait(Request("HEAD", sample(route.path)))
    waits_with = {sample(route.path): route.waits_with for route in routes.ROUTES if route.waits_with}
    assert waits_with == {"/handlers/x": "wait"}
    assert routes.may_wait(Request("GET", "/handlers/x", "outcome=body&wait=3"))
    assert not routes.may_wait(Request("HEAD", "/handlers/x", "wait=3"))


def test_all_methods_are_known() -> None:
    assert routes.METHODS == ("DELETE", "GET", "HEAD", "OPTIONS", "POST")

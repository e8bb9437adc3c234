"""Which pages may use the API."""

from __future__ import annotations

from typing import Any

import pytest

from workflow_server.api.origins import Origins
from workflow_server.errors import ServerUsageError
from workflow_server.http.messages import Request

APP = "https://app.example.org"


def request(method: str = "POST", **headers: str) -> Request:
    named = {"host": "127.0.0.1:8080", **headers}
    return Request(method, "/x", headers=tuple((name.replace("_", "-"), value) for name, value in named.items()))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://127.0.0.1:8080"},
        {"origin": "http://server.example", "host": "server.example"},
        {"origin": "http://server.example", "host": "server.example:80"},
        {"origin": "https://server.example:443", "host": "Server.Example"},
        {"origin": "http://[::1]:8080", "host": "[::1]:8080"},
        {"sec_fetch_site": "same-origin", "origin": "https://public.example"},
        {"sec_fetch_site": "none"},
    ],
)
def test_programs_and_the_servers_own_page_are_welcome(headers: dict[str, str]) -> None:
    assert Origins().refuse(request(**headers)) is None


FOREIGN: list[Any] = [
    {"origin": "https://evil.example"},
    {"origin": "http://127.0.0.1:8081"},
    {"origin": "https://127.0.0.1:8081"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "file://"},
    {"origin": "http://user@127.0.0.1:8080"},
    {"origin": "http://127.0.0.1:8080/path"},
    {"origin": "http://127.0.0.1:port"},
    {"origin": "http://[::1"},
    {"origin": "http://127.0.0.1:8080, https://evil.example"},
    {"origin": "http://127.0.0.1:8080", "host": ""},
    {"origin": "http://127.0.0.1:8080", "host": "127.0.0.1:port"},
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
    {"sec_fetch_site": "cross-site", "origin": "http://127.0.0.1:8080"},
    {"sec_fetch_site": "whatever"},
]


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "BREW"])
@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_elsewhere_changes_nothing(method: str, headers: dict[str, str]) -> None:
    reason = Origins().refuse(request(method, **headers))
    assert reason is not None
    assert reason.startswith(f"{method} from a page of another origin (")
    assert "cors_origins" in reason


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_elsewhere_may_ask_but_is_not_given_the_answer(method: str, headers: dict[str, str]) -> None:
    assert Origins().refuse(request(method, **headers)) is None
    assert Origins().headers(request(method, **headers)) == ()


@pytest.mark.parametrize("named", [APP, f"{APP}/", f" {APP}:443", "HTTPS://App.Example.org", "*"])
@pytest.mark.parametrize("headers", [{}, {"sec_fetch_site": "cross-site"}])
def test_a_named_origin_is_welcome(named: str, headers: dict[str, str]) -> None:
    assert Origins([named]).refuse(request(origin=APP, **headers)) is None


@pytest.mark.parametrize("origin", ["http://app.example.org", "https://app.example.org:8443", "https://example.org"])
def test_naming_one_origin_names_no_other(origin: str) -> None:
    assert Origins([APP]).refuse(request(origin=origin)) is not None


def test_a_named_origin_may_read_with_credentials() -> None:
    assert Origins([APP]).headers(request(origin=APP)) == (
        ("access-control-allow-origin", APP),
        ("access-control-allow-credentials", "true"),
        ("vary", "origin"),
    )


def test_any_origin_may_read_without_credentials() -> None:
    assert Origins(["*"]).headers(request(origin="https://else.example")) == (
        ("access-control-allow-origin", "*"),
        ("vary", "origin"),
    )


def test_an_origin_named_beside_any_keeps_its_credentials() -> None:
    assert ("access-control-allow-credentials", "true") in Origins(["*", APP]).headers(request(origin=APP))


@pytest.mark.parametrize("headers", [{}, {"origin": "https://else.example"}])
def test_answers_to_others_are_kept_apart_by_caches(headers: dict[str, str]) -> None:
    assert Origins([APP]).headers(request(**headers)) == (("vary", "origin"),)


def test_a_preflight_is_answered() -> None:
    asked = request(
        "OPTIONS",
        origin=APP,
        access_control_request_method="POST",
        access_control_request_headers="content-type, x-a",
    )
    response = Origins([APP]).preflight(asked, ("POST", "OPTIONS"))
    assert response is not None
    assert (response.status, response.body) == (204, b"")
    assert dict(response.headers) == {
        "access-control-allow-methods": "POST, OPTIONS",
        "access-control-allow-headers": "content-type, x-a",
        "access-control-max-age": "600",
    }


def test_a_preflight_may_ask_for_no_headers() -> None:
    asked = request("OPTIONS", origin=APP, access_control_request_method="POST")
    response = Origins([APP]).preflight(asked, ("POST",))
    assert response is not None
    assert "access-control-allow-headers" not in dict(response.headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": APP},
        {"access_control_request_method": "POST"},
        {"origin": "https://else.example", "access_control_request_method": "POST"},
    ],
)
def test_other_options_are_no_preflight(headers: dict[str, str]) -> None:
    assert Origins([APP]).preflight(request("OPTIONS", **headers), ("POST",)) is None


@pytest.mark.parametrize("named", ["", "app.example.org", "https://", "https://a.example/path", "null", "https://a:b"])
def test_what_is_no_origin_is_refused_when_it_is_configured(named: str) -> None:
    with pytest.raises(ServerUsageError, match="in cors_origins is no origin; an origin is a scheme"):
        Origins([named])


def test_a_text_is_no_list_of_origins() -> None:
    with pytest.raises(ServerUsageError, match=r"write \['\*'\]"):
        Origins("*")

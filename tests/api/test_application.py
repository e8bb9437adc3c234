"""The API as an application: routing, refusals, the page, cross-origin rules and the last resort."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from workflow_server.api.application import Api
from workflow_server.api.commands import CancelHandler, CheckHealth, Command, StreamEvents
from workflow_server.api.outcomes import EventsExist, EventsOpened, Health, Outcome
from workflow_server.errors import ServerUsageError
from workflow_server.http.messages import Request, Response, Stream


class Manager:
    """Executes commands by a script, and remembers what went wrong."""

    def __init__(self, outcome: Outcome | Exception = Health(True)) -> None:  # noqa: B008
        self.outcome = outcome
        self.commands: list[Command] = []
        self.reported: list[Exception] = []

    async def execute(self, command: Command) -> Outcome:
        self.commands.append(command)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def report(self, error: Exception) -> str:
        self.reported.append(error)
        return f"e{len(self.reported)}"

    def api(self, cors_origins: Sequence[str] = ()) -> Api:
        return Api(self.execute, page=page, report=self.report, cors_origins=cors_origins)


def page(request: Request) -> Response | None:
    assert request.method in ("GET", "HEAD")
    return Response(200, (("content-type", "text/html"),), b"page") if request.path == "/" else None


def request(method: str, target: str, body: bytes = b"", **headers: str) -> Request:
    path, _, query = target.partition("?")
    return Request(method, path, query, tuple((name.replace("_", "-"), value) for name, value in headers.items()), body)


def detail(response: Response) -> Any:
    assert isinstance(response.body, bytes)
    return json.loads(response.body)["detail"]


async def test_a_request_goes_all_the_way() -> None:
    manager = Manager()
    response = await manager.api().respond(request("GET", "/health"))
    assert manager.commands == [CheckHealth()]
    assert response == Response(200, (("content-type", "application/json"),), b'{"status":"healthy"}')


async def test_head_is_get_for_the_application() -> None:
    manager = Manager()
    api = manager.api()
    assert await api.respond(request("HEAD", "/health")) == await api.respond(request("GET", "/health"))


async def test_head_of_a_stream_opens_none() -> None:
    manager = Manager(EventsExist(sse=True))
    response = await manager.api().respond(request("HEAD", "/events/h1"))
    assert manager.commands == [StreamEvents("h1", head_only=True)]
    assert isinstance(response.body, Stream)
    assert await response.body.source.pull() is None
    response.body.source.close()


async def test_what_is_wrong_is_not_executed() -> None:
    manager = Manager()
    response = await manager.api().respond(request("POST", "/events/h1", b"{}"))
    assert (response.status, detail(response)) == (400, "Event data is required")
    assert manager.commands == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/nope", "/health/", "//", "/workflows/x", "/../etc/passwd"])
async def test_an_unknown_path_is_not_found(method: str, path: str) -> None:
    response = await Manager().api().respond(request(method, path))
    assert (response.status, detail(response)) == (404, "Not Found")


@pytest.mark.parametrize(
    ("path", "allow"),
    [("/health", "GET, HEAD, OPTIONS"), ("/workflows/x/run", "POST, OPTIONS"), ("/", "GET, HEAD, OPTIONS")],
)
async def test_another_method_is_not_allowed(path: str, allow: str) -> None:
    response = await Manager().api().respond(request("DELETE", path))
    assert response.status == 405
    assert dict(response.headers)["allow"] == allow
    assert detail(response) == f"Method Not Allowed: {path} takes {allow}, not DELETE"


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/health", "GET, HEAD, OPTIONS"),
        ("/events/h1", "GET, HEAD, POST, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
        ("*", "DELETE, GET, HEAD, OPTIONS, POST"),
    ],
)
async def test_options_tells_the_methods(path: str, allow: str) -> None:
    assert await Manager().api().respond(request("OPTIONS", path)) == Response(204, (("allow", allow),))


async def test_paths_outside_the_api_are_the_pages() -> None:
    response = await Manager().api().respond(request("GET", "/?q=1"))
    assert (response.status, response.body) == (200, b"page")


async def test_an_unexpected_error_leaves_an_id_for_the_client_and_the_rest_for_the_log() -> None:
    manager = Manager(RuntimeError("secret"))
    response = await manager.api().respond(request("GET", "/health"))
    assert response.status == 500
    assert response.body == b'{"detail":"Internal server error","error_id":"e1"}'
    assert [str(error) for error in manager.reported] == ["secret"]


async def test_waiting_is_read_from_the_table() -> None:
    api = Manager().api()
    assert api.may_wait(request("GET", "/events/h1"))
    assert not api.may_wait(request("GET", "/health"))


async def test_a_page_elsewhere_cannot_start_or_cancel_anything() -> None:
    manager = Manager()
    response = await manager.api().respond(request("POST", "/handlers/h1/cancel", origin="https://evil.example"))
    assert response.status == 403
    assert "https://evil.example" in detail(response)
    assert manager.commands == []


async def test_a_named_page_can_and_may_read_the_answer() -> None:
    manager = Manager()
    api = manager.api(cors_origins=["https://app.example"])
    response = await api.respond(request("POST", "/handlers/h1/cancel", origin="https://app.example"))
    assert manager.commands == [CancelHandler("h1")]
    assert dict(response.headers)["access-control-allow-origin"] == "https://app.example"
    response = await api.respond(request("GET", "/nope", origin="https://app.example"))
    assert response.status == 404
    assert dict(response.headers)["access-control-allow-origin"] == "https://app.example"


async def test_a_browser_may_ask_first() -> None:
    api = Manager().api(cors_origins=["https://app.example"])
    asked = request("OPTIONS", "/events/h1", origin="https://app.example", access_control_request_method="POST")
    response = await api.respond(asked)
    assert response.status == 204
    assert dict(response.headers) == {
        "access-control-allow-methods": "GET, HEAD, POST, OPTIONS",
        "access-control-max-age": "600",
        "access-control-allow-origin": "https://app.example",
        "access-control-allow-credentials": "true",
        "vary": "origin",
    }


async def test_without_configured_origins_no_answer_speaks_of_them() -> None:
    manager = Manager()
    asked = request("OPTIONS", "/health", origin="https://app.example", access_control_request_method="GET")
    response = await manager.api().respond(asked)
    assert response == Response(204, (("allow", "GET, HEAD, OPTIONS"),))


async def test_streams_are_readable_by_named_pages_too() -> None:
    class Empty:
        async def pull(self) -> None: ...

        def close(self) -> None: ...

    manager = Manager(EventsOpened(Empty(), True, False, True, None))
    api = manager.api(cors_origins=["*"])
    response = await api.respond(request("GET", "/events/h1", origin="https://any.example"))
    assert isinstance(response.body, Stream)
    assert dict(response.headers)["access-control-allow-origin"] == "*"


def test_a_wrong_origin_is_refused_at_once() -> None:
    with pytest.raises(ServerUsageError):
        Manager().api(cors_origins=["example"])

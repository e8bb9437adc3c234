"""The ASGI adapter under the servers people use: uvicorn, hypercorn on both loops; alone and mounted."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import fastapi
import httpx
import hypercorn.asyncio
import hypercorn.trio
import pytest
import starlette.applications
import starlette.routing
import uvicorn

from workflow_server.http.limits import Limits
from workflow_server.http.messages import Request, Response, Stream
from workflow_server.transports.asgi import AsgiApp

DEADLINE = 10.0


class Endless:
    """A source with one page, which then waits to be cancelled."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._pages = [["first\n"]]

    async def pull(self) -> Sequence[Any] | None:
        if self._pages:
            return self._pages.pop()
        await anyio.sleep_forever()
        return None

    def close(self) -> None:
        self._service.closed.set()


class Broken:
    """A source that fails after its first page."""

    def __init__(self) -> None:
        self._pulled = False

    async def pull(self) -> Sequence[Any] | None:
        if self._pulled:
            raise RuntimeError("the disk is gone")
        self._pulled = True
        return ["first\n"]

    def close(self) -> None: ...


class Service:
    """A small application with its life around it."""

    def __init__(self) -> None:
        self.drain: anyio.Event | None = None
        self.closed = anyio.Event()
        self.cancelled = anyio.Event()
        self.waiting = anyio.Event()
        self.asgi = AsgiApp(
            self,
            running=self.running,
            drain=lambda: self.drain,
            limits=Limits(body_bytes=100_000, bodies_bytes=200_000),
        )

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        self.drain = anyio.Event()
        async with anyio.create_task_group() as tasks:  # as a service with work of its own has one
            yield
            tasks.cancel_scope.cancel()
        self.drain = None

    def may_wait(self, request: Request) -> bool:
        return request.path in ("/stream", "/wait", "/broken") and request.method == "GET"

    async def respond(self, request: Request) -> Response:
        match request.path:
            case "/stream":
                return Response(200, (("content-type", "text/event-stream"),), self._stream(Endless(self)))
            case "/broken":
                return Response(200, (), self._stream(Broken()))
            case "/wait":
                self.waiting.set()
                try:
                    await anyio.sleep_forever()
                finally:
                    self.cancelled.set()
            case "/empty":
                return Response(204)
            case _:
                pass
        seen = {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "header": request.header("x-test"),
            "size": len(request.body),
        }
        return Response(200, (("content-type", "application/json"),), json.dumps(seen).encode())

    def _stream(self, source: Any) -> Stream:
        return Stream(source, str.encode, opening=b"open\n", farewell=b"farewell\n")


# ------------------------------------------------------------------------------------------------------------ servers


@asynccontextmanager
async def under_uvicorn(app: Any, listener: socket.socket, stop: anyio.Event) -> AsyncGenerator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on"))

    async def watch() -> None:
        await stop.wait()
        server.should_exit = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        tasks.start_soon(server.serve, [listener])
        yield
        stop.set()


def under_hypercorn(serve: Any) -> Callable[[Any, socket.socket, anyio.Event], Any]:
    @asynccontextmanager
    async def run(app: Any, listener: socket.socket, stop: anyio.Event) -> AsyncGenerator[None]:
        config = hypercorn.Config()
        config.bind = [f"fd://{listener.detach()}"]
        config.loglevel = "CRITICAL"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: serve(app, config, shutdown_trigger=stop.wait))
            yield
            stop.set()

    return run


SERVERS: dict[str, tuple[str, Any]] = {
    "uvicorn": ("asyncio", under_uvicorn),
    "hypercorn-asyncio": ("asyncio", under_hypercorn(hypercorn.asyncio.serve)),
    "hypercorn-trio": ("trio", under_hypercorn(hypercorn.trio.serve)),
}


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Any:
    return SERVERS[request.param]


@pytest.fixture
def anyio_backend(server: Any) -> Any:
    return (server[0], {})


@asynccontextmanager
async def served(server: Any, app: Any, stop: anyio.Event | None = None) -> AsyncGenerator[httpx.AsyncClient]:
    """Serve `app` on a free port of the loopback, with a client for it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    # Connections wait in the backlog until the server is up: nobody has to ask when that is.
    listener.listen(16)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with anyio.fail_after(DEADLINE):
        async with (
            server[1](app, listener, stop or anyio.Event()),
            httpx.AsyncClient(base_url=url, timeout=DEADLINE, trust_env=False, verify=False) as client,
        ):
            yield client


async def read_a_while_and_leave(client: httpx.AsyncClient, path: str) -> bytes:
    """Read a stream up to its first page, and close the connection in the middle of it."""
    received = b""
    async with await anyio.connect_tcp("127.0.0.1", client.base_url.port or 0) as connection:
        await connection.send(f"GET {path} HTTP/1.1\r\nhost: h\r\n\r\n".encode())
        while b"first\n" not in received:
            received += await connection.receive()
    return received


async def test_answers_go_through(server: Any) -> None:
    service = Service()
    async with served(server, service.asgi) as client:
        answer = await client.post(
            "/a%2Fb?q=%20", content=b"x" * 70_000, headers={"X-Test": "\u00e4".encode("latin-1")}
        )
        assert answer.json() == {
            "method": "POST",
            "path": "/a%2Fb",
            "query": "q=%20",
            "header": "\u00e4",
            "size": 70_000,
        }
        answer = await client.head("/a")
        assert (answer.status_code, answer.content) == (200, b"")
        assert int(answer.headers["content-length"]) > 0
        answer = await client.get("/empty")
        assert (answer.status_code, answer.content, "content-length" in answer.headers) == (204, b"", False)
        answer = await client.request("OPTIONS", "/a")
        assert answer.json()["method"] == "OPTIONS"
    assert service.drain is None


async def test_a_body_that_is_too_large_is_refused(server: Any) -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(11):
            yield b"x" * 10_000

    async with served(server, Service().asgi) as client:
        for content in (b"x" * 100_001, chunks()):
            answer = await client.post("/a", content=content)
            assert (answer.status_code, answer.json()) == (
                413,
                {"detail": "The request body is larger than 100000 bytes."},
            )
        assert (await client.get("/a")).status_code == 200


async def test_a_stream_shows_at_once_and_ends_when_the_client_leaves(server: Any) -> None:
    service = Service()
    async with served(server, service.asgi) as client:
        received = await read_a_while_and_leave(client, "/stream")
        assert b"text/event-stream" in received
        assert b"open\n" in received
        await service.closed.wait()


async def test_a_wait_ends_when_the_client_leaves(server: Any) -> None:
    service = Service()
    async with served(server, service.asgi) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.get, "/wait")
            await service.waiting.wait()
            tasks.cancel_scope.cancel()
        await service.cancelled.wait()


async def test_an_error_after_the_head_breaks_the_answer_off(server: Any) -> None:
    async with served(server, Service().asgi) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/broken")
        assert (await client.get("/a")).status_code == 200


async def test_head_of_a_stream_is_answered_and_the_connection_kept(server: Any) -> None:
    service = Service()
    async with served(server, service.asgi) as client:
        for _ in range(2):
            answer = await client.head("/stream")
            assert (answer.status_code, answer.content, "content-length" in answer.headers) == (200, b"", False)


async def test_a_draining_service_lets_streams_end(server: Any) -> None:
    service = Service()
    async with served(server, service.asgi) as client, client.stream("GET", "/stream") as answer:
        lines = answer.aiter_lines()
        assert [await anext(lines), await anext(lines)] == ["open", "first"]
        assert service.drain is not None
        service.drain.set()
        assert [line async for line in lines] == ["farewell"]


# ------------------------------------------------------------------------------------------------------------ mounted


def starlette_app(service: Service, lifespan: Any) -> Any:
    mount = starlette.routing.Mount("/flows", app=service.asgi)
    return starlette.applications.Starlette(routes=[mount], lifespan=lifespan)


def fastapi_app(service: Service, lifespan: Any) -> Any:
    app = fastapi.FastAPI(lifespan=lifespan)
    app.mount("/flows", service.asgi)
    return app


@pytest.mark.parametrize("build", [starlette_app, fastapi_app])
async def test_mounted_it_takes_its_prefix_off_and_is_started_by_its_host(server: Any, build: Any) -> None:
    service = Service()

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncGenerator[None]:
        async with service.running():
            yield

    async with served(server, build(service, lifespan)) as client:
        assert (await client.get("/flows/a%2Fb?q=1")).json()["path"] == "/a%2Fb"
        assert (await client.get("/flows/")).json()["path"] == "/"
        assert b"open\n" in await read_a_while_and_leave(client, "/flows/stream")
        await service.closed.wait()


@pytest.mark.parametrize("build", [starlette_app, fastapi_app])
async def test_mounted_and_not_started_it_says_what_to_do(server: Any, build: Any) -> None:
    async with served(server, build(Service(), None)) as client:
        answer = await client.get("/flows/a")
        assert answer.status_code == 503
        assert "async with server.running():" in answer.json()["detail"]

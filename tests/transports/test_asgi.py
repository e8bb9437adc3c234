"""The ASGI adapter, message by message."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import pytest

from workflow_server.http.limits import Limits
from workflow_server.http.messages import Request, Response, Stream
from workflow_server.transports.asgi import AsgiApp
from workflow_server.transports.asgi_lifespan import chained_signals

DEADLINE = 5.0


class Items:
    """A source with a script of pages; then it ends, or waits to be cancelled."""

    def __init__(self, *pages: Sequence[Any] | Exception, waits: bool = False) -> None:
        self.pages = list(pages)
        self.waits = waits
        self.closed = 0
        self.waiting = anyio.Event()

    async def pull(self) -> Sequence[Any] | None:
        if self.pages:
            page = self.pages.pop(0)
            if isinstance(page, Exception):
                raise page
            return page
        if self.waits:
            self.waiting.set()
            await anyio.sleep_forever()
        return None

    def close(self) -> None:
        self.closed += 1


class App:
    """An application that answers by a function and keeps what it was asked."""

    def __init__(self, answer: Callable[[Request], Response], waits: bool = False) -> None:
        self.answer = answer
        self.waits = waits
        self.requests: list[Request] = []

    def may_wait(self, request: Request) -> bool:
        return self.waits

    async def respond(self, request: Request) -> Response:
        self.requests.append(request)
        return self.answer(request)


class Service:
    """What a server does around its application."""

    def __init__(self) -> None:
        self.drain: anyio.Event | None = None
        self.log: list[str] = []
        self.fails_at = ""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        self._note("start")
        self.drain = anyio.Event()
        try:
            yield
        finally:
            self.drain = None
            self._note("stop")

    def _note(self, step: str) -> None:
        self.log.append(step)
        if self.fails_at == step:
            raise RuntimeError(f"can't {step}")


class Client:
    """The ASGI server's side of one request."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.to_app = list(messages)
        self.gone = anyio.Event()
        self.sent: list[dict[str, Any]] = []
        self.breaks_at: int | None = None

    async def receive(self) -> dict[str, Any]:
        if self.to_app:
            return self.to_app.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if len(self.sent) == self.breaks_at:
            raise ConnectionResetError("gone")
        self.sent.append(dict(message))

    @property
    def status(self) -> int:
        assert self.sent[0]["type"] == "http.response.start"
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def complete(self) -> bool:
        return not self.sent[-1].get("more_body", True)


def piece(body: bytes = b"", more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def scope(path: str = "/x", method: str = "GET", **more: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"h")],
        **more,
    }


def ok(request: Request) -> Response:
    return Response(200, (("content-type", "text/plain"),), request.body or b"ok")


def build(app: App, service: Service | None = None, **limits: Any) -> AsgiApp:
    if service is None:
        service = Service()
        service.drain = anyio.Event()
    return AsgiApp(app, running=service.running, drain=lambda: service.drain, limits=Limits(**limits))


@contextmanager
def in_time() -> Generator[None]:
    with anyio.fail_after(DEADLINE):
        yield


# ---------------------------------------------------------------------------------------------------------- requests


async def test_a_request_is_handed_over_as_it_came() -> None:
    app, client = App(ok), Client(piece(b"ab", more=True), piece(b"cd"))
    raw: Any = {
        "raw_path": b"/a%2Fb/\xc3",
        "query_string": b"q=%C3%A4&r",
        "headers": [(b"x-a", b"\xe4"), (b"x-a", b"2")],
    }
    await build(app)(scope(method="POST", **raw), client.receive, client.send)
    assert app.requests == [Request("POST", "/a%2Fb/\u00c3", "q=%C3%A4&r", (("x-a", "\u00e4"), ("x-a", "2")), b"abcd")]


async def test_a_short_answer_is_two_messages_with_its_length() -> None:
    client = Client(piece())
    await build(App(ok))(scope(), client.receive, client.send)
    assert client.sent == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/plain"), (b"content-length", b"2")],
        },
        {"type": "http.response.body", "body": b"ok", "more_body": False},
    ]


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_body_has_no_length(status: int) -> None:
    client = Client(piece())
    await build(App(lambda _: Response(status, (("etag", '"1"'),))))(scope(), client.receive, client.send)
    assert (client.status, client.headers, client.body) == (status, {"etag": '"1"'}, b"")
    assert client.complete


async def test_head_tells_the_length_and_sends_nothing() -> None:
    client = Client(piece())
    await build(App(ok))(scope(method="HEAD"), client.receive, client.send)
    assert (client.headers["content-length"], client.body, client.complete) == ("2", b"", True)


async def test_head_of_a_stream_opens_nothing() -> None:
    source, client = Items(["a"]), Client(piece())
    await build(App(lambda _: Response(200, (), Stream(source, bytes))))(
        scope(method="HEAD"), client.receive, client.send
    )
    assert (client.headers, client.body, client.complete) == ({}, b"", True)
    assert (source.pages, source.closed) == ([["a"]], 1)


@pytest.mark.parametrize(
    ("path", "root", "seen"),
    [
        ("/x", "", "/x"),
        ("/x", "/", "/x"),
        ("/app/x", "/app", "/x"),
        ("/app/x", "/app/", "/x"),
        ("/app/", "/app", "/"),
        ("/app", "/app", "/"),
        ("/a/b/x/y", "/a/b", "/x/y"),
        ("/x", "/app", "/x"),
        ("/apple/x", "/app", "/apple/x"),
        ("/my%20app/a%2Fb", "/my app", "/a%2Fb"),
        ("/x?y", "", "/x"),
    ],
)
async def test_a_mounts_prefix_is_taken_off(path: str, root: str, seen: str) -> None:
    app, client = App(ok), Client(piece())
    await build(app)(scope(path, root_path=root), client.receive, client.send)
    assert app.requests[0].path == seen


async def test_without_the_raw_path_the_path_is_encoded_again() -> None:
    app, client = App(ok), Client(piece())
    bare = scope("/a b/%41\u00e4")
    del bare["raw_path"]
    await build(app)(bare, client.receive, client.send)
    assert app.requests[0].path == "/a%20b/%2541%C3%A4"


async def test_a_client_that_leaves_while_it_sends_is_not_answered() -> None:
    app, client = App(ok), Client(piece(b"a", more=True), {"type": "http.disconnect"})
    asgi = build(app)
    await asgi(scope(method="POST"), client.receive, client.send)
    assert (app.requests, client.sent) == ([], [])


# ------------------------------------------------------------------------------------------------------------ limits


def detail(client: Client) -> Any:
    return json.loads(client.body)["detail"]


@pytest.mark.parametrize(
    "messages",
    [
        [piece(b"x" * 11)],
        [piece(b"x" * 6, more=True), piece(b"x" * 5, more=True), piece(b"x" * 100)],
    ],
)
async def test_a_body_that_is_too_large_is_refused(messages: list[dict[str, Any]]) -> None:
    app, client = App(ok), Client(*messages)
    await build(app, body_bytes=10)(scope(method="POST"), client.receive, client.send)
    assert (client.status, detail(client)) == (413, "The request body is larger than 10 bytes.")
    assert app.requests == []


@pytest.mark.parametrize("announced", [b"11", b"9" * 5000])
async def test_a_body_that_is_announced_too_large_is_not_read(announced: bytes) -> None:
    client = Client()
    headers = [(b"content-length", announced)]
    with in_time():
        await build(App(ok), body_bytes=10)(scope(method="POST", headers=headers), client.receive, client.send)
    assert client.status == 413


async def test_a_body_of_just_the_limit_is_read() -> None:
    client = Client(piece(b"x" * 10))
    headers = [(b"content-length", b"10")]
    await build(App(ok), body_bytes=10)(scope(method="POST", headers=headers), client.receive, client.send)
    assert (client.status, client.body) == (200, b"x" * 10)


async def test_all_bodies_together_are_bounded_and_given_back() -> None:
    release = anyio.Event()
    entered = anyio.Event()

    class Slow(App):
        async def respond(self, request: Request) -> Response:
            entered.set()
            await release.wait()
            return ok(request)

    asgi = build(Slow(ok), bodies_bytes=10)
    first, second = Client(piece(b"x" * 8)), Client(piece(b"y" * 2, more=True), piece(b"y"))
    with in_time():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(asgi, scope(method="POST"), first.receive, first.send)
            await entered.wait()
            await asgi(scope(method="POST"), second.receive, second.send)
            release.set()
    assert (second.status, second.headers["retry-after"]) == (503, "1")
    assert detail(second) == "The server holds as many request bodies as it may; try again soon."
    assert first.body == b"x" * 8
    third = Client(piece(b"z" * 10))
    await asgi(scope(method="POST"), third.receive, third.send)
    assert third.body == b"z" * 10


@pytest.mark.virtual_time
async def test_a_body_that_does_not_arrive_in_time_is_refused() -> None:
    client = Client(piece(b"x", more=True))
    await build(App(ok), body_seconds=60)(scope(method="POST"), client.receive, client.send)
    assert (client.status, detail(client)) == (408, "The request body did not arrive within 60 seconds.")


# ----------------------------------------------------------------------------------------------------------- streams


def streaming(source: Items, **more: Any) -> App:
    return App(lambda _: Response(200, (), Stream(source, str.encode, **more)), waits=True)


async def test_a_stream_is_sent_page_by_page() -> None:
    source, client = Items(["a", "b"], ["c"]), Client(piece())
    with in_time():
        await build(streaming(source, opening=b"<", closing=b">"))(scope(), client.receive, client.send)
    assert [message["body"] for message in client.sent[1:]] == [b"<", b"ab", b"c", b">", b""]
    assert client.complete
    assert source.closed == 1


async def test_the_head_of_a_stream_leaves_before_its_first_item() -> None:
    source, client = Items(waits=True), Client(piece())
    with in_time():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(build(streaming(source)), scope(), client.receive, client.send)
            await source.waiting.wait()
            assert [message["type"] for message in client.sent] == ["http.response.start", "http.response.body"]
            client.gone.set()


async def test_a_client_that_leaves_a_stream_ends_it() -> None:
    source, client = Items(["a"], waits=True), Client(piece())
    with in_time():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(build(streaming(source)), scope(), client.receive, client.send)
            await source.waiting.wait()
            client.gone.set()
    assert source.closed == 1
    assert not client.complete


async def test_a_client_that_leaves_a_wait_cancels_it() -> None:
    cancelled = anyio.Event()
    entered = anyio.Event()

    class Waits(App):
        async def respond(self, request: Request) -> Response:
            entered.set()
            try:
                await anyio.sleep_forever()
            finally:
                cancelled.set()
            return ok(request)

    client = Client(piece())
    with in_time():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(build(Waits(ok, waits=True)), scope(), client.receive, client.send)
            await entered.wait()
            client.gone.set()
            await cancelled.wait()
    assert client.sent == []


async def test_a_stopping_service_ends_streams_with_their_farewell() -> None:
    service = Service()
    service.drain = anyio.Event()
    source, client = Items(["a"], waits=True), Client(piece())
    with in_time():
        async with anyio.create_task_group() as tasks:
            app = build(streaming(source, farewell=b"bye"), service)
            tasks.start_soon(app, scope(), client.receive, client.send)
            await source.waiting.wait()
            service.drain.set()
    assert client.body == b"abye"
    assert client.complete


async def test_an_error_after_the_head_is_raised_and_the_body_not_ended() -> None:
    source, client = Items(["a"], RuntimeError("disk")), Client(piece())
    with in_time(), pytest.raises(RuntimeError, match="disk"):
        await build(streaming(source))(scope(), client.receive, client.send)
    assert client.status == 200
    assert not client.complete
    assert source.closed == 1


@pytest.mark.parametrize("waiting", [lambda: App(ok, waits=True), lambda: streaming(Items(["a"]))])
async def test_the_last_message_is_not_cut_short_by_the_disconnect_that_completing_causes(
    waiting: Callable[[], App],
) -> None:
    class Prompt(Client):
        async def send(self, message: Any) -> None:
            await super().send(message)
            if self.complete:
                self.gone.set()
                for _ in range(10):
                    await anyio.lowlevel.checkpoint()
                self.sent.append({"type": "sent to its end"})

    client = Prompt(piece())
    with in_time():
        await build(waiting())(scope(), client.receive, client.send)
    assert client.sent[-1] == {"type": "sent to its end"}


@pytest.mark.parametrize("sent", [0, 1, 2])
async def test_a_client_that_is_gone_while_it_is_sent_to_ends_the_request_quietly(sent: int) -> None:
    source, client = Items(["a"], ["b"], ["c"]), Client(piece())
    client.breaks_at = sent
    with in_time():
        await build(streaming(source))(scope(), client.receive, client.send)
    assert len(client.sent) == sent
    assert source.closed == 1


# ---------------------------------------------------------------------------------------------------------- lifespan


class Lifespan:
    """The ASGI server's side of the lifespan."""

    def __init__(self) -> None:
        self.shutdown = anyio.Event()
        self.asked = 0
        self.sent: list[dict[str, Any]] = []
        self.started = anyio.Event()

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        if self.asked == 1:
            return {"type": "lifespan.startup"}
        await self.shutdown.wait()
        return {"type": "lifespan.shutdown"}

    async def send(self, message: Any) -> None:
        self.sent.append(dict(message))
        self.started.set()


async def test_the_lifespan_starts_and_stops_the_service() -> None:
    service, server = Service(), Lifespan()
    app = build(App(ok), service)
    with in_time():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app, {"type": "lifespan"}, server.receive, server.send)
            await server.started.wait()
            assert service.log == ["start"]
            client = Client(piece())
            await app(scope(), client.receive, client.send)
            assert client.status == 200
            server.shutdown.set()
    assert service.log == ["start", "stop"]
    assert server.sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


@pytest.mark.parametrize(
    ("fails_at", "messages"),
    [
        ("start", [{"type": "lifespan.startup.failed", "message": "can't start"}]),
        (
            "stop",
            [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.failed", "message": "can't stop"}],
        ),
    ],
)
async def test_a_service_that_fails_tells_the_server(
    fails_at: str, messages: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    service, server = Service(), Lifespan()
    service.fails_at = fails_at
    server.shutdown.set()
    with in_time():
        await build(App(ok), service)({"type": "lifespan"}, server.receive, server.send)
    assert server.sent == messages
    assert "of the service failed" in caplog.text


async def test_before_the_service_runs_requests_get_advice() -> None:
    app, client = App(ok), Client(piece())
    await build(app, Service())(scope(), client.receive, client.send)
    assert client.status == 503
    assert "async with server.running():" in detail(client)
    assert app.requests == []


# ----------------------------------------------------------------------------------------------------------- signals


@contextmanager
def handler_of(number: int, handler: Any) -> Generator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_reach_us_beside_the_servers_own_handler(number: signal.Signals) -> None:
    ours, theirs = anyio.Event(), list[int]()

    def handle(received: int, frame: Any) -> None:
        theirs.append(received)

    with handler_of(number, handle):
        with in_time(), chained_signals(ours.set):
            signal.raise_signal(number)
            signal.raise_signal(number)
            assert theirs == [number], "the second signal goes to their handler at once"
            assert not ours.is_set()
            await ours.wait()
            while len(theirs) < 2:
                await anyio.lowlevel.checkpoint()
        assert signal.getsignal(number) is handle


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN])
async def test_a_signal_that_nobody_handles_stays_as_it_is(handler: signal.Handlers) -> None:
    with handler_of(signal.SIGTERM, handler), chained_signals(lambda: None):
        assert signal.getsignal(signal.SIGTERM) is handler


async def test_a_handler_that_somebody_put_over_ours_stays() -> None:
    def theirs(number: int, frame: Any) -> None: ...

    with handler_of(signal.SIGTERM, lambda *_: None):
        with chained_signals(lambda: None):
            signal.signal(signal.SIGTERM, theirs)
        assert signal.getsignal(signal.SIGTERM) is theirs


async def test_elsewhere_than_in_the_main_thread_nothing_is_chained() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def chain() -> Any:
        with chained_signals(lambda: None):
            return signal.getsignal(signal.SIGTERM)

    assert await anyio.to_thread.run_sync(chain) is before


async def test_a_signal_under_the_lifespan_begins_to_drain() -> None:
    service, server = Service(), Lifespan()
    with handler_of(signal.SIGINT, lambda *_: None), in_time():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(build(App(ok), service), {"type": "lifespan"}, server.receive, server.send)
            await server.started.wait()
            drain = service.drain
            assert drain is not None
            signal.raise_signal(signal.SIGINT)
            await drain.wait()
            server.shutdown.set()
    assert server.sent[-1] == {"type": "lifespan.shutdown.complete"}


async def test_a_signal_after_the_service_has_stopped_is_left_to_the_server() -> None:
    class Vanishing(Service):
        @asynccontextmanager
        async def running(self) -> AsyncGenerator[None]:
            yield

    server, theirs = Lifespan(), anyio.Event()
    with handler_of(signal.SIGINT, lambda *_: theirs.set()), in_time():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(build(App(ok), Vanishing()), {"type": "lifespan"}, server.receive, server.send)
            await server.started.wait()
            signal.raise_signal(signal.SIGINT)
            await theirs.wait()
            await anyio.lowlevel.checkpoint()
            server.shutdown.set()
    assert server.sent[-1] == {"type": "lifespan.shutdown.complete"}


# ------------------------------------------------------------------------------------------------------ other scopes


async def test_a_websocket_is_refused_with_a_reason_where_the_server_can_pass_it_on() -> None:
    client = Client({"type": "websocket.connect"})
    asked = {"type": "websocket", "extensions": {"websocket.http.response": {}}}
    await build(App(ok))(asked, client.receive, client.send)
    assert [message["type"] for message in client.sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert client.sent[0]["status"] == 400
    assert "WebSocket" in json.loads(client.sent[1]["body"])["detail"]


@pytest.mark.parametrize("extensions", [{}, {"extensions": None}, {"extensions": {}}])
async def test_a_websocket_is_closed_before_it_is_accepted(extensions: dict[str, Any]) -> None:
    client = Client({"type": "websocket.connect"})
    await build(App(ok))({"type": "websocket", **extensions}, client.receive, client.send)
    assert client.sent == [{"type": "websocket.close", "code": 1000}]


async def test_an_unknown_scope_is_an_error() -> None:
    client = Client()
    with pytest.raises(RuntimeError, match="not 'telnet'"):
        await build(App(ok))({"type": "telnet"}, client.receive, client.send)

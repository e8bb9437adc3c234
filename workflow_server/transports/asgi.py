"""The server as an ASGI 3 application: the same requests, answers and streams, under somebody else's server.

An ASGI server has the sockets; this adapter enters at `Request` and shares everything above with TCP through
`exchange`. What it must watch itself: the size of bodies, the path under which it is mounted (`scope["path"]`
holds it), and that a mounted application is never told to start (then its host enters
`server.running()`, until which every request gets 503 and that advice).
Source: ASGI specification 3.0 with the HTTP and WebSocket message format 2.5 and the lifespan protocol 2.0.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote

import anyio

from workflow_server.http.events import refusal
from workflow_server.http.limits import BodyBudget, Limits
from workflow_server.http.messages import Application, Headers, Refused, Request, Response
from workflow_server.transports.asgi_lifespan import serve_lifespan
from workflow_server.transports.exchange import exchange
from workflow_server.transports.lookout import Lookout

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_NOT_RUNNING = Refused(
    503,
    "This server is not running. Where its app is mounted in another one, that one has to start it: "
    "enter `async with server.running():` in its own lifespan.",
)
_NO_WEBSOCKET = Refused(400, "This server speaks no WebSocket; events are streamed by GET /events/{handler_id}.")


class AsgiApp:
    """Serves `app` to an ASGI server.

    Args:
        app: What answers requests.
        running: Starts the service when entered and stops it when left; entered by the lifespan.
        drain: Returns the event that is set when the service is stopping, `None` while it does not run.
        limits: Sizes of request bodies and the time to receive one; all other limits are the ASGI server's.
    """

    def __init__(
        self,
        app: Application,
        *,
        running: Callable[[], AbstractAsyncContextManager[object]],
        drain: Callable[[], anyio.Event | None],
        limits: Limits,
    ) -> None:
        self._app = app
        self._running = running
        self._drain = drain
        self._limits = limits
        self._budget = BodyBudget(limits.bodies_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI calls it: a request, or the lifespan of the whole server.

        Raises:
            RuntimeError: The scope is of a kind that this application does not know.
        """
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await serve_lifespan(self._running, self._drain, receive, send)
            case "websocket":
                await _refuse_websocket(scope, receive, send)
            case kind:
                raise RuntimeError(f"This application serves HTTP and the lifespan of ASGI, not {kind!r}.")

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        drain = self._drain()
        request = Request(
            scope["method"],
            _path(scope),
            scope["query_string"].decode("latin-1"),
            tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]),
        )
        sink = _Sink(receive, send, drain or anyio.Event())
        try:
            with sink.scope:
                if drain is None:
                    await exchange(_Fixed(refusal(_NOT_RUNNING)), request, sink)
                else:
                    await self._answer(request, _Body(receive, self._limits, self._budget), sink)
        except _ClientGoneError:
            pass  # nobody is left to be told; what was asked for goes on

    async def _answer(self, request: Request, reader: _Body, sink: _Sink) -> None:
        try:
            body = await reader.read(request.header("content-length"))
            if isinstance(body, Refused):
                await exchange(_Fixed(refusal(body)), request, sink)
            else:
                await exchange(self._app, replace(request, body=body), sink)
        finally:
            reader.release()


class _ClientGoneError(Exception):
    """The client went away before its request, or the answer, was complete."""


class _Fixed:
    """An application that gives one answer."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def may_wait(self, request: Request) -> bool:  # noqa: ARG002
        return False

    async def respond(self, request: Request) -> Response:  # noqa: ARG002
        return self._response


class _Body:
    """Receives the body of one request, within the limits."""

    def __init__(self, receive: Receive, limits: Limits, budget: BodyBudget) -> None:
        self._receive = receive
        self._limits = limits
        self._budget = budget
        self._pieces: list[bytes] = []
        self._size = 0

    def release(self) -> None:
        """Give back the bytes that were held."""
        self._budget.give_back(self._size)

    async def read(self, announced: str | None) -> bytes | Refused:
        """Return the body, or why it is refused.

        Args:
            announced: The header `content-length`.
        """
        limit = self._limits.body_bytes
        if announced is not None and announced.isdecimal() and int(announced[:20]) > limit:
            return self._too_large()
        with anyio.move_on_after(self._limits.body_seconds):
            while True:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise _ClientGoneError
                piece: bytes = message.get("body", b"")
                if self._size + len(piece) > limit:
                    return self._too_large()
                if not self._budget.take(len(piece)):
                    detail = "The server holds as many request bodies as it may; try again soon."
                    return Refused(503, detail, (("retry-after", "1"),))
                self._size += len(piece)
                self._pieces.append(piece)
                if not message.get("more_body", False):
                    return b"".join(self._pieces)
        return Refused(408, f"The request body did not arrive within {self._limits.body_seconds:g} seconds.")

    def _too_large(self) -> Refused:
        return Refused(413, f"The request body is larger than {self._limits.body_bytes} bytes.")


class _Sink:
    """One answer, on its way to an ASGI server. A known length makes the last piece known, and saves a message."""

    def __init__(self, receive: Receive, send: Send, drain: anyio.Event) -> None:
        self.drain = drain
        self.lookout = Lookout()
        self.scope = anyio.CancelScope()
        """What `abandon` cancels: everything that is done for the request."""
        self._receive = receive
        self._send = send
        self._left: int | None = None
        self._finished = False

    async def start(self, status: int, headers: Headers, length: int | None) -> None:
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        # RFC 9110, 8.6: no length with 204; with 304 it may stand, and has no use.
        if length is not None and status not in (204, 304):
            encoded.append((b"content-length", b"%d" % length))
        self._left = length
        await self._pass({"type": "http.response.start", "status": status, "headers": encoded})

    async def send(self, data: bytes) -> None:
        if self._left is not None:
            self._left -= len(data)
            self._finished = self._left == 0
        await self._pass({"type": "http.response.body", "body": data, "more_body": not self._finished})

    async def finish(self) -> None:
        if not self._finished:
            self._finished = True
            await self._pass({"type": "http.response.body", "body": b"", "more_body": False})

    def abandon(self) -> None:
        self.scope.cancel()

    async def gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._finished:
            # Servers say so, too, when the answer is complete, some from within the last `send`. To cancel
            # that would leave the server's connection half done.
            await anyio.sleep_forever()

    async def _pass(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError as error:  # what the specification has servers raise when the client is gone
            raise _ClientGoneError from error


def _path(scope: Scope) -> str:
    """Return the path as on the wire, without the prefix under which the application is mounted."""
    raw: bytes | None = scope.get("raw_path")
    # Servers need not keep the path as it came; some leave the query in it.
    path = quote(scope["path"]) if raw is None else raw.decode("latin-1").partition("?")[0]
    root: str = scope.get("root_path", "").rstrip("/")
    if not root:
        return path
    depth = root.count("/") + 1
    parts = path.split("/")
    if "/".join(unquote(part) for part in parts[:depth]) != root:
        return path  # a server that has taken the prefix off already
    return "/" + "/".join(parts[depth:])


async def _refuse_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()  # websocket.connect
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1000})  # before it was accepted: the server answers 403
        return
    response = refusal(_NO_WEBSOCKET)
    headers = [(name.encode(), value.encode()) for name, value in response.headers]
    await send({"type": "websocket.http.response.start", "status": response.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": response.body})

"""One connection over a socket in memory, with the sweeper's clock moved by hand: time limits without time."""

from __future__ import annotations

import errno
import json
import logging
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from tests_support.exchange_parts import App, Pages, app_of, stream_of
from workflow_server.http.connection import READ_AHEAD
from workflow_server.http.limits import BodyBudget, Limits
from workflow_server.http.messages import Application, Request, Response
from workflow_server.transports.connection import PIECE, Surroundings, TcpConnection
from workflow_server.transports.lookout import UNWATCHED_SECONDS, Lookout
from workflow_server.transports.sweeper import Sweeper

LIMITS = Limits()

POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n"


@dataclass
class Socket:
    """A socket whose other end is the test."""

    incoming: list[bytes] = field(default_factory=list[bytes])
    endless: bytes = b""
    """Received for ever once `incoming` is used up."""
    takes: float = float("inf")
    """How many writes go through before writing blocks."""
    sent: list[bytes] = field(default_factory=list[bytes])
    received: int = 0
    eof_sent: bool = False
    closed: bool = False
    reading: anyio.Event = field(default_factory=anyio.Event)
    """Set when a read finds nothing."""
    writing: anyio.Event = field(default_factory=anyio.Event)
    """Set when a write blocks."""
    _more: anyio.Event = field(default_factory=anyio.Event)

    async def receive(self, max_bytes: int) -> bytes:
        await anyio.lowlevel.checkpoint()
        while not self.incoming:
            if self.endless:
                self.received += len(self.endless)
                return self.endless
            self.reading.set()
            await self._more.wait()
        data = self.incoming.pop(0)
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, data: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        while self.takes <= 0:
            self.writing.set()
            await self._more.wait()
        self.takes -= 1
        self.sent.append(data)

    def arrive(self, data: bytes) -> None:
        self.incoming.append(data)
        self.reading = anyio.Event()
        self._wake()

    def take(self, writes: float) -> None:
        self.takes += writes
        self.writing = anyio.Event()
        self._wake()

    def _wake(self) -> None:
        self._more.set()
        self._more = anyio.Event()

    def reset_on_close(self) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")  # closed already

    async def send_eof(self) -> None:
        self.eof_sent = True

    async def aclose(self) -> None:
        self.closed = True
        await anyio.lowlevel.checkpoint()

    @property
    def output(self) -> bytes:
        return b"".join(self.sent)


class Held:
    """One connection of a server without listeners."""

    def __init__(self, app: Application, socket: Socket, limits: Limits = LIMITS) -> None:
        self.sweeper = Sweeper(limits)
        self.drain = anyio.Event()
        self.socket = socket
        self.ended = anyio.Event()
        budget = BodyBudget(limits.bodies_bytes)
        self.server = Surroundings(app, limits, self.drain, None, self.sweeper, self, budget, Lookout())
        stream: Any = socket
        self.connection = TcpConnection(stream, self.server)

    def discard(self, connection: TcpConnection) -> None:
        assert connection is self.connection
        self.ended.set()

    def pass_time(self, seconds: float) -> None:
        """Let the sweeper's clock go on by at least `seconds`."""
        passed = 0.0
        while passed < seconds:
            self.sweeper.tick(self.sweeper.interval)
            passed += self.sweeper.interval

    def pass_whole(self, seconds: float) -> None:
        """Let a limit of `seconds` that began just now pass, with what the sweeper adds."""
        self.pass_time(seconds + 2 * self.sweeper.interval)


async def soon(event: anyio.Event) -> None:
    with anyio.fail_after(5):
        await event.wait()


def head_of(output: bytes) -> int:
    return int(output.split(b" ")[1])


ANSWER = app_of(Response(200, (), b"ok"))


async def test_an_idle_connection_is_closed_without_a_word() -> None:
    held = Held(ANSWER, Socket())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(held.connection.run)
        await soon(held.socket.reading)
        held.pass_time(LIMITS.keep_alive_seconds)
        await anyio.wait_all_tasks_blocked()
        assert not held.ended.is_set()
        held.pass_time(2 * held.sweeper.interval)
        await soon(held.ended)
    assert (held.socket.output, held.socket.closed) == (b"", True)


@pytest.mark.parametrize(
    ("begin", "limit", "words"),
    [
        (b"GET / HT", LIMITS.head_seconds, "head did not arrive within 10 seconds"),
        (
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc",
            LIMITS.body_seconds,
            "body did not arrive within 60",
        ),
    ],
)
async def test_a_request_that_drips_in_is_told_that_it_is_too_slow(begin: bytes, limit: float, words: str) -> None:
    held = Held(ANSWER, Socket([begin]))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(held.connection.run)
        await soon(held.socket.reading)
        for _ in range(4):  # every drip is progress, and yet the limit is for the whole
            held.pass_time(limit / 5)
            held.socket.arrive(b"d")
            await soon(held.socket.reading)
        assert held.socket.output == b""
        held.pass_whole(limit / 5)
        with anyio.fail_after(5):
            while not held.socket.eof_sent:
                await anyio.lowlevel.checkpoint()
        held.socket.arrive(b"")
        await soon(held.ended)
    assert head_of(held.socket.output) == 408
    assert b"connection: close" in held.socket.output
    assert words in json.loads(held.socket.output.partition(b"\r\n\r\n")[2])["detail"]


async def test_each_request_has_its_own_time() -> None:
    held = Held(ANSWER, Socket())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(held.connection.run)
        await soon(held.socket.reading)
        for _ in range(20):
            held.pass_time(8)
            held.socket.arrive(b"GET / HTTP/1.1\r\n")
            await soon(held.socket.reading)
            held.pass_time(8)
            held.socket.arrive(b"host: x\r\n\r\n")
            await soon(held.socket.reading)
        held.socket.arrive(b"")
        await soon(held.ended)
    assert held.socket.output.count(b"HTTP/1.1 200 OK") == 20


async def test_asking_for_the_body_does_not_renew_its_time() -> None:
    held = Held(ANSWER, Socket([b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n"]))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(held.connection.run)
        await soon(held.socket.reading)
        assert head_of(held.socket.output) == 100
        held.pass_whole(LIMITS.body_seconds)
        with anyio.fail_after(5):
            while not held.socket.eof_sent:
                await anyio.lowlevel.checkpoint()
        held.socket.arrive(b"")
        await soon(held.ended)
    assert b"HTTP/1.1 408 " in held.socket.output


async def test_the_application_may_take_as_long_as_it_likes() -> None:
    go = anyio.Event()
    began = anyio.Event()

    async def answer(request: Request) -> Response:
        began.set()
        await go.wait()
        return Response(200, (), b"ok")

    held = Held(App(answer), Socket([b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"]))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(held.connection.run)
        await soon(began)
        held.pass_time(10_000)
        go.set()
        await soon(held.socket.reading)
        held.socket.arrive(b"")
        await soon(held.ended)
    assert held.socket.output.endswith(b"\r\n\r\nok")


async def test_a_client_that_reads_slowly_but_steadily_gets_everything() -> None:
    body = b"x" * (10 * PIECE)
    held = Held(app_of(Response(200, (), body)), Socket([b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"], takes=0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(held.connection.run)
        for _ in range(10):
            await soon(held.socket.writing)
            held.pass_time(LIMITS.write_stall_seconds * 0.9)
            held.socket.take(1)
        await soon(held.socket.reading)
        held.socket.arrive(b"")
        await soon(held.ended)
    assert held.socket.output.endswith(body)
    assert max(map(len, held.socket.sent)) < PIECE + 1000


@pytest.mark.parametrize("path", ["/", "/wait"])
@pytest.mark.parametrize("taken", [0, 1])
async def test_a_client_that_does_not_read_is_cut_off(path: str, taken: int) -> None:
    source = Pages([[b"x" * PIECE] * 10])
    request = f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
    held = Held(app_of(stream_of(source)), Socket([request], takes=taken))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(held.connection.run)
        await soon(held.socket.writing)
        held.pass_time(LIMITS.write_stall_seconds)
        await anyio.wait_all_tasks_blocked()
        assert not held.ended.is_set()
        held.pass_time(2 * held.sweeper.interval)
        await soon(held.ended)
    assert (source.closed, held.socket.closed, held.socket.eof_sent) == (1, True, False)
    assert len(held.socket.sent) == taken


async def test_a_refusal_that_nobody_reads_does_not_hold_the_connection() -> None:
    held = Held(ANSWER, Socket([b"GET / HT"], takes=0), Limits(head_seconds=0.01))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(held.connection.run)
        await soon(held.socket.reading)
        held.pass_whole(0.01)
        await soon(held.ended)
    assert held.socket.closed


@pytest.mark.virtual_time
async def test_during_a_wait_no_more_is_read_than_may_be_kept() -> None:
    go = anyio.Event()

    async def answer(request: Request) -> Response:
        await go.wait()
        return Response(200, (), b"ok")

    socket = Socket([b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n"], endless=b"x" * 1000)
    held = Held(App(answer), socket)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(held.connection.run)
        await anyio.sleep(2 * UNWATCHED_SECONDS)
        await anyio.wait_all_tasks_blocked()
        assert READ_AHEAD <= socket.received < READ_AHEAD + 1000
        go.set()
        await soon(held.ended)
    assert [head_of(part) for part in socket.sent] == [200, 431]


async def test_a_closing_connection_reads_only_so_much_of_what_is_still_sent() -> None:
    socket = Socket([b"nonsense\r\n\r\n"], endless=b"x" * 10_000)
    held = Held(ANSWER, socket)
    with anyio.fail_after(5):
        await held.connection.run()
    assert head_of(socket.output) == 400
    assert (socket.eof_sent, socket.closed) == (True, True)
    assert 256 * 1024 <= socket.received < 256 * 1024 + 10_000


class Gone(Socket):
    """A socket that breaks when it is written to."""

    async def send(self, data: bytes) -> None:
        raise anyio.BrokenResourceError


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"nonsense\r\n\r\n", POST + b"too much for the limit"]
)
async def test_a_client_that_is_gone_when_it_is_answered_is_no_error(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held(ANSWER, Gone([data]))
    with anyio.fail_after(5):
        await held.connection.run()
        await Held(ANSWER, turned := Gone()).connection.turn_away()
    assert held.socket.closed
    assert turned.closed
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


async def test_an_error_whose_excuse_fails_too_stays_in_its_connection(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(request: Request) -> Response:
        raise LookupError("boom")

    class Broken(Socket):
        async def send(self, data: bytes) -> None:
            raise ZeroDivisionError

    held = Held(App(answer), Broken([b"GET / HTTP/1.0\r\nhost: x\r\n\r\n"]))
    with anyio.fail_after(5):
        await held.connection.run()
    assert held.socket.closed
    assert [record.levelname for record in caplog.records if record.levelno > logging.DEBUG] == ["ERROR"]


async def test_a_budget_is_given_back_when_the_client_leaves_in_the_middle_of_a_body() -> None:
    socket = Socket([POST + b"abc"])
    held = Held(ANSWER, socket)
    budget = held.server.budget
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(held.connection.run)
        await soon(socket.reading)
        assert budget.used == 3
        tasks.cancel_scope.cancel()
    assert (budget.used, socket.closed) == (0, True)

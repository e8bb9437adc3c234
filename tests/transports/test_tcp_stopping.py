"""How many connections there may be, and how a server stops."""

from __future__ import annotations

import json
import logging

import anyio
import pytest

from tests_support.exchange_parts import App, Pages, app_of, stream_of
from tests_support.tcp_server import LONG, Served, serving
from workflow_server.http.limits import Limits
from workflow_server.http.messages import Request, Response
from workflow_server.transports import tcp

OK = app_of(Response(200, (), b"ok"))


async def ended(served: Served) -> None:
    with anyio.fail_after(LONG):
        await served.ended.wait()


# ---------------------------------------------------------------------------------------------------- how many


async def test_a_connection_beyond_the_limit_is_told_to_come_again() -> None:
    async with serving(OK, Limits(connections=1)) as served:
        first = await served.connect()
        await first.ask()
        assert (await first.answer()).status == 200
        second = await served.connect()
        await second.ask()
        refused = await second.answer()
        assert (refused.status, refused.headers["retry-after"], refused.headers["connection"]) == (503, "1", "close")
        assert "connections" in json.loads(refused.body)["detail"]
        assert await second.is_closed()

        await first.close()
        with anyio.fail_after(LONG):
            while True:  # the place is free as soon as the server has noticed
                third = await served.connect()
                await third.ask()
                if (await third.answer()).status == 200:
                    break
                await third.close()


async def test_so_many_are_told_at_once_and_the_rest_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "_TURNED_AWAY_AT_ONCE", 1)
    async with serving(OK, Limits(connections=1)) as served:
        first = await served.connect()
        await first.ask()
        await first.answer()
        told = await served.connect()
        await told.until(lambda data: data.startswith(b"HTTP/1.1 503 "))
        dropped = await served.connect()
        assert await dropped.is_closed()


async def test_a_client_that_leaves_while_it_is_turned_away_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(OK, Limits(connections=1)) as served:
        first = await served.connect()
        await first.ask()
        await first.answer()
        for _ in range(5):
            second = await served.connect()
            await second.close()
        await first.ask()
        assert (await first.answer()).status == 200
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


async def test_bodies_of_all_connections_together_are_bounded() -> None:
    began, go = anyio.Event(), anyio.Event()

    async def answer(request: Request) -> Response:
        began.set()
        await go.wait()
        return Response(200)

    async with serving(App(answer), Limits(bodies_bytes=1000)) as served:
        first, second = await served.connect(), await served.connect()
        await first.ask(method="POST", body=b"x" * 800)
        with anyio.fail_after(LONG):
            await began.wait()
        await second.ask(method="POST", body=b"x" * 800)
        assert (await second.answer()).status == 503
        go.set()
        assert (await first.answer()).status == 200
        third = await served.connect()
        await third.ask(method="POST", body=b"x" * 800)
        assert (await third.answer()).status == 200


async def test_real_time_ends_a_request_that_never_comes() -> None:
    limits = Limits(head_seconds=0.05, keep_alive_seconds=0.05)
    async with serving(OK, limits) as served:
        idle, slow = await served.connect(), await served.connect()
        await slow.send(b"GET / HT")
        assert (await slow.answer()).status == 408
        assert await idle.is_closed()


# ---------------------------------------------------------------------------------------------------- stopping


async def test_idle_connections_close_at_once_and_nobody_new_is_let_in() -> None:
    async with serving(OK) as served:
        fresh, used = await served.connect(), await served.connect()
        await used.ask()
        await used.answer()
        served.drain.set()
        assert await fresh.is_closed()
        assert await used.is_closed()
        await ended(served)
        with pytest.raises(OSError, match="connect"):
            await served.connect()


async def test_requests_in_flight_are_answered_and_told_to_close() -> None:
    both, go, asked = anyio.Event(), anyio.Event(), list[str]()

    async def answer(request: Request) -> Response:
        asked.append(request.path)
        if len(asked) == 2:
            both.set()
        await go.wait()
        return Response(200, (), b"ok")

    async with serving(App(answer)) as served:
        whole, halfway, ahead = await served.connect(), await served.connect(), await served.connect()
        await halfway.send(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        await halfway.until(lambda data: b"100" in data)
        await whole.ask()
        await ahead.ask("/one")
        await ahead.ask("/two")
        with anyio.fail_after(LONG):
            await both.wait()
        served.drain.set()
        await anyio.wait_all_tasks_blocked()
        assert not served.ended.is_set()
        go.set()
        await halfway.send(b"ok")
        for wire in (whole, halfway):
            response = await wire.answer()
            assert (response.body, response.headers["connection"]) == (b"ok", "close")
            assert await wire.is_closed()
        assert (await ahead.answer()).body == b"ok"
        await ended(served)


async def test_streams_say_farewell_and_end() -> None:
    source = Pages([[b"one "]], ends=False)
    async with serving(app_of(stream_of(source, farewell=b": bye\n\n"))) as served:
        wire = await served.connect()
        await wire.ask("/wait")
        with anyio.fail_after(LONG):
            await source.waiting.wait()
        served.drain.set()
        assert (await wire.answer()).body == b"one : bye\n\n"
        assert await wire.is_closed()
        await ended(served)
    assert source.closed == 1


async def test_what_does_not_end_in_time_is_cut_off() -> None:
    began, cancelled = anyio.Event(), False

    async def answer(request: Request) -> Response:
        nonlocal cancelled
        began.set()
        try:
            await anyio.sleep_forever()
        except BaseException:
            cancelled = True
            raise
        raise AssertionError

    async with serving(App(answer), Limits(drain_seconds=0.05)) as served:
        wire = await served.connect()
        await wire.ask()
        with anyio.fail_after(LONG):
            await began.wait()
        served.drain.set()
        await ended(served)
        assert cancelled
        assert await wire.is_closed()


async def test_a_server_without_connections_stops_at_once() -> None:
    async with serving(OK) as served:
        served.drain.set()
        await ended(served)


async def test_cancelling_the_server_closes_everything() -> None:
    async with anyio.create_task_group() as tasks:
        urls: list[str] = []
        listening = anyio.Event()

        async def run() -> None:
            def tell(found: tuple[str, ...]) -> None:
                urls.extend(found)
                listening.set()

            await tcp.serve(OK, tcp.Binding("127.0.0.1", 0), Limits(), drain=anyio.Event(), listening=tell)

        tasks.start_soon(run)
        await listening.wait()
        port = int(urls[0].rpartition(":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await stream.receive()
            tasks.cancel_scope.cancel()
    with pytest.raises(OSError, match="connect"):
        await anyio.connect_tcp("127.0.0.1", port)

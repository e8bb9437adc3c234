"""Where a server listens, and what it says when it can't."""

# ruff: noqa: ASYNC240 - a test may wait for the disk

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests_support.exchange_parts import app_of
from tests_support.tcp_server import LONG, Wire, serving
from workflow_server.errors import ServerUsageError
from workflow_server.http.limits import Limits
from workflow_server.http.messages import Response
from workflow_server.transports import listeners
from workflow_server.transports.listeners import Binding, Listeners, open_listeners

OK = app_of(Response(200, (), b"ok"))
LIMITS = Limits()

needs_unix = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")


@asynccontextmanager
async def opened(binding: Binding) -> AsyncGenerator[Listeners, None]:
    found = await open_listeners(binding, LIMITS)
    try:
        yield found
    finally:
        found.close()


async def refusal_of(binding: Binding) -> str:
    with pytest.raises(ServerUsageError) as caught:
        await open_listeners(binding, LIMITS)
    return str(caught.value)


def addresses(found: Listeners) -> list[Any]:
    return [listener.getsockname() for listener in found.sockets]


# ---------------------------------------------------------------------------------------------------- TCP


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:"), ("", "http://127.0.0.1:"), ("127.0.0.1", "http://127.0.0.1:")],
)
async def test_the_url_is_one_that_a_person_can_open(host: str, url: str) -> None:
    async with serving(OK, binding=Binding(host, 0)) as served:
        assert served.urls == (f"{url}{served.port}",)
        wire = await served.connect()
        await wire.ask()
        assert (await wire.answer()).body == b"ok"


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
@pytest.mark.parametrize(("host", "url"), [("::1", "http://[::1]:"), ("::", "http://[::1]:")])
async def test_addresses_of_ipv6_stand_in_brackets(host: str, url: str) -> None:
    try:
        found = await open_listeners(Binding(host, 0), LIMITS)
    except ServerUsageError as error:
        pytest.skip(str(error))
    (address,) = addresses(found)
    assert found.urls == (f"{url}{address[1]}",)
    found.close()


async def test_localhost_is_both_families_on_one_port() -> None:
    async with opened(Binding("localhost", 0)) as found:
        places = addresses(found)
        assert {place[1] for place in places} == {places[0][1]}
        assert [place[0] for place in places] in (["127.0.0.1", "::1"], ["127.0.0.1"])
        assert found.urls == (f"http://localhost:{places[0][1]}",)


@pytest.mark.parametrize("absent", [socket.AF_INET, socket.AF_INET6])
async def test_localhost_without_one_family_is_the_other(absent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = listeners._bind

    def bind(family: int, address: str, port: int, limits: Limits) -> socket.socket:
        if family == absent:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return real(socket.AF_INET, "127.0.0.1", port, limits)

    monkeypatch.setattr(listeners, "_bind", bind)
    async with opened(Binding("localhost", 0)) as found:
        assert len(found.sockets) == 1


async def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert await refusal_of(Binding("127.0.0.1", port)) == (
            f"Port {port} on 127.0.0.1 is in use by another program; choose another with --port."
        )
        # One family is free: it is let go again.
        assert "in use" in await refusal_of(Binding("localhost", port))


async def test_a_free_port_that_is_taken_in_the_other_family_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = listeners._bind, 0

    def bind(family: int, address: str, port: int, limits: Limits) -> socket.socket:
        nonlocal calls
        calls += 1
        if calls in (2, 3):
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return real(socket.AF_INET, "127.0.0.1", 0, limits)

    monkeypatch.setattr(listeners, "_bind", bind)
    async with opened(Binding("localhost", 0)) as found:
        assert (len(found.sockets), calls) == (2, 5)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "needs rights that this user lacks"),
        (errno.EADDRNOTAVAIL, "127.0.0.1 is no address of this machine"),
        (errno.ENOBUFS, "can't be listened on: No buffer space available"),
        (errno.EADDRINUSE, "in use"),
    ],
)
async def test_other_reasons_are_sentences_too(number: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(*arguments: Any) -> socket.socket:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(listeners, "_bind", bind)
    assert words in await refusal_of(Binding("127.0.0.1", 0))


async def test_a_host_without_address_is_a_sentence() -> None:
    assert "can't be resolved" in await refusal_of(Binding("x" * 70, 0))


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_number_that_is_no_port_is_a_sentence(port: int) -> None:
    with pytest.raises(ServerUsageError, match="is not a port"):
        Binding(port=port)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know other options")
async def test_accepted_sockets_have_small_buffers_and_notice_vanished_peers() -> None:
    async with opened(Binding("127.0.0.1", 0)) as found:
        with socket.create_connection(addresses(found)[0]), anyio.fail_after(LONG):
            await anyio.wait_readable(found.sockets[0])
            raw, _ = found.sockets[0].accept()
            assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * 256 * 1024
            assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
            assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
            raw.close()


# ---------------------------------------------------------------------------------------------------- Unix sockets


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # the path of a Unix socket has to be short
    return Path("socket")


def leave_stale(path: Path) -> None:
    """Leave what a killed server leaves."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))


@needs_unix
async def test_a_unix_socket_serves_and_is_taken_away(path: Path) -> None:
    async with serving(OK, binding=Binding(uds=path)) as served:
        assert served.urls == (f"unix:{path}",)
        wire = Wire(await anyio.connect_unix(path))
        served.wires.append(wire)
        await wire.ask()
        assert (await wire.answer()).body == b"ok"
    assert not path.exists()


@needs_unix
async def test_the_socket_of_a_dead_server_is_replaced(path: Path) -> None:
    leave_stale(path)
    async with opened(Binding(uds=path)):
        await (await anyio.connect_unix(path)).aclose()


@needs_unix
async def test_the_socket_of_a_living_server_is_left_alone(path: Path) -> None:
    async with opened(Binding(uds=path)):
        assert await refusal_of(Binding(uds=path)) == (
            "The Unix socket socket is in use by another program; choose another with --uds."
        )
        await (await anyio.connect_unix(path)).aclose()


@needs_unix
@pytest.mark.skipif(sys.platform != "linux", reason="other systems block or refuse")
async def test_a_living_server_that_is_very_busy_is_left_alone(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        assert "in use" in await refusal_of(Binding(uds=path))
    assert path.exists()


@needs_unix
async def test_a_file_at_the_path_is_left_alone(path: Path) -> None:
    path.write_text("precious")
    assert await refusal_of(Binding(uds=path)) == "socket exists and is no socket; choose another path with --uds."
    assert path.read_text() == "precious"


@needs_unix
async def test_a_path_taken_over_by_another_server_is_not_taken_away(path: Path) -> None:
    found = await open_listeners(Binding(uds=path), LIMITS)
    path.unlink()
    async with opened(Binding(uds=path)):
        found.close()
        await (await anyio.connect_unix(path)).aclose()


@needs_unix
async def test_a_path_that_was_removed_is_no_trouble(path: Path) -> None:
    async with opened(Binding(uds=path)):
        path.unlink()


@needs_unix
@pytest.mark.parametrize("where", ["missing/socket", "x" * 200])
async def test_a_path_that_cannot_be_a_socket_is_a_sentence(where: str, path: Path) -> None:
    assert "can't be made" in await refusal_of(Binding(uds=where))


@needs_unix
async def test_a_socket_of_another_kind_is_left_alone(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(str(path))
        assert "can't be used" in await refusal_of(Binding(uds=path))
    assert path.exists()


async def test_a_system_without_unix_sockets_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX", raising=False)
    assert "no Unix sockets" in await refusal_of(Binding(uds=path))

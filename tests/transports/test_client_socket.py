"""The socket's stream on real sockets: nothing is lost, whoever is cancelled, slow or gone."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import suppress

import anyio
import pytest

from tests_support.facts import counting_turns
from workflow_server.transports.client_socket import ClientSocket

MUCH = bytes(range(256)) * 32_768  # 8 MiB: more than the buffers of both sides take


@pytest.fixture
def pair() -> Generator[tuple[ClientSocket, socket.socket]]:
    """Return the server's side, and the client's as a plain socket that never blocks."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with ours, theirs:
        yield ClientSocket(ours), theirs


async def read_all(theirs: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        await anyio.wait_readable(theirs)
        with suppress(BlockingIOError):
            data += theirs.recv(65536)
    return bytes(data)


async def test_what_arrives_is_returned_up_to_the_asked_size(pair: tuple[ClientSocket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.send(b"abcdef")
    assert (await ours.receive(4), await ours.receive()) == (b"abcd", b"ef")


async def test_the_end_of_the_other_side_ends_reading_and_not_writing(
    pair: tuple[ClientSocket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(anyio.EndOfStream):
        await ours.receive()
    await ours.send(b"still here")
    assert theirs.recv(100) == b"still here"
    await ours.send_eof()
    assert theirs.recv(100) == b""


async def test_a_client_that_takes_its_time_gets_every_byte_in_order(
    pair: tuple[ClientSocket, socket.socket],
) -> None:
    ours, theirs = pair
    done = False

    async def send() -> None:
        nonlocal done
        await ours.send(MUCH)
        done = True

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            assert not done, "the test sends too little"
            assert await read_all(theirs, len(MUCH)) == MUCH
    assert done


async def test_a_read_that_is_cancelled_takes_nothing(pair: tuple[ClientSocket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.send(b"kept")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await ours.receive()
    assert scope.cancelled_caught
    assert await ours.receive() == b"kept"


async def test_reading_what_is_there_gives_others_their_turn(pair: tuple[ClientSocket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.send(b"x" * 100)
    async with counting_turns() as turns:
        for _ in range(100):
            await ours.receive(1)
    assert turns.count > 50


async def test_a_client_that_is_gone_is_a_broken_stream(pair: tuple[ClientSocket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.close()
    with pytest.raises(anyio.BrokenResourceError):
        await ours.send(b"x")


async def test_a_client_that_leaves_while_it_is_sent_to_breaks_the_stream(
    pair: tuple[ClientSocket, socket.socket],
) -> None:
    ours, theirs = pair
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(expect_broken, ours)
            await anyio.wait_all_tasks_blocked()
            theirs.close()


async def expect_broken(ours: ClientSocket) -> None:
    with pytest.raises(anyio.BrokenResourceError):
        await ours.send(MUCH)


async def test_a_reset_breaks_reading_and_ending() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        raw, _ = listener.accept()
    ours, client = ClientSocket(raw), ClientSocket(theirs)
    client.reset_on_close()
    await client.aclose()
    with pytest.raises(anyio.BrokenResourceError):
        await ours.receive()
    with pytest.raises(anyio.BrokenResourceError):
        await ours.send_eof()
    await ours.aclose()
    await ours.aclose()


async def test_being_ready_for_nothing_is_no_trouble(
    pair: tuple[ClientSocket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pair
    calls = 0

    async def at_once(raw: socket.socket) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            theirs.send(b"now")
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(anyio, "wait_readable", at_once)
    assert await ours.receive() == b"now"
    assert calls == 3

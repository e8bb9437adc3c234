"""The benchmark's own arithmetic: a wrong count would make a wrong claim."""

from __future__ import annotations

import socket

import pytest

from bench.load import LoadError, hammer, request_bytes
from bench.report import Cell, cpu_ratio, ratio, rows
from bench.sample import Sample
from bench.streams import _Reader
from bench.workloads import Workload

FRAMES = b": hello\n\n", b'id: 0\ndata: {"data: ": 1}\n\n', b"id: 1\ndata: {}\n\nid: 2\nda", b"ta: {}\n\n"
STREAM = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    + b"".join(b"%x\r\n%s\r\n" % (len(frame), frame) for frame in FRAMES)
    + b"0\r\n\r\n"
)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_reader_counts_every_event_once_however_the_bytes_are_cut(size: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = _Reader(ours, b"GET")
        over = False
        for start in range(0, len(STREAM), size):
            assert not over
            theirs.sendall(STREAM[start : start + size])
            over = reader.read()
        assert (over, reader.events) == (True, 3)


def test_a_stream_that_breaks_off_is_no_result() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = _Reader(ours, b"GET")
        theirs.sendall(STREAM[:-1])
        assert not reader.read()
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(LoadError, match="broke off"):
            reader.read()


def test_a_server_that_is_not_there_is_no_result() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with pytest.raises(OSError, match="refused"):
        hammer(port, request_bytes("GET", "/health"), connections=1, seconds=0.1)


def row(*, more_is_better: bool) -> Workload:
    return Workload("w", "a workload", "x/s", lambda _, seconds: Sample(seconds), more_is_better=more_is_better)


def test_samples_are_compared_within_their_turn() -> None:
    ours = Cell((Sample(20, 5.0), Sample(40, 5.0), Sample(600, 5.0)))
    peer = Cell((Sample(10, 20.0), Sample(10, 20.0), Sample(100, 20.0)))
    assert ratio(row(more_is_better=True), ours, peer) == 4
    assert ratio(row(more_is_better=False), ours, peer) == 0.25
    assert cpu_ratio(ours, peer) == 4
    assert cpu_ratio(ours, Cell((Sample(10),))) is None


def test_what_is_nothing_has_no_ratio() -> None:
    """Memory that did not grow, or was given back: the row stands, and the table goes on."""
    grown, same, less = (Cell((Sample(value),)) for value in (10.0, 0.0, -2.0))
    for nothing in (same, less):
        assert ratio(row(more_is_better=False), nothing, grown) is None
        assert ratio(row(more_is_better=True), grown, nothing) is None
        assert "10.0" in rows(row(more_is_better=False), {"peer": grown, "ours": nothing})


def test_the_table_shows_figures_and_says_why_there_are_none() -> None:
    cells = {"peer": Cell((Sample(10, 20.0),)), "ours": Cell((Sample(20, 5.0),)), "late": Cell((), "it did not start")}
    text = rows(row(more_is_better=True), cells)
    assert "2.0x       5 µs    4.0x" in text
    assert "no figure: it did not start" in text

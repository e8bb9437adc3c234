"""Readers of event streams, on raw sockets; the chunks are taken apart, the events counted, nothing decoded."""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.load import LoadError, ask, connect, request_bytes, start_request

_EVENT = b"\ndata: "

PATIENCE = 120.0
"""Seconds that a stream is given for what is expected of it."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """What the readers of one run saw."""

    deliveries: int
    seconds: float
    """From the first byte of the start request to the last event of the last reader."""
    first: float
    """Seconds to the first event any reader had."""


class _Reader:
    """Counts the events of one chunked answer, however its bytes are cut."""

    def __init__(self, sock: socket.socket, request: bytes) -> None:
        self.sock = sock
        self.events = 0
        self._wire = bytearray()
        self._tail = b"\n"
        self._in_body = False
        sock.sendall(request)

    def read(self) -> bool:
        """Read what is there; say whether the stream is over."""
        data = self.sock.recv(262144)
        if not data:
            raise LoadError("the stream broke off")
        self._wire += data
        if not self._in_body:
            end = self._wire.find(b"\r\n\r\n")
            if end < 0:
                return False
            self._check(bytes(self._wire[:end]))
            del self._wire[: end + 4]
            self._in_body = True
        return self._take_chunks()

    @staticmethod
    def _check(head: bytes) -> None:
        if head[9:12] != b"200" or b"chunked" not in head.lower():
            raise LoadError(f"not a stream: {head.splitlines()[0].decode('latin-1')}")

    def _take_chunks(self) -> bool:
        start = 0
        while (line_end := self._wire.find(b"\r\n", start)) >= 0:
            size = int(self._wire[start:line_end], 16)
            end = line_end + 2 + size
            if len(self._wire) < end + 2:
                break
            if size == 0:
                return True
            self._count(bytes(self._wire[line_end + 2 : end]))
            start = end + 2
        del self._wire[:start]
        return False

    def _count(self, piece: bytes) -> None:
        text = self._tail + piece
        self.events += text.count(_EVENT)
        # One byte less than the marker, so that none is counted twice.
        self._tail = text[-(len(_EVENT) - 1) :]


def follow(port: int, *, events: int, readers: int) -> Streamed:
    """Start a run that publishes `events` and let `readers` read all of them.

    Raises:
        LoadError: A reader got fewer or more, or nothing for 60 seconds.
    """
    begin = time.perf_counter()
    started = ask(port, start_request("publish", {"count": events}))
    request = request_bytes("GET", f"/events/{json.loads(started)['handler_id']}?after_sequence=-1")
    first = 0.0
    with selectors.DefaultSelector() as selector:
        made = [_Reader(connect(port), request) for _ in range(readers)]
        for reader in made:
            selector.register(reader.sock, selectors.EVENT_READ, reader)
        while selector.get_map():
            ready = selector.select(timeout=60)
            if not ready:
                raise LoadError("no event within 60 seconds")
            for key, _ in ready:
                reader = key.data
                over = reader.read()
                if not first and reader.events:
                    first = time.perf_counter() - begin
                if over:
                    selector.unregister(reader.sock)
                    reader.sock.close()
    seconds = time.perf_counter() - begin
    wrong = {reader.events for reader in made} - {events + 1}
    if wrong:
        raise LoadError(f"readers saw {sorted(wrong)} events instead of {events + 1}")
    return Streamed(readers * (events + 1), seconds, first)


@contextmanager
def reading(port: int, handler_id: str) -> Iterator[Callable[[int | None], None]]:
    """Read the events of a handler.

    Gives a function that returns when so many were read altogether, or, given `None`, when the stream is over.
    """
    with connect(port, timeout=PATIENCE) as sock:
        reader = _Reader(sock, request_bytes("GET", f"/events/{handler_id}?after_sequence=-1"))

        def read_until(events: int | None) -> None:
            end = time.perf_counter() + PATIENCE
            while events is None or reader.events < events:
                if time.perf_counter() > end:  # heartbeats go on for ever
                    raise LoadError(f"no end of the stream of {handler_id} after {PATIENCE:g} seconds")
                if reader.read():
                    if events is not None and reader.events < events:
                        raise LoadError(f"the stream ended after {reader.events} events")
                    return

        yield read_until

"""The load generator: raw sockets, ready-made request bytes, one selector.

It runs in the benchmark's own process, never in the server's, and does as little as it can for an
answer: find the head, find its length, note the time. It must stay several times faster than the
fastest server measured; the workload `generator` measures it against a socket that answers with
ready-made bytes, so that the report can show how far from being the limit it is.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPResponse
from itertools import chain, repeat


class LoadError(Exception):
    """The server did not answer as the workload needs."""


@dataclass(slots=True)
class Tally:
    """What a round of requests gave."""

    done: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list[float])
    """Seconds from sending a request to having its whole answer."""

    def within(self, share: float) -> float:
        """Return the milliseconds within which this share of the answers came."""
        return sorted(self.latencies)[int(len(self.latencies) * share)] * 1000


def request_bytes(method: str, path: str, body: bytes | None = None) -> bytes:
    """Return a request as it goes over the wire."""
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode("ascii") + b"\r\n" + (body or b"")


def start_request(workflow: str, fields: object, *, handler_id: str | None = None) -> bytes:
    """Return the request that starts a run and doesn't wait for it."""
    given = {"start_event": fields} if handler_id is None else {"start_event": fields, "handler_id": handler_id}
    return request_bytes("POST", f"/workflows/{workflow}/run-nowait", json.dumps(given).encode())


class _Connection:
    """One keep-alive connection, with at most one request under way."""

    __slots__ = ("_missing", "_received", "sent_at", "sock")

    def __init__(self, port: int) -> None:
        self.sock = connect(port)
        self._received = bytearray()
        self._missing = -1

    def send(self, request: bytes) -> None:
        self.sent_at = time.perf_counter()
        self.sock.sendall(request)

    def answered(self) -> bool:
        """Read what is there; say whether the answer is complete."""
        data = self.sock.recv(65536)
        if not data:
            raise LoadError("the server closed a keep-alive connection")
        self._received += data
        if self._missing < 0:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return False
            self._missing = end + 4 + _length_of_body(bytes(self._received[:end]))
        if len(self._received) < self._missing:
            return False
        del self._received[: self._missing]
        self._missing = -1
        return True


def _length_of_body(head: bytes) -> int:
    status = head[9:12]
    if status != b"200":
        raise LoadError(f"the server answered {status.decode('ascii', 'replace')}")
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise LoadError("an answer without content-length")


def connect(port: int, timeout: float = 30.0) -> socket.socket:
    """Return a socket connected to `port` on this machine."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


@contextmanager
def _connections(port: int, count: int) -> Iterator[tuple[selectors.BaseSelector, list[_Connection]]]:
    made: list[_Connection] = []
    with selectors.DefaultSelector() as selector:
        try:
            for _ in range(count):
                connection = _Connection(port)
                made.append(connection)
                selector.register(connection.sock, selectors.EVENT_READ, connection)
            yield selector, made
        finally:
            for connection in made:
                connection.sock.close()


def hammer(port: int, request: bytes, *, connections: int, seconds: float) -> Tally:
    """Send `request` over and over on `connections` at once for `seconds`; each waits for its answer.

    Raises:
        LoadError: An answer other than 200, or none within 30 seconds.
    """
    end = time.perf_counter() + seconds
    # The first ones go out in any case.
    return _exchange(port, chain(repeat(request, connections), _until(end, request)), connections)


def send_all(port: int, requests: Sequence[bytes], *, connections: int) -> Tally:
    """Send each of `requests` once, on `connections` at once.

    Raises:
        LoadError: An answer other than 200, or none within 30 seconds.
    """
    return _exchange(port, iter(requests), min(connections, len(requests)))


def ask(port: int, request: bytes) -> bytes:
    """Send one request and return the body of its answer.

    Raises:
        LoadError: The answer is not 200.
    """
    with connect(port) as sock:
        sock.sendall(request)
        answer = HTTPResponse(sock)
        answer.begin()
        body = answer.read()
    if answer.status != 200:
        raise LoadError(f"the server answered {answer.status}: {body[:200].decode('utf-8', 'replace')}")
    return body


def _until(end: float, request: bytes) -> Iterator[bytes]:
    while time.perf_counter() < end:
        yield request


def _exchange(port: int, requests: Iterator[bytes], connections: int) -> Tally:
    tally = Tally()
    with _connections(port, connections) as (selector, made):
        begin = now = time.perf_counter()
        for connection in made:
            connection.send(next(requests))
        under_way = connections
        while under_way:
            ready = selector.select(timeout=30)
            if not ready:
                raise LoadError("no answer within 30 seconds")
            for key, _ in ready:
                connection = key.data
                if not connection.answered():
                    continue
                now = time.perf_counter()
                tally.done += 1
                tally.latencies.append(now - connection.sent_at)
                request = next(requests, None)
                if request is None:
                    under_way -= 1
                else:
                    connection.send(request)
        tally.seconds = now - begin
    return tally

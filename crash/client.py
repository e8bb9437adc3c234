"""A plain HTTP client, over a Unix socket, that tells an answer from none.

Each request has a connection of its own. Whatever goes wrong on the way is `Unanswered`: the server may have done
what it was asked to, or not.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

ANSWER_SECONDS = 20.0
"""Seconds of silence after which a server counts as hanging."""


class Unanswered(Exception):
    """The server was gone before it had answered; nobody knows whether it did what was asked."""


class Unreached(Unanswered):
    """The server was not there to be asked: it has not done it."""


class Silent(Exception):
    """The server is there and does not answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a request."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.text)


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """A client of the server at a Unix socket.

    Args:
        path: The socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def _send(self, method: str, path: str, body: Any) -> tuple[HTTPConnection, HTTPResponse]:
        connection = _UnixConnection(self._path)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise Unreached(repr(error)) from error
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            return connection, connection.getresponse()
        except BaseException:
            connection.close()
            raise

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a request and return the answer, whatever its status.

        Raises:
            Unanswered: There was none.
            Silent: There was none in `ANSWER_SECONDS`.
        """
        try:
            connection, response = self._send(method, path, body)
            try:
                return Answer(response.status, response.read().decode())
            finally:
                connection.close()
        except TimeoutError:
            raise Silent(f"no answer to {method} {path} in {ANSWER_SECONDS:g} s") from None
        except (OSError, HTTPException) as error:
            raise Unanswered(repr(error)) from error

    def events(self, handler_id: str, after: int, *, run_id: str | None = None, sse: bool = False) -> Iterator[Event]:
        """Yield the events of a run, internal ones too, from sequence `after` on until the stream ends.

        Over NDJSON sequences are counted, over SSE they are read.

        Raises:
            Unanswered: The server was gone.
            Refused: The answer was no stream; a 204 has no events and raises nothing.
        """
        query = f"after_sequence={after}&include_internal=true&sse={'true' if sse else 'false'}"
        query += f"&run_id={run_id}" if run_id else ""
        try:
            connection, response = self._send("GET", f"/events/{handler_id}?{query}", None)
            try:
                if response.status == 200:
                    yield from _read_sse(response) if sse else _read_ndjson(response, after)
                elif response.status != 204:
                    raise Refused(Answer(response.status, response.read().decode()))
            finally:
                connection.close()
        except TimeoutError:
            raise Unanswered("nothing happens") from None
        except (OSError, HTTPException) as error:
            raise Unanswered(repr(error)) from error


class Refused(Exception):
    """A stream that can't be had; holds the answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.text}")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream: its sequence and its envelope, as text."""

    sequence: int
    text: str


def _read_ndjson(response: HTTPResponse, after: int) -> Iterator[Event]:
    for line in response:
        if not line.endswith(b"\n"):
            raise Unanswered("a stream broke off within a line")
        after += 1
        yield Event(after, line.decode().rstrip("\n"))


def _read_sse(response: HTTPResponse) -> Iterator[Event]:
    sequence, data = None, None
    for line in response:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "id":
            sequence = int(value)
        elif field == "data":
            data = value
        elif not field and sequence is not None and data is not None:
            yield Event(sequence, data)
            sequence = data = None

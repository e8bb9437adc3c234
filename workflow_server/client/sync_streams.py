"""The stream of a run's events as a plain iterator."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from workflow_server.client.connecting import Connections, build, check_break, need_httpx, status_error
from workflow_server.client.following import Cursor, Follower

if TYPE_CHECKING:
    import httpx

E = TypeVar("E")


class SyncEvents(Iterator[E], Generic[E]):
    """The events of a run, as `Events`, for plain `with` and `for`."""

    def __init__(self, connections: Connections[httpx.Client], follower: Follower) -> None:
        self._httpx = need_httpx()
        self._connections = connections
        self._follower = follower
        self._arrived: Iterator[Any] = iter(())
        self._client: httpx.Client | None = None
        self._own = False
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] | None = None
        self._closed = False

    def __enter__(self) -> SyncEvents[E]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __next__(self) -> E:
        try:
            while (event := next(self._arrived, None)) is None:
                if self._closed or self._follower.over:
                    raise StopIteration
                self._read()
        except BaseException:
            self.close()
            raise
        arrived: E = event
        return arrived

    @property
    def last_sequence(self) -> Cursor:
        """The sequence of the event that was returned last; whoever begins there later goes on where this ends."""
        return self._follower.after

    def close(self) -> None:
        """Let go of the connection. Doing so again does nothing."""
        self._closed = True
        self._disconnect()
        client, self._client = self._client, None
        if client is not None and self._own:
            client.close()

    def _connect(self) -> None:
        if self._client is None:
            self._client, self._own = self._connections.lend()
        request = build(self._follower.call(), self._client, self._follower.patience.silence)
        response = self._response = self._client.send(request, stream=True)
        if self._follower.opened(response.status_code):
            self._chunks = response.iter_bytes()
        elif not self._follower.over:
            response.read()
            raise status_error(response)

    def _read(self) -> None:
        try:
            if self._chunks is None:
                self._connect()
            if self._chunks is not None:
                self._arrived = self._follower.feed(next(self._chunks))
            return
        except StopIteration:
            pass
        except self._httpx.HTTPError as error:
            check_break(error, self._follower)
        self._disconnect()
        time.sleep(self._follower.broken())

    def _disconnect(self) -> None:
        response, self._response, self._chunks = self._response, None, None
        if response is not None:
            response.close()

"""The stream of a run's events as a plain iterator."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar

from workflow_server.client.connecting import build, need_httpx, status_error
from workflow_server.client.following import Cursor, Follower
from workflow_server.wire.envelopes import EventEnvelopeWithMetadata

if TYPE_CHECKING:
    import httpx

E = TypeVar("E")


class SyncEvents(Iterator[E], Generic[E]):
    """The events of a run, as `Events`, for plain `with` and `for`."""

    def __init__(
        self, client: httpx.Client, own: bool, follower: Follower, load: Callable[[EventEnvelopeWithMetadata], E]
    ) -> None:
        self.last_sequence: Cursor = follower.after
        """The sequence of the event that was returned last."""
        self._httpx = need_httpx()
        self._client = client
        self._own = own
        self._follower = follower
        self._load = load
        self._ready: deque[tuple[int | None, EventEnvelopeWithMetadata]] = deque()
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
            while not self._ready:
                if self._closed or self._follower.over:
                    self.close()
                    raise StopIteration
                self._read()
        except BaseException:
            self.close()
            raise
        sequence, event = self._ready.popleft()
        self.last_sequence = self.last_sequence if sequence is None else sequence
        return self._load(event)

    def close(self) -> None:
        """Let go of the connection. Doing so again does nothing."""
        self._closed = True
        self._disconnect()
        if self._own:
            self._client.close()

    def _connect(self) -> None:
        request = build(self._follower.call(), self._client, self._follower.patience.silence)
        response = self._response = self._client.send(request, stream=True)
        if self._follower.opened(response.status_code):
            self._chunks = response.iter_bytes()
        elif not self._follower.over:
            response.read()
            raise status_error(response)

    def _read(self) -> None:
        connected = self._chunks is not None
        try:
            if self._chunks is None:
                self._connect()
            if self._chunks is None:
                return
            connected = True
            self._ready.extend(self._follower.feed(next(self._chunks)))
            return
        except StopIteration:
            pass
        except self._httpx.TimeoutException as error:
            if not self._follower.patience.errors_break:
                raise TimeoutError(f"Timeout waiting for events from handler {self._follower.handler_id}") from error
        except self._httpx.HTTPStatusError as error:
            if not self._follower.is_break(error.response.status_code):
                raise
        except self._httpx.TransportError:
            pass
        self._disconnect()
        time.sleep(self._follower.broken(connected=connected))

    def _disconnect(self) -> None:
        response, self._response, self._chunks = self._response, None, None
        if response is not None:
            response.close()

"""What both clients know of httpx, which is imported when the first client is made: it is an extra."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from workflow_server.client.calls import Call
from workflow_server.client.following import Follower
from workflow_server.client.patience import Patience

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
C = TypeVar("C")

MARGIN = 10.0
"""Seconds that an answer may take beyond what the server was asked to wait."""

SHOWN = 200
"""Characters of an answer that an error shows."""

AWAY = (429, 502, 503, 504)
"""Answers, often a proxy's, that are likely to be another one in a moment."""


def need_httpx() -> ModuleType:
    """Return httpx.

    Raises:
        ImportError: It isn't installed.
    """
    try:
        import httpx
    except ImportError as error:
        raise ImportError("The client needs httpx; install it with: pip install 'workflow-server[client]'") from error
    return httpx


class Connections(Generic[C]):
    """Lends what sends requests: the httpx client that a program brought along, or for each use one of our own.

    Args:
        given: That of the program.
        base_url: The server's URL, instead.
        make: Makes one of our own.

    Raises:
        ValueError: Neither or both of the first two are given.
    """

    def __init__(self, given: C | None, base_url: str | None, make: Callable[..., C]) -> None:
        if given is None and base_url is None:
            raise ValueError("Either httpx_client or base_url must be provided")
        if given is not None and base_url is not None:
            raise ValueError("Only one of httpx_client or base_url must be provided")
        self._given = given
        self._base_url = base_url
        self._make = make
        self._certificates: ssl.SSLContext | None = None
        """Read once, because that takes longer than a request."""

    def lend(self) -> tuple[C, bool]:
        """Return a client, and whether it is our own, to be closed after use."""
        if self._given is not None:
            return self._given, False
        if self._certificates is None:
            self._certificates = need_httpx().create_ssl_context()
        return self._make(base_url=self._base_url, verify=self._certificates), True


def request_for(call: Call[Any], client: httpx.AsyncClient | httpx.Client, *, own: bool) -> httpx.Request:
    """Return the request that `call` stands for.

    Args:
        call: What is asked.
        client: Who sends it.
        own: Whether `client` is of our own making: whoever brings one has its timeouts, but for what is waited
            for by intention.
    """
    read = client.timeout.read
    if call.takes is None:
        read = None if own else read
    elif call.takes and read is not None:
        read = max(read, call.takes + MARGIN)
    return build(call, client, read)


def build(call: Call[Any], client: httpx.AsyncClient | httpx.Client, read: float | None) -> httpx.Request:
    """Return the request that `call` stands for; `read` is how many seconds the server may be silent."""
    headers = dict(call.headers)
    if call.body is not None:
        headers["content-type"] = "application/json"
    times = client.timeout
    timeout = need_httpx().Timeout(connect=times.connect, read=read, write=times.write, pool=times.pool)
    return client.build_request(
        call.method, call.path, params=call.query or None, content=call.body, headers=headers, timeout=timeout
    )


def read_answer(call: Call[T], response: httpx.Response) -> T:
    """Return what the server answered.

    Raises:
        httpx.HTTPStatusError: It refused.
        pydantic.ValidationError: It answered what no such server answers.
    """
    answer = call.answer(response.status_code, response.content)
    if answer is None:
        raise status_error(response)
    return answer


def status_error(response: httpx.Response) -> httpx.HTTPStatusError:
    """Return the error of an answer, which has been read, with an error's status."""
    request = response.request
    text = (
        f"{response.status_code} {response.reason_phrase} for {request.method} {request.url}. "
        f"Response: {response.text[:SHOWN]}"
    )
    error: httpx.HTTPStatusError = need_httpx().HTTPStatusError(text, request=request, response=response)
    return error


def is_break(error: Any, patience: Patience) -> bool:
    """Tell whether an error of httpx says no more than that the server, or the way to it, is away for now."""
    httpx = need_httpx()
    if isinstance(error, httpx.HTTPStatusError):
        return patience.errors_break and error.response.status_code in AWAY
    if isinstance(error, httpx.TimeoutException):
        return patience.errors_break
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)


def check_break(error: Exception, follower: Follower) -> None:
    """Check that a stream which ended by `error` may go on.

    Raises:
        TimeoutError: It was a timeout, for which there is no patience.
        Exception: `error` itself, if waiting is no help.
    """
    if is_break(error, follower.patience):
        return
    if isinstance(error, need_httpx().TimeoutException):
        raise TimeoutError(f"Timeout waiting for events from handler {follower.handler_id}") from error
    raise error

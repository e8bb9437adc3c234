"""What both clients know of httpx, which is imported when the first client is made: it is an extra."""

from __future__ import annotations

import ssl
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from workflow_server.client.calls import Call

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

MARGIN = 10.0
"""Seconds that an answer may take beyond what the server was asked to wait."""

SHOWN = 200
"""Characters of an answer that an error shows."""


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


def check_one(httpx_client: object | None, base_url: str | None) -> None:
    """Check that a client is told where the server is, once.

    Raises:
        ValueError: It isn't, or twice.
    """
    if httpx_client is None and base_url is None:
        raise ValueError("Either httpx_client or base_url must be provided")
    if httpx_client is not None and base_url is not None:
        raise ValueError("Only one of httpx_client or base_url must be provided")


class Verification:
    """The certificates that connections are checked with: read once, because that takes longer than a request."""

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None

    @property
    def context(self) -> ssl.SSLContext:
        """What httpx takes as `verify`."""
        context = self._context or need_httpx().create_ssl_context()
        self._context = context
        return context


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

"""Heads: what a request's must fulfil beyond h11's grammar, how its target is read, and how an answer's is made.

h11 accepts more than a server should act on (found by trying): Content-Length beside
Transfer-Encoding, which request smuggling lives on; `PRI * HTTP/2.0`, the preface of a client that
speaks HTTP/2; targets in absolute form, which RFC 9112, 3.2.2 tells a server to accept. An upgrade
that is offered (`Upgrade: h2c`) needs nothing: answering normally declines it.
"""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus

import h11

from workflow_server.http.messages import Headers, Refused, Request

BODILESS = (204, 304)
"""Statuses whose answers have no body and announce none."""

_REASONS: dict[int, bytes] = {status.value: status.phrase.encode() for status in HTTPStatus}


def read_head(request: h11.Request) -> tuple[Request, int | None] | Refused:
    """Check the head that h11 has parsed and take its target apart.

    Returns:
        The request, still without its body, and the body's announced size in bytes (`None`: sent in chunks).
    """
    version = request.http_version
    if version != b"1.1" and not version.startswith(b"1."):
        return Refused(505, f"HTTP/{version.decode()} is not spoken here; use HTTP/1.1.")
    length: int | None = 0
    announced = chunked = False
    headers: list[tuple[str, str]] = []
    for raw_name, raw_value in request.headers.raw_items():
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers.append((name, value))
        if name == "content-length":
            announced, length = True, int(value)
        elif name == "transfer-encoding":
            chunked = True
    if chunked:
        if announced:
            return Refused(400, "The head has both Content-Length and Transfer-Encoding; send one of them.")
        if version == b"1.0":
            return Refused(400, "The head has Transfer-Encoding, which HTTP/1.0 does not know.")
        length = None
    method = request.method.decode("latin-1")
    target = request.target.decode("latin-1")
    if target[0] != "/" or method == "CONNECT":
        origin = None if method == "CONNECT" else _origin_form(method, target)
        if origin is None:
            return Refused(400, "The request line's target must be a path that begins with '/', or an http URL.")
        target = origin
    path, _, query = target.partition("?")
    return Request(method, path, query, tuple(headers)), length


def _origin_form(method: str, target: str) -> str | None:
    """Return `target` without scheme and authority; `None` if it is neither an http URL nor `*`."""
    if target == "*":
        return target if method == "OPTIONS" else None
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return None
    ends = [at for at in (rest.find("/"), rest.find("?")) if at >= 0]
    if not ends:
        return "*" if method == "OPTIONS" else "/"
    origin = rest[min(ends) :]
    return origin if origin[0] == "/" else "/" + origin


@lru_cache(maxsize=256)
def response_head(status: int, headers: Headers, length: int | None, last: bool) -> h11.Response:
    """Return the head as h11 wants it; remembered, because checking it costs more than all else in a short answer."""
    wire = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    if length is not None and status not in BODILESS:
        wire.append((b"content-length", b"%d" % length))
    if last:
        wire.append((b"connection", b"close"))
    return h11.Response(status_code=status, headers=wire, reason=_REASONS.get(status, b""))

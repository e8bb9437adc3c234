"""Which pages may use the API: the server's own, and those the program names.

Browsers send requests for any page, so a page elsewhere could start runs on somebody's localhost, even
where it can't read the answers. Requests that change something are therefore refused when a browser says
that they come from elsewhere: by `Sec-Fetch-Site` (which pages can't forge, and which knows better than the
server behind a proxy what "same origin" is), or by an `Origin` that differs from `Host`. Programs send
neither and are let through. Sources: Fetch Metadata, section 2.3; Fetch, section 3.2 (`Origin`) and 3.3 (CORS).
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from workflow_server.errors import ServerUsageError
from workflow_server.http.messages import Headers, Request, Response

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SAFE = ("GET", "HEAD", "OPTIONS")
_PREFLIGHT_SECONDS = 600

_Origin = tuple[str, str | None, int | None]


class Origins:
    """The origins a program has named.

    Args:
        named: Origins (`https://app.example.org`) whose pages may read answers and send requests, with
            credentials; `"*"` for every page, without credentials.

    Raises:
        ServerUsageError: One of them is no origin.
    """

    def __init__(self, named: Sequence[str] = ()) -> None:
        if isinstance(named, str):
            raise ServerUsageError(f"cors_origins is a list of origins, not the text {named!r}; write [{named!r}].")
        self._any = "*" in named
        self._named = frozenset(_need_origin(text) for text in named if text != "*")

    def refuse(self, request: Request) -> str | None:
        """Return why `request` is refused for where it comes from, or `None` if it is welcome."""
        if request.method in _SAFE:
            return None
        site = request.header("sec-fetch-site")
        origin = request.header("origin")
        if site in ("same-origin", "none") or (site is None and origin is None) or self._knows(origin):
            return None
        if site is None and origin is not None and _is_own(origin, request.header("host") or ""):
            return None
        return (
            f"{request.method} from a page of another origin ({origin or site}) is refused; "
            "the program that runs this server can name that origin in cors_origins"
        )

    def headers(self, request: Request) -> Headers:
        """Return what tells a browser whether the page that sent `request` may read the answer."""
        if not self._any and not self._named:
            return ()
        origin = request.header("origin")
        vary = (("vary", "origin"),)
        if origin is None or not self._knows(origin):
            return vary
        if _read(origin) in self._named:
            allowed = (("access-control-allow-origin", origin), ("access-control-allow-credentials", "true"))
            return (*allowed, *vary)
        return (("access-control-allow-origin", "*"), *vary)

    def preflight(self, request: Request, methods: Sequence[str]) -> Response | None:
        """Return the answer to a browser that asks before it sends, or `None` if `request` is no such question.

        Args:
            request: An OPTIONS request.
            methods: What the path allows.
        """
        if not self._knows(request.header("origin")) or request.header("access-control-request-method") is None:
            return None
        asked = request.header("access-control-request-headers")
        headers: Headers = (
            ("access-control-allow-methods", ", ".join(methods)),
            *((("access-control-allow-headers", asked),) if asked else ()),
            ("access-control-max-age", str(_PREFLIGHT_SECONDS)),
        )
        return Response(204, headers)

    def _knows(self, origin: str | None) -> bool:
        return origin is not None and (self._any or _read(origin) in self._named)


def _read(origin: str) -> _Origin | None:
    """Return scheme, host and port of an origin, or `None` if it is none (`null`, say)."""
    try:
        parts = urlsplit(origin)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if not parts.scheme or not parts.hostname or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port


def _need_origin(text: str) -> _Origin:
    if (origin := _read(text.strip().removesuffix("/"))) is None:
        raise ServerUsageError(
            f"{text!r} in cors_origins is no origin; an origin is a scheme, a host and perhaps a port, "
            "as in 'https://app.example.org' or 'http://localhost:3000'."
        )
    return origin


def _is_own(origin: str, host: str) -> bool:
    """Tell whether `origin` is where the request was sent; its scheme is taken as right, since proxies change it."""
    parsed = _read(origin)
    return parsed is not None and parsed == _read(f"{parsed[0]}://{host}")

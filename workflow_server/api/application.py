"""The API as an application: a request becomes a command, the command an outcome, the outcome a response.

What executes commands, the page and the log are injected, so that this floor knows none of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from workflow_server.api import routes
from workflow_server.api.commands import Command
from workflow_server.api.origins import Origins
from workflow_server.api.outcomes import Outcome, Refusal, Refused
from workflow_server.api.render import internal_error, render
from workflow_server.http.messages import Headers, Request, Response

_PAGE_METHODS = ("GET", "HEAD", "OPTIONS")
_NOT_FOUND = Refused(Refusal.NOT_FOUND, "Not Found")


class Api:
    """What transports serve; an `http.messages.Application`.

    Args:
        execute: Does what a command says and tells what came of it.
        page: Answers GET and HEAD of paths outside the API, `None` if it has nothing there.
        report: Logs an unexpected exception and returns the id under which the log has it.
        cors_origins: Origins whose pages may use the API, see `Origins`.

    Raises:
        ServerUsageError: One of `cors_origins` is no origin.
    """

    def __init__(
        self,
        execute: Callable[[Command], Awaitable[Outcome]],
        *,
        page: Callable[[Request], Response | None],
        report: Callable[[Exception], str],
        cors_origins: Sequence[str] = (),
    ) -> None:
        self._execute = execute
        self._page = page
        self._report = report
        self._origins = Origins(cors_origins)

    def may_wait(self, request: Request) -> bool:
        """Tell whether the answer to `request` may take long."""
        return routes.may_wait(request)

    async def respond(self, request: Request) -> Response:
        """Answer `request`; cancelling it harms nothing."""
        try:
            response = await self._answer(request)
        except Exception as error:  # the client learns an id, the log the rest
            response = internal_error(self._report(error))
        added = self._origins.headers(request)
        return replace(response, headers=response.headers + added) if added else response

    async def _answer(self, request: Request) -> Response:
        found = routes.find(request.path)
        if request.method == "OPTIONS":
            return self._answer_options(request, found)
        if found is None:
            return self._answer_elsewhere(request)
        if (refusal := self._origins.refuse(request)) is not None:
            return _refuse(Refused(Refusal.FORBIDDEN, refusal))
        read = routes.read(request, *found)
        return _refuse(read) if isinstance(read, Refused) else render(await self._execute(read), _Unread())

    def _answer_options(self, request: Request, found: tuple[routes.Endpoint, str] | None) -> Response:
        if request.path == "*":
            methods = routes.METHODS
        elif found is not None:
            methods = found[0].allow
        elif self._has_page(request):
            methods = _PAGE_METHODS
        else:
            return _refuse(_NOT_FOUND)
        allow: Headers = (("allow", ", ".join(methods)),)
        return self._origins.preflight(request, methods) or Response(204, allow)

    def _answer_elsewhere(self, request: Request) -> Response:
        if request.method in _PAGE_METHODS:
            return self._page(request) or _refuse(_NOT_FOUND)
        if not self._has_page(request):
            return _refuse(_NOT_FOUND)
        detail = f"Method Not Allowed: {request.path} takes {', '.join(_PAGE_METHODS)}, not {request.method}"
        return _refuse(Refused(Refusal.METHOD_NOT_ALLOWED, detail, allow=_PAGE_METHODS))

    def _has_page(self, request: Request) -> bool:
        return self._page(Request("HEAD", request.path)) is not None


def _refuse(refused: Refused) -> Response:
    return render(refused, _Unread())


class _Unread:
    """The source of a stream that nobody reads: see `render`."""

    async def pull(self) -> None:
        """Have nothing."""

    def close(self) -> None:
        """Hold nothing, let go of nothing."""

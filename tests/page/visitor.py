"""A browser tab on the page of a real server, and what must not be seen there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import ConsoleMessage, Locator, Page, Request, expect

from workflow_server.server import WorkflowServer

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def served(server: WorkflowServer, backend: str = "asyncio", port: int = 0) -> Iterator[str]:
    """Serve on the loopback for the length of the block, in a thread; yield the URL."""
    listening: Future[str] = Future()
    with start_blocking_portal(backend) as portal:
        heard: Callable[[tuple[str, ...]], None] = lambda urls: listening.set_result(urls[0])  # noqa: E731
        serving = portal.start_task_soon(partial(server.serve, host="127.0.0.1", port=port, on_listening=heard))
        either: list[Future[Any]] = [serving, listening]
        wait(either, timeout=20, return_when=FIRST_COMPLETED)
        if serving.done():
            serving.result()
        try:
            yield listening.result(timeout=0).rstrip("/")
        finally:
            serving.cancel()


class Visitor:
    """A tab. Whatever it does, `complaints` must stay empty.

    Browsers write an error for each answer of 400 and more; those are allowed by name where the journey is about
    just that answer.
    """

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.complaints: list[str] = []
        self.allowed: list[tuple[str, int]] = [(r"/handlers/\w+$", 500)]
        self._heard: dict[Any, Callable[[Any], None]] = {
            "request": self._requested,
            "console": self._said,
            "pageerror": lambda error: self.complaints.append(f"uncaught: {error}"),
        }
        for event, listener in self._heard.items():
            page.on(event, listener)

    def leave(self) -> None:
        """Leave the tab to the next visitor, without a trace."""
        if self.page.url.startswith("http"):
            self.page.evaluate("localStorage.clear(); sessionStorage.clear()")
        self.page.goto("about:blank")
        for other in self.page.context.pages:
            if other is not self.page:
                other.close()
        for event, listener in self._heard.items():
            self.page.remove_listener(event, listener)

    def go(self, hash: str = "") -> None:
        """Open the page at `hash`."""
        self.page.goto(f"{self.address}/{hash}")

    def allow(self, path: str, status: int) -> None:
        """Let the browser note answers of `status` for paths that match the pattern `path`."""
        self.allowed.append((path, status))

    def run(self, workflow: str, wait: bool = False, **fields: Any) -> str:
        """Start a run without the page and return its handler's id; with `wait`, when it is over."""
        how = "run" if wait else "run-nowait"
        answer = httpx.post(f"{self.address}/workflows/{workflow}/{how}", json={"start_event": fields}, timeout=20)
        return str(answer.json()["handler_id"])

    def look(self, handler_id: str, view: str = "") -> None:
        """Open the page of a run."""
        self.go(f"#/run/{handler_id}{view and '?view=' + view}")
        expect(self.heading).to_be_visible()

    def workflow(self, name: str) -> Locator:
        """The link on the start page that leads to a new run of a workflow."""
        return self.page.locator(".workflows a", has=self.page.get_by_text(name, exact=True))

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def tab(self, name: str) -> Locator:
        return self.page.get_by_role("tab", name=name, exact=True)

    @property
    def heading(self) -> Locator:
        return self.page.get_by_role("heading", level=1)

    @property
    def badge(self) -> Locator:
        return self.page.locator(".badge")

    @property
    def stream(self) -> Locator:
        return self.page.locator(".stream")

    @property
    def outcome(self) -> Locator:
        return self.page.get_by_role("region", name="Outcome")

    @property
    def question(self) -> Locator:
        return self.page.get_by_role("region", name="Open questions")

    @property
    def types(self) -> Locator:
        """The types of the events drawn."""
        return self.page.locator(".event .chip")

    @property
    def bars(self) -> Locator:
        """The executions drawn."""
        return self.page.locator(".exec")

    @property
    def inspector(self) -> Locator:
        return self.page.get_by_role("complementary", name="Inspector")

    @property
    def runs(self) -> Locator:
        """The rows of the list of runs."""
        return self.page.locator("#runs a")

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:", f"blob:{self.address}")):
            self.complaints.append(f"asked another host: {request.url}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        url = message.location.get("url", "")
        status = re.search(r"status of (\d+)", message.text)
        for path, expected in self.allowed:
            if status and int(status[1]) == expected and re.search(path, url):
                return
        self.complaints.append(f"console: {message.text} ({url})")

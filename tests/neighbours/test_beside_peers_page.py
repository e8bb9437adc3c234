"""This page and that of llama-agents-server side by side, on one server, in one browser.

`nox -s long -- -k beside -s -n0` prints the table, of ten thousand events; that page is given a minute to show them.
In the short form there are a thousand.
"""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from tests_support.served import CHECKOUT
from workflow_server import Context, Workflow, step
from workflow_server.events import Event, StartEvent, StopEvent
from workflow_server.server import WorkflowServer

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from neighbours.test_peers_page import HTML, built, show
from page.visitor import CHROMIUM, QUIET, served
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

__all__ = ["built"]
pytestmark = [pytest.mark.neighbours, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]
PATIENCE = 60.0


class Wanted(StartEvent):
    count: int = 1000


class Tick(Event):
    count: int


class Many(Workflow):
    """Publishes as many events as it is told, once those who want to follow have come."""

    @step
    async def publish(self, ctx: Context[Any], ev: Wanted) -> StopEvent:
        await anyio.sleep(2)
        for count in range(ev.count):
            ctx.write_event_to_stream(Tick(count=count))
            if count % 500 == 0:
                await anyio.lowlevel.checkpoint()
        return StopEvent(result="through")


@dataclass
class Figures:
    """What one page costs and shows; times in seconds."""

    kilobytes: float
    compressed: float
    other_hosts: set[str] = field(default_factory=set)
    usable: float = 0
    events_seen: int = 0
    seconds_until_then: float = 0
    events_of_a_finished_run: int = 0


def weighed(files: list[Path]) -> Figures:
    content = b"".join(path.read_bytes() for path in files)
    return Figures(round(len(content) / 1024, 1), round(len(gzip.compress(content)) / 1024, 1))


@pytest.fixture
def address() -> Iterator[str]:
    server = WorkflowServer(shutdown_grace=0.1)
    server.add_workflow("many", Many(timeout=None))
    with served(server) as url:
        yield url


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield launched
        launched.close()


def opened(browser: Browser, address: str, figures: Figures) -> Page:
    """Return a tab without a way to other hosts, which are noted."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})

    def refuse(route: Any) -> None:
        figures.other_hosts.add(httpx.URL(route.request.url).host)
        route.abort()

    page.route(lambda url: not url.startswith((address, "data:", "blob:")), refuse)
    return page


def usable(page: Page, url: str, sign: Locator) -> float:
    """Return how long it takes until a workflow can be chosen, at the best of three times."""
    times: list[float] = []
    for _ in range(3):
        page.goto("about:blank")
        began = time.monotonic()
        page.goto(url, wait_until="commit")
        expect(sign).to_be_visible(timeout=60_000)
        times.append(time.monotonic() - began)
    return round(min(times), 3)


def counted(count: Locator) -> int:
    found = re.search(r"[\d,]+", count.inner_text(timeout=PATIENCE * 1000))
    return int(found[0].replace(",", "")) if found else 0


def followed(count: Locator, events: int) -> tuple[int, float]:
    """Return how many events a page shows of a run that goes on, and after how long: when it shows all, or a minute."""
    began = time.monotonic()
    while (seen := counted(count)) < events and time.monotonic() - began < PATIENCE:
        count.page.wait_for_timeout(250)
    return seen, round(time.monotonic() - began, 1)


def ours(browser: Browser, address: str, events: int) -> Figures:
    figures = weighed(sorted((CHECKOUT / "ui_dist").iterdir()))
    page = opened(browser, address, figures)
    figures.usable = usable(page, f"{address}/", page.locator(".workflows a"))
    page.locator(".workflows a").click()
    page.get_by_label("count").fill(str(events))
    page.get_by_role("button", name="Start run").click()
    page.get_by_role("tab", name="Events").click()
    count = page.locator(".events .count")
    figures.events_seen, figures.seconds_until_then = followed(count, events)
    page.reload()
    expect(page.get_by_role("region", name="Outcome")).to_contain_text("through", timeout=60_000)
    expect(count).to_have_text(f"{events + 1:,}", timeout=60_000)
    figures.events_of_a_finished_run = counted(count)
    page.close()
    return figures


def theirs(browser: Browser, address: str, built: Path, events: int) -> Figures:
    figures = weighed(sorted(built.iterdir()))
    page = opened(browser, address, figures)
    show(page, HTML, built)
    choice = page.get_by_role("combobox")
    figures.usable = usable(page, f"{address}/peers/page", choice)
    choice.click()
    page.get_by_role("option", name="many").click()
    page.get_by_label("Count").fill(str(events))
    page.get_by_role("button", name="Run Workflow").click()
    count = page.get_by_text(re.compile(r"Event Stream \(\d+\)"))
    figures.events_seen, figures.seconds_until_then = followed(count, events)
    page.close()
    again = opened(browser, address, figures)
    show(again, HTML, built)
    again.goto(f"{address}/peers/page")
    again.get_by_text("many", exact=True).first.click(timeout=60_000)
    again.wait_for_timeout(3000)
    stream = again.get_by_text(re.compile(r"Event Stream \(\d+\)"))
    figures.events_of_a_finished_run = counted(stream) if stream.count() else 0
    again.close()
    return figures


def test_beside_the_page_of_the_peer(browser: Browser, address: str, built: Path, long_form: bool) -> None:
    """Smaller, sooner usable, with all events of running and of finished runs, and without other hosts."""
    events = 10_000 if long_form else 1000
    here, there = ours(browser, address, events), theirs(browser, address, built, events)
    for name, value in asdict(here).items():
        print(f"{name.replace('_', ' '):26} {value!s:>24} {asdict(there)[name]!s:>44}")
    assert here.kilobytes < there.kilobytes
    assert here.usable < there.usable
    assert here.other_hosts == set()
    assert here.events_seen == here.events_of_a_finished_run == events + 1
    assert here.seconds_until_then <= there.seconds_until_then

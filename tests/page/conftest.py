"""What the tests in a browser share: the browser, a tab, and servers of all of `page_workflows`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from page.page_workflows import make_server
from page.visitor import CHROMIUM, QUIET, Visitor, served
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright


# No longer than a module: while it lives, an event loop runs in this thread, and no test could run another.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a server."""
    if request.param == "trio":
        pytest.importorskip("trio", reason="trio is not installed")
    with served(make_server(), request.param) as url:
        yield url


SIZE: ViewportSize = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """A tab. To open one costs a browser more than most tests do in it."""
    with browser.new_context() as context:
        context.set_default_timeout(10_000)
        yield context.new_page()


@pytest.fixture
def visitor(tab: Page, address: str) -> Iterator[Visitor]:
    """That tab for that server, as if it were new."""
    tab.set_viewport_size(SIZE)
    tab.emulate_media(color_scheme="light", reduced_motion="no-preference")
    found = Visitor(tab, address)
    yield found
    found.leave()
    assert found.complaints == []


@pytest.fixture
def alone(browser: Browser) -> Iterator[Visitor]:
    """A tab for tests that bring their own server, which may go away."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(15_000)
    found = Visitor(context.new_page(), "")
    yield found
    context.close()
    assert [one for one in found.complaints if "ERR_" not in one] == []

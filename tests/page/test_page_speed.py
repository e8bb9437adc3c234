"""How fast the page is. Nothing else may run beside these tests: `nox` runs them last."""

from __future__ import annotations

import json
import math

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from page.visitor import CHROMIUM, Visitor
from playwright.sync_api import expect

pytestmark = [
    pytest.mark.page,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.parametrize("address", ["asyncio"], indirect=True),
]
NODES = "document.querySelectorAll('*').length"
SCROLL = """(box, at) => new Promise(done => {
    box.scrollTop = at * box.scrollHeight;
    requestAnimationFrame(() => requestAnimationFrame(done));
})"""
USABLE = """() => new Promise(done => {
    const look = () => document.querySelector('.workflows a') ? done(performance.now()) : requestAnimationFrame(look);
    look();
})"""


def test_usable_at_once(visitor: Visitor) -> None:
    """Workflows can be chosen 300 ms after the address was entered, at the best of ten times."""
    times: list[float] = []
    while len(times) < 10 and min(times, default=math.inf) >= 300:
        visitor.go()
        times.append(visitor.page.evaluate(USABLE))
    assert min(times) < 300


def test_usable_on_a_slow_machine(visitor: Visitor) -> None:
    """1.5 s with a quarter of the processor and 10 Mbit a second."""
    session = visitor.page.context.new_cdp_session(visitor.page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    speed = 10_000_000 / 8
    line = {"offline": False, "latency": 20, "downloadThroughput": speed, "uploadThroughput": speed}
    session.send("Network.emulateNetworkConditions", line)
    times: list[float] = []
    for _ in range(3):
        visitor.go()
        times.append(visitor.page.evaluate(USABLE))
    session.detach()  # and with it go the limits
    assert min(times) < 1500


def longest_task(trace: bytes) -> float:
    """Return the most processor time, in milliseconds, that one task of a page took.

    How long a task held the page by the clock says as much of the machine's other work as of the page.
    """
    events = json.loads(trace)["traceEvents"]
    pages = {(one["pid"], one["tid"]) for one in events if one.get("args", {}).get("name") == "CrRendererMain"}
    tasks = [one for one in events if one["name"].endswith("RunTask") and (one["pid"], one["tid"]) in pages]
    assert len(tasks) > 100, "the browser traced nothing"
    return float(max(one.get("tdur", 0) for one in tasks)) / 1000


@pytest.mark.parametrize("view", ["timeline", "events"])
def test_ten_thousand_events(visitor: Visitor, view: str) -> None:
    """All are there, few are drawn, nothing holds the page for long, and the result is falsy."""
    events = view == "events"
    handler_id = visitor.run("many" if events else "crowd", wait=True, count=10_000 if events else 3_400)
    browser = visitor.page.context.browser
    assert browser is not None
    browser.start_tracing(page=visitor.page, categories=["toplevel"])
    visitor.look(handler_id, view)
    expect(visitor.outcome.locator("pre")).to_have_text("0")
    found = visitor.page.locator(f".{view} .count")
    expect(found).to_have_text("10,001" if events else "3,402 executions", timeout=20_000)
    assert visitor.page.evaluate(NODES) < 1500
    for place, words in ((0, "count: 0"), (0.5, "count: 5000"), (1, "result: 0")):
        visitor.page.locator(".scroller:visible").evaluate(SCROLL, place)
        if events:
            expect(visitor.page.get_by_text(words, exact=True)).to_be_attached()
    assert visitor.page.evaluate(NODES) < 1500
    assert 0 < longest_task(browser.stop_tracing()) < 200

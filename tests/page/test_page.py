"""The page in a real browser, served by a real server.

Whatever the journey, a request to another host, an uncaught error, or a line of error in the console
fails it. (Browsers write one for each answer of 400 and more; those are allowed by name where the
journey is about just that answer.)
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from page.page_workflows import WORKFLOWS

from workflow_server.events import HumanResponseEvent
from workflow_server.server import WorkflowServer

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    expect,
    sync_playwright,
)

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

pytestmark = [pytest.mark.page, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The URL of a server with all of `page_workflows`."""
    server = WorkflowServer(shutdown_grace=0.1)
    for name, workflow in WORKFLOWS.items():
        extra = [HumanResponseEvent] if name == "interview" else None
        server.add_workflow(name, workflow(timeout=None), additional_events=extra)
    listening: Future[str] = Future()
    with start_blocking_portal() as portal:
        heard: Callable[[tuple[str, ...]], None] = lambda urls: listening.set_result(urls[0])  # noqa: E731
        serving = portal.start_task_soon(partial(server.serve, host="127.0.0.1", port=0, on_listening=heard))
        either: list[Future[Any]] = [serving, listening]
        wait(either, timeout=20, return_when=FIRST_COMPLETED)
        if serving.done():
            serving.result()
        yield listening.result(timeout=0).rstrip("/")
        serving.cancel()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield launched
        launched.close()


class Visitor:
    """A browser tab on the page, and what must not be seen there."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.complaints: list[str] = []
        self.allowed: list[tuple[str, int]] = []
        page.on("request", self._requested)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))

    def go(self, hash: str = "") -> None:
        self.page.goto(f"{self.address}/{hash}")

    def allow(self, path: str, status: int) -> None:
        """Let the browser note answers of `status` for paths that match the pattern `path`."""
        self.allowed.append((path, status))

    def start(self, workflow: str, text: str | None = None) -> None:
        """Start a run by hand."""
        self.go()
        self.page.get_by_role("link", name=workflow, exact=True).click()
        field = self.page.get_by_label("Input as JSON")
        expect(field).not_to_have_value("")
        if text is not None:
            field.fill(text)
        self.page.get_by_role("button", name="Start run").click()
        expect(self.heading).to_have_text(workflow)
        self.page.wait_for_url("**/#/run/*")

    @property
    def heading(self) -> Locator:
        return self.page.get_by_role("heading", level=1)

    @property
    def badge(self) -> Locator:
        return self.page.locator(".badge")

    @property
    def outcome(self) -> Locator:
        return self.page.get_by_role("region", name="Outcome")

    @property
    def types(self) -> Locator:
        """The types of the events drawn."""
        return self.page.locator(".event .chip")

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:")):
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


@pytest.fixture
def visitor(browser: Browser, address: str) -> Iterator[Visitor]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(10_000)
    found = Visitor(context.new_page(), address)
    yield found
    context.close()
    assert found.complaints == []


def test_the_page_has_a_strict_policy_and_nothing_from_elsewhere(visitor: Visitor) -> None:
    """No script, style or picture may come from another origin or from the page's own text."""
    document = visitor.page.goto(f"{visitor.address}/")
    expect(visitor.page.get_by_role("link", name="greet", exact=True)).to_be_visible()
    assert document is not None
    policy = document.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_a_greeting_shows_its_first_events_and_its_result(visitor: Visitor) -> None:
    """Nothing of a run is lost, however quick it is; the form begins with the schema's defaults."""
    visitor.go("#/new/greet")
    expect(visitor.page.get_by_label("Input as JSON")).to_have_value('{\n  "name": "World"\n}')
    visitor.start("greet", '{"name": "Ada"}')
    expect(visitor.badge).to_have_text("Completed")
    expect(visitor.outcome).to_contain_text("Hello, Ada!")
    expect(visitor.types).to_have_text(["Greeting", "StopEvent"])
    visitor.page.get_by_label("Internal events").check()
    expect(visitor.types.first).to_have_text("StepStateChanged")
    expect(visitor.types.last).to_have_text("StopEvent")
    expect(visitor.page.locator(".event .number").first).to_have_text("Event 0")
    expect(visitor.page.locator("#runs a[aria-current]")).to_contain_text("completed")


def test_an_event_opens_to_its_json(visitor: Visitor) -> None:
    """By mouse and by keys, digit by digit as it was sent."""
    visitor.start("order", '{"customer": {"name": "Ada"}, "articles": ["lamp", "desk"]}')
    expect(visitor.outcome).to_contain_text('"order_id": "A-1043"')
    expect(visitor.outcome).to_contain_text("OrderShipped")
    price = visitor.page.get_by_role("button", name="PriceCalculated")
    price.click()
    expect(price).to_have_attribute("aria-expanded", "true")
    expect(visitor.page.locator(".detail")).to_contain_text('"total": 39.0')
    price.press("Enter")
    expect(visitor.page.locator(".detail")).to_have_count(0)
    price.press("ArrowUp")
    expect(visitor.page.locator(":focus")).to_contain_text("ArticleChecked")


def test_a_finished_run_is_whole_after_a_reload(visitor: Visitor) -> None:
    """Its address is enough to show everything again."""
    visitor.start("greet")
    expect(visitor.outcome).to_contain_text("Hello, World!")
    expect(visitor.types).to_have_text(["Greeting", "StopEvent"])
    visitor.page.reload()
    expect(visitor.outcome).to_contain_text("Hello, World!")
    expect(visitor.page.locator(".stream")).to_have_text("Complete")
    expect(visitor.types).to_have_text(["Greeting", "StopEvent"])


def test_a_question_is_answered(visitor: Visitor) -> None:
    """The banner survives a reload, offers the event that answers, and tells what is wrong with an answer."""
    visitor.allow(r"/events/\w+$", 400)
    visitor.start("approval")
    expect(visitor.badge).to_have_text("Waiting for an answer")
    visitor.page.reload()
    banner = visitor.page.get_by_role("region", name="Open question")
    expect(banner).to_contain_text("Pay this invoice?")
    expect(banner).to_contain_text("1250.0")
    expect(banner.get_by_label("Event type")).to_have_value("ApprovalGiven")
    field = banner.get_by_label("Fields as JSON")
    expect(field).to_have_value(re.compile('"approved": false'))
    field.fill('{"approved": "perhaps"}')
    banner.get_by_role("button", name="Answer").click()
    expect(banner.get_by_role("alert")).to_contain_text("approved")
    expect(field).to_be_focused()
    field.fill('{"approved": true, "comment": "fine"}')
    field.press("Control+Enter")
    expect(banner).to_be_hidden()
    expect(visitor.outcome).to_contain_text('"paid": true')


def test_questions_of_one_step_are_answered_one_after_the_other(visitor: Visitor) -> None:
    """Extras of an untyped question are its words; an event named by `additional_events` answers it."""
    visitor.start("interview")
    banner = visitor.page.get_by_role("region", name="Open question")
    for question, answer in (("What is your name?", "Ada"), ("What is your quest?", "Engines")):
        expect(banner.get_by_role("heading")).to_have_text(question)
        expect(banner.get_by_label("Event type")).to_have_value("HumanResponseEvent")
        banner.get_by_label("Fields as JSON").fill(f'{{"response": "{answer}"}}')
        banner.get_by_role("button", name="Answer").click()
    expect(visitor.outcome).to_contain_text('"Engines"')


def test_bad_input_is_told_where_it_was_typed(visitor: Visitor) -> None:
    """What is no JSON is found here, what does not fit by the server; both stand at the field."""
    visitor.allow("/workflows/order/run-nowait$", 400)
    visitor.go("#/new/order")
    field = visitor.page.get_by_label("Input as JSON")
    expect(field).to_have_value(re.compile('"country": "NL"'))
    problem = visitor.page.get_by_role("main").get_by_role("alert")
    for text, words in (('{"a": ', "not valid JSON"), ("[]", "this is a list"), ('{"articles": 3}', "customer")):
        field.fill(text)
        visitor.page.get_by_role("button", name="Start run").click()
        expect(problem).to_contain_text(words)
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_be_focused()
    assert visitor.page.url.endswith("#/new/order")
    visitor.page.reload()
    expect(field).to_have_value('{"articles": 3}')
    visitor.page.get_by_role("button", name="Reset").click()
    expect(field).to_have_value(re.compile('"country": "NL"'))


def test_a_failed_run_says_why(visitor: Visitor) -> None:
    """The error's text stands there as text, with the step and the kind of error."""
    visitor.allow(r"/handlers/\w+$", 500)
    visitor.start("failing")
    expect(visitor.badge).to_have_text("Failed")
    expect(visitor.outcome).to_contain_text("The price list is <b>empty</b>")
    expect(visitor.outcome).to_contain_text("Step divide raised ValueError")


def test_a_run_is_cancelled_after_a_second_thought(visitor: Visitor) -> None:
    """A first "no" keeps it running."""
    visitor.allow(r"/handlers/\w+$", 500)
    visitor.start("slow")
    expect(visitor.badge).to_have_text("Running")
    expect(visitor.page.locator(".stream")).to_have_text("Live")
    cancel = visitor.page.get_by_role("button", name="Cancel run")
    cancel.click()
    visitor.page.get_by_role("button", name="Keep it running").click()
    expect(visitor.page.get_by_role("dialog")).to_be_hidden()
    expect(visitor.badge).to_have_text("Running")
    cancel.click()
    visitor.page.get_by_role("button", name="Cancel the run").click()
    expect(visitor.badge).to_have_text("Cancelled")
    expect(cancel).to_be_hidden()
    expect(visitor.page.locator("#runs a[aria-current]")).to_contain_text("cancelled")


def test_any_event_can_be_sent(visitor: Visitor) -> None:
    """The dialog counts what it sent and stays open until the run ends."""
    visitor.start("approval")
    visitor.page.get_by_role("button", name="Send event").click()
    dialog = visitor.page.get_by_role("dialog")
    dialog.get_by_label("Event type").select_option("ApprovalAsked")
    dialog.get_by_label("Fields as JSON").fill('{"prompt": "Again?", "amount": 1}')
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_contain_text("1 sent.")
    dialog.get_by_label("Event type").select_option("ApprovalGiven")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_be_hidden()
    expect(visitor.outcome).to_contain_text('"paid": false')


def test_ten_thousand_events_stay_light(visitor: Visitor) -> None:
    """All are there, few are drawn, and the result is falsy."""
    visitor.start("many", '{"count": 10000}')
    expect(visitor.page.locator(".bar .count")).to_have_text("10,001", timeout=30_000)
    expect(visitor.outcome.locator("pre")).to_have_text("0")
    assert visitor.page.evaluate("document.querySelectorAll('*').length") < 1500
    log = visitor.page.locator(".log")
    log.evaluate("log => { log.scrollTop = 0 }")
    expect(visitor.page.locator(".event .summary").first).to_have_text("count: 0")
    log.evaluate("log => { log.scrollTop = log.scrollHeight / 2 }")
    expect(visitor.page.get_by_text("count: 5000", exact=True)).to_be_attached()
    log.evaluate("log => { log.scrollTop = log.scrollHeight }")
    expect(visitor.page.locator(".event .chip").last).to_have_text("StopEvent")


def test_a_stream_that_breaks_is_taken_up_where_it_was(visitor: Visitor) -> None:
    """Without a gap and without a double."""
    visitor.page.add_init_script("const Real = EventSource; window.EventSource = class extends Real "
                                 "{ constructor(url) { super(url); window.source = this } }")  # fmt: skip
    visitor.start("slow")
    rows = visitor.page.locator(".event")
    expect(rows.nth(1)).to_be_visible()
    visitor.page.evaluate("source.close(); source.onerror()")
    expect(visitor.page.locator(".stream")).to_have_text("Reconnecting…")
    expect(visitor.page.locator(".stream")).to_have_text("Live")
    expect(rows.nth(4)).to_be_visible()
    counts = visitor.page.locator(".event .summary").all_text_contents()
    assert counts == [f"count: {number}" for number in range(len(counts))]


def test_a_run_that_is_not_there(visitor: Visitor) -> None:
    visitor.allow("/handlers/nobody$", 404)
    visitor.go("#/run/nobody")
    expect(visitor.heading).to_have_text("There is no such run")


def test_a_server_that_is_away_is_told_and_found_again(visitor: Visitor) -> None:
    """The page says so, and goes on by itself once there is an answer."""
    visitor.go()
    expect(visitor.page.get_by_role("link", name="greet", exact=True)).to_be_visible()
    visitor.page.context.set_offline(True)
    visitor.page.evaluate("location.hash = '#/new/slow'")
    expect(visitor.page.get_by_text("The server can't be reached.")).to_be_visible()
    visitor.page.context.set_offline(False)
    expect(visitor.page.get_by_text("The server can't be reached.")).to_be_hidden()
    expect(visitor.page.get_by_label("Input as JSON")).to_be_visible()
    visitor.complaints = [one for one in visitor.complaints if "ERR_INTERNET_DISCONNECTED" not in one]


@pytest.mark.parametrize("hash", ["", "#/new/order", "run"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_never_scrolls_sideways(visitor: Visitor, hash: str, scheme: str) -> None:
    """At 390 pixels each view fits, an open event with long JSON included."""
    visitor.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    if hash == "run":
        visitor.start("greet", f'{{"name": "{"x" * 400}"}}')
        visitor.page.locator(".event").first.click()
        expect(visitor.page.locator(".detail")).to_be_visible()
        expect(visitor.page.get_by_role("link", name="All runs")).to_be_visible()
    else:
        visitor.go(hash)
    expect(visitor.page.locator(".hint:visible", has_text="Loading")).to_have_count(0)
    wide = "[document.documentElement, ...document.querySelectorAll('main, .side, .panes')]"
    assert visitor.page.evaluate(f"{wide}.every(one => one.scrollWidth <= one.clientWidth)")

"""What the page shows of runs, in a real browser: see test_page.py."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from page.visitor import CHROMIUM, Visitor
from playwright.sync_api import expect

pytestmark = [
    pytest.mark.page,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


def test_an_event_shows_its_json_digit_by_digit(visitor: Visitor) -> None:
    """By mouse and by keys; the address leads there again."""
    visitor.look(visitor.run("order", wait=True, customer={"name": "Ada"}, articles=["tea", "milk", "jam"]), "events")
    visitor.page.get_by_role("button", name=re.compile("PriceCalculated")).click()
    detail = visitor.inspector.get_by_label(re.compile("JSON of event"))
    expect(detail).to_contain_text('"total": 58.5')
    visitor.page.keyboard.press("k")
    visitor.page.keyboard.press("Enter")
    expect(detail).to_contain_text('"jam"')
    assert "view=events&seq=" in visitor.page.url
    visitor.page.reload()
    expect(detail).to_contain_text('"jam"')
    expect(detail).to_contain_text("timestamp")
    expect(visitor.outcome).to_contain_text("OrderShipped")


def test_a_reload_loses_nothing(visitor: Visitor) -> None:
    """Of a finished run neither its events nor its executions, of a running one none either."""
    visitor.look(visitor.run("report", wait=True, pages=4), "events")
    expect(visitor.types).to_have_count(5)
    visitor.page.reload()
    expect(visitor.types).to_have_count(5)
    visitor.look(visitor.run("slow"), "events")
    expect(visitor.types.nth(3)).to_be_visible()
    visitor.page.reload()
    expect(visitor.page.locator(".event .summary").nth(3)).to_have_text("count: 3")
    expect(visitor.stream).to_have_text("Live")


def test_parallel_work_with_retries(visitor: Visitor) -> None:
    """A row for each execution, queued, failed and repeated ones among them; the inspector tells each attempt."""
    visitor.look(visitor.run("report", wait=True, pages=7))
    draw = visitor.page.locator(".exec", has=visitor.page.get_by_text("draw", exact=True))
    expect(draw).to_have_count(7)
    expect(visitor.page.locator(".exec .queued")).to_have_count(4)
    expect(visitor.page.locator(".exec .stretch.failed")).to_have_count(2)
    visitor.page.locator(".exec", has=visitor.page.locator(".failed")).first.click()
    expect(visitor.inspector).to_contain_text("Attempt 1")
    expect(visitor.inspector).to_contain_text("ConnectionError: The printer did not answer for page 3")
    expect(visitor.inspector).to_contain_text("Draw one page")
    visitor.inspector.get_by_role("button", name=re.compile("PageDrawn")).click()
    expect(visitor.inspector).to_contain_text("Published by")
    visitor.tab("State").click()
    expect(visitor.inspector).to_contain_text("drawn")
    visitor.tab("Input").click()
    expect(visitor.inspector).to_contain_text('"pages": 7')


def test_the_graph_tells_what_ran_and_filters(visitor: Visitor) -> None:
    """A click on a step shows its executions and events only."""
    visitor.look(visitor.run("report", wait=True, pages=5), "graph")
    node = visitor.page.get_by_role("button", name=re.compile("^Step draw"))
    expect(node).to_have_attribute("aria-label", "Step draw, 5 times, 1 retried")
    expect(visitor.page.locator(".edge.back")).to_have_count(1)
    node.click()
    visitor.tab("Timeline").click()
    expect(visitor.bars).to_have_count(5)
    visitor.tab("Events").click()
    expect(visitor.types).to_have_text(["PageDrawn"] * 5)
    visitor.page.get_by_title("Show everything again").click()
    expect(visitor.types).to_have_count(6)
    visitor.page.get_by_label("Filter events").fill('"number":4')
    expect(visitor.types).to_have_count(1)


def test_a_failed_run_says_why(visitor: Visitor) -> None:
    """The error's text stands there as text, with the step and the kind of error."""
    visitor.look(visitor.run("failing", wait=True))
    expect(visitor.badge).to_have_text("Failed")
    expect(visitor.outcome).to_contain_text("The price list is <b>empty</b>")
    expect(visitor.outcome).to_contain_text("Step divide raised ValueError")


def test_a_run_as_text_and_as_a_file(visitor: Visitor) -> None:
    """curl, Python and JSON to copy, also without encryption; all events as NDJSON."""
    handler_id = visitor.run("greet", wait=True, name="Ada")
    # This address, unlike that of the machine itself, is none that browsers trust as if it were encrypted.
    visitor.address = visitor.address.replace("127.0.0.1", "0.0.0.0")
    visitor.look(handler_id)
    assert not visitor.page.evaluate("isSecureContext")
    visitor.tab("Input").click()
    visitor.button("curl").click()
    copied = visitor.inspector.locator("pre")
    expect(copied).to_contain_text(f"curl -X POST '{visitor.address}/workflows/greet/run-nowait'")
    visitor.button("Python").click()
    expect(copied).to_contain_text("WorkflowClient(base_url=")
    visitor.button("Copy").click()
    expect(visitor.button("Copied")).to_be_visible()
    editor = visitor.page.context.new_page()
    editor.set_content("<textarea></textarea>")
    editor.locator("textarea").press("Control+V")
    expect(editor.locator("textarea")).to_have_value(copied.inner_text())
    editor.close()
    visitor.tab("Events").click()
    with visitor.page.expect_download() as waiting:
        visitor.button("Download").click()
    lines = waiting.value.path().read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["sequence"] for line in lines] == list(range(len(lines)))
    assert waiting.value.suggested_filename == f"{handler_id}.ndjson"
    visitor.button("Delete").click()
    visitor.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(visitor.heading).to_have_text("Start a run")
    expect(visitor.page.get_by_text(handler_id)).to_be_hidden()


def test_two_tabs_show_one_run(visitor: Visitor) -> None:
    """What is answered in one is answered in the other."""
    handler_id = visitor.run("approval")
    visitor.look(handler_id)
    other = Visitor(visitor.page.context.new_page(), visitor.address)
    other.look(handler_id)
    for tab in (visitor, other):
        expect(tab.question).to_be_visible()
    other.button("Answer").click()
    for tab in (other, visitor):
        tab.page.bring_to_front()
        expect(tab.question).to_be_hidden()
        expect(tab.outcome).to_contain_text('"paid": false')
    assert other.complaints == []


def test_a_run_that_is_not_there(visitor: Visitor) -> None:
    visitor.allow("/handlers/nobody", 404)
    visitor.go("#/run/nobody")
    expect(visitor.heading).to_have_text("There is no such run")


@pytest.mark.parametrize("hash", ["", "#/new/order", "timeline", "graph", "events"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_never_scrolls_sideways(visitor: Visitor, hash: str, scheme: Any) -> None:
    """At 390 pixels each pane fits, an event with long JSON included; the panes are tabs."""
    visitor.page.emulate_media(color_scheme=scheme)
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    wide = "[document.documentElement, ...document.querySelectorAll('main, .side, .panes, .inspected')]"
    if hash in ("", "#/new/order"):
        visitor.go(hash)
    else:
        visitor.look(visitor.run("greet", wait=True, name="x" * 400), hash)
        expect(visitor.badge).to_have_text("Completed")
    expect(visitor.page.locator(".hint:visible", has_text="Loading")).to_have_count(0)
    assert visitor.page.evaluate(f"{wide}.every(one => one.scrollWidth <= one.clientWidth)")
    for pane in ("Runs", "Details"):
        if not visitor.button(pane).is_visible():
            continue
        visitor.button(pane).click()
        assert visitor.page.evaluate(f"{wide}.every(one => one.scrollWidth <= one.clientWidth)")

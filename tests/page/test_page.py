"""Runs are started, answered and ended on the page, in a real browser, with a real server, on asyncio and on trio.

Whatever the journey, a request to another host, an uncaught error, or a line of error in the console fails it. More
journeys are in files of their own, so that several browsers share the time.
"""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from page.visitor import CHROMIUM, Visitor
from playwright.sync_api import expect

pytestmark = [pytest.mark.page, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]


def test_the_page_has_a_strict_policy_and_nothing_from_elsewhere(visitor: Visitor) -> None:
    """No script, style or picture may come from another origin or from the page's own text."""
    document = visitor.page.goto(f"{visitor.address}/")
    expect(visitor.workflow("greet")).to_be_visible()
    assert document is not None
    policy = document.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_a_greeting_shows_its_first_events_and_its_result(visitor: Visitor) -> None:
    """Nothing of a run is lost, however quick it is; the form begins with the schema's defaults."""
    visitor.go()
    visitor.workflow("greet").click()
    field = visitor.page.get_by_label("name", exact=True)
    expect(field).to_have_value("World")
    field.fill("Ada")
    field.press("Enter")
    expect(visitor.badge).to_have_text("Completed")
    expect(visitor.outcome).to_contain_text("Hello, Ada!")
    expect(visitor.bars).to_have_count(2)
    expect(visitor.bars.first).to_contain_text("compose")
    visitor.tab("Events").click()
    expect(visitor.types).to_have_text(["Greeting", "StopEvent"])
    visitor.page.get_by_label("Internal events").check()
    expect(visitor.types.first).to_have_text("StepStateChanged")
    expect(visitor.types.last).to_have_text("StopEvent")
    expect(visitor.page.locator(".event .number").first).to_have_text("Event 0")
    expect(visitor.page.locator("#runs a[aria-current]")).to_contain_text("Completed")


def test_a_question_returned_by_a_step_survives_a_reload(visitor: Visitor) -> None:
    """Its prompt, its fields, and a form made from the answer's schema."""
    visitor.look(visitor.run("approval"))
    expect(visitor.question.get_by_role("heading")).to_have_text("Pay this invoice?")
    expect(visitor.question).to_contain_text("1250.0")
    expect(visitor.badge).to_have_text("Waiting")
    visitor.page.reload()
    visitor.question.get_by_label("approved").check()
    visitor.question.get_by_label("comment").fill("Fine")
    visitor.button("Answer").click()
    expect(visitor.question).to_be_hidden()
    expect(visitor.outcome).to_contain_text('"paid": true')
    expect(visitor.outcome).to_contain_text("Fine")


def test_questions_of_a_waiting_step_follow_one_another(visitor: Visitor) -> None:
    """Each has a form of its own, with the field that people are expected to give."""
    visitor.look(visitor.run("interview"))
    for question, answer in (("What is your name?", "Ada"), ("What is your quest?", "Engines")):
        expect(visitor.question.get_by_role("heading")).to_have_text(question)
        visitor.question.get_by_label("Value in fields").fill(answer)
        visitor.button("Answer").click()
    expect(visitor.outcome).to_contain_text('"Engines"')
    expect(visitor.page.locator(".exec .waiting")).to_have_count(2)


def test_a_run_is_cancelled_after_a_second_thought(visitor: Visitor) -> None:
    """A first "no" keeps it running."""
    visitor.look(visitor.run("slow"))
    expect(visitor.stream).to_have_text("Live")
    visitor.button("Cancel run").click()
    visitor.button("Keep it running").click()
    expect(visitor.page.get_by_role("dialog")).to_be_hidden()
    expect(visitor.badge).to_have_text("Running")
    visitor.button("Cancel run").click()
    visitor.button("Cancel the run").click()
    expect(visitor.badge).to_have_text("Cancelled")
    expect(visitor.button("Cancel run")).to_be_hidden()
    expect(visitor.page.locator("#runs a[aria-current]")).to_contain_text("Cancelled")
    expect(visitor.page.locator(".exec .cut")).to_have_count(1)


def test_a_form_for_every_kind_of_field(visitor: Visitor) -> None:
    """Nested, choice, list, optional, default and number fields; the server's errors stand at their fields."""
    visitor.allow("/workflows/order/run-nowait$", 400)
    visitor.go("#/new/order")
    page = visitor.page
    expect(page.get_by_label("country")).to_have_value('"NL"')
    page.get_by_label("country").select_option("FR")
    page.get_by_label("articles 1").fill("tea")
    page.get_by_role("button", name="Add to articles").click()
    page.get_by_label("articles 2").fill("milk")
    page.get_by_label("priority", exact=True).fill("7")
    visitor.button("Start run").click()
    expect(page.get_by_label("priority", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("At most 5.")).to_be_visible()
    page.get_by_label("priority", exact=True).fill("2")
    page.get_by_label("name", exact=True).fill("A")
    visitor.button("Start run").click()
    expect(page.get_by_label("name", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("name", exact=True)).to_be_focused()
    expect(page.get_by_text("at least 2 characters")).to_be_visible()
    page.get_by_label("name", exact=True).fill("Ada")
    page.get_by_label("Kind of note").select_option("text")
    page.get_by_label("note", exact=True).fill("Leave it with the neighbours")
    visitor.button("JSON").click()
    typed = json.loads(page.get_by_label("Fields as JSON").input_value())
    assert typed == {
        "customer": {"name": "Ada", "country": "FR"},
        "articles": ["tea", "milk"],
        "express": False,
        "priority": 2,
        "note": "Leave it with the neighbours",
    }
    page.get_by_label("Fields as JSON").fill('{"a": ')
    visitor.button("Start run").click()
    expect(page.get_by_role("alert").filter(has_text="not valid JSON")).to_be_visible()
    page.get_by_label("Fields as JSON").fill(json.dumps({**typed, "priority": 12345678901234567890}))
    visitor.button("Form").click()
    expect(page.get_by_label("priority", exact=True)).to_have_value("12345678901234567890")
    page.get_by_label("priority", exact=True).fill("3")
    page.reload()
    expect(page.get_by_label("note", exact=True)).to_have_value("Leave it with the neighbours")
    visitor.button("Start run").click()
    expect(visitor.outcome).to_contain_text("A-1043")
    visitor.tab("Input").click()
    expect(visitor.inspector).to_contain_text('"priority": 3')


def test_run_again_edit_and_continue(visitor: Visitor) -> None:
    """The same input, another one, and the same handler with its state."""
    first = visitor.run("report", wait=True, pages=3)
    visitor.look(first)
    expect(visitor.outcome).to_contain_text("3 pages")
    visitor.page.keyboard.press("r")
    visitor.page.wait_for_url(re.compile(f"#/run/(?!{first})"))
    expect(visitor.outcome).to_contain_text("3 pages")
    visitor.button("Edit and run").click()
    expect(visitor.page.get_by_role("spinbutton", name="pages")).to_have_value("3")
    visitor.page.get_by_role("spinbutton", name="pages").fill("2")
    visitor.button("Start run").click()
    expect(visitor.outcome).to_contain_text("2 pages")
    visitor.look(first)
    visitor.button("Continue").click()
    expect(visitor.page.get_by_text(f"Continues handler {first}")).to_be_visible()
    visitor.page.get_by_role("spinbutton", name="pages").fill("5")
    visitor.button("Continue").click()
    visitor.page.wait_for_url(f"**/#/run/{first}")
    expect(visitor.outcome).to_contain_text("5 pages")
    visitor.page.get_by_role("link", name="New run").click()
    visitor.workflow("report").click()
    visitor.page.get_by_label("Earlier inputs").select_option('{"pages":2}')
    expect(visitor.page.get_by_role("spinbutton", name="pages")).to_have_value("2")


def test_any_event_can_be_sent(visitor: Visitor) -> None:
    """The dialog counts what it sent and stays open until the run ends."""
    visitor.look(visitor.run("approval"))
    expect(visitor.question).to_be_visible()
    visitor.button("Send event").click()
    dialog = visitor.page.get_by_role("dialog")
    dialog.get_by_label("Event type").select_option("ApprovalAsked")
    dialog.get_by_label("prompt").fill("Again?")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_contain_text("1 sent.")
    dialog.get_by_label("Event type").select_option("ApprovalGiven")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_be_hidden()
    expect(visitor.outcome).to_contain_text('"paid": false')


def test_the_keyboard_is_enough(visitor: Visitor) -> None:
    """Start, look around, answer, come back, without a mouse."""
    page, press = visitor.page, visitor.page.keyboard.press
    visitor.go()
    expect(visitor.workflow("approval")).to_be_visible()
    visitor.workflow("approval").focus()
    press("Enter")
    expect(visitor.button("Start run")).to_be_visible()
    visitor.button("Start run").focus()
    press("Enter")
    expect(visitor.question).to_be_visible()
    expect(visitor.heading).to_be_focused()
    press("3")
    expect(visitor.tab("Events")).to_have_attribute("aria-selected", "true")
    press("j")
    expect(page.locator(".event").first).to_be_focused()
    press("Enter")
    expect(visitor.inspector).to_contain_text("Pay this invoice?")
    press("2")
    expect(page.locator(".node").first).to_be_visible()
    press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Search the runs")
    press("Escape")
    press("x")
    expect(visitor.button("Cancel the run")).to_be_visible()
    press("Escape")
    press("/")
    expect(page.get_by_label("Search runs by id")).to_be_focused()
    page.get_by_role("button", name="New run").or_(page.get_by_role("link", name="New run")).focus()
    press("j")
    press("Enter")
    expect(page.locator("#runs a[aria-current]")).to_have_count(1)
    press("n")
    expect(visitor.heading).to_have_text("Start a run")

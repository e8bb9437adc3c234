"""The page in a real browser, served by a real server, on asyncio and on trio.

Whatever the journey, a request to another host, an uncaught error, or a line of error in the console fails it.
"""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests_support.served import serving
from workflow_server import SqliteWorkflowStore

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from page.page_workflows import make_server
from page.visitor import CHROMIUM, Visitor, served
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
    visitor.inspector.get_by_text("As it was sent").click()
    expect(visitor.inspector.get_by_label("The whole envelope")).to_contain_text("timestamp")
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


def test_a_thousand_runs_are_searched_and_filtered(alone: Visitor) -> None:
    """The list holds a page of them; more come when asked for, by status, by workflow, by the beginning of the id."""
    with served(make_server()) as url:
        alone.address = url
        with httpx.Client(base_url=url, timeout=30) as client:
            for number in range(1000):
                workflow = "failing" if number % 100 == 0 else "greet"
                client.post(f"/workflows/{workflow}/run-nowait", json={"handler_id": f"run-{number:04}"})
        alone.go()
        expect(alone.runs).to_have_count(50)
        expect(alone.runs.first).to_contain_text("run-0999")
        alone.button("Show older runs").click()
        expect(alone.runs).to_have_count(100)
        alone.page.get_by_label("Status").select_option("Failed")
        expect(alone.runs).to_have_count(10)
        alone.page.get_by_label("Status").select_option("All statuses")
        alone.page.get_by_label("Workflow", exact=True).select_option("greet")
        alone.page.get_by_label("Search runs by id").fill("run-01")
        expect(alone.runs).to_have_count(50)
        alone.button("Show older runs").click()
        expect(alone.runs).to_have_count(99)
        alone.page.get_by_label("Search runs by id").fill("run-0123")
        expect(alone.runs).to_have_count(1)
        alone.runs.first.click()
        expect(alone.outcome).to_contain_text("Hello, World!")
        alone.page.get_by_label("Search runs by id").fill("nothing")
        expect(alone.page.get_by_text("No run matches.")).to_be_visible()


def test_a_failed_run_says_why(visitor: Visitor) -> None:
    """The error's text stands there as text, with the step and the kind of error."""
    visitor.look(visitor.run("failing", wait=True))
    expect(visitor.badge).to_have_text("Failed")
    expect(visitor.outcome).to_contain_text("The price list is <b>empty</b>")
    expect(visitor.outcome).to_contain_text("Step divide raised ValueError")


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


def test_a_run_as_text_and_as_a_file(visitor: Visitor) -> None:
    """curl, Python and JSON to copy; all events as NDJSON; and in the end it is deleted."""
    handler_id = visitor.run("greet", wait=True, name="Ada")
    visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.look(handler_id)
    visitor.tab("Input").click()
    visitor.button("curl").click()
    copied = visitor.inspector.locator("pre")
    expect(copied).to_contain_text(f"curl -X POST '{visitor.address}/workflows/greet/run-nowait'")
    visitor.button("Python").click()
    expect(copied).to_contain_text("WorkflowClient(base_url=")
    visitor.button("Copy").click()
    expect(visitor.button("Copied")).to_be_visible()
    assert visitor.page.evaluate("navigator.clipboard.readText()") == copied.inner_text()
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


def test_a_stream_that_breaks_is_taken_up_where_it_was(visitor: Visitor) -> None:
    """Without a gap and without a double."""
    visitor.page.add_init_script("const Real = EventSource; window.EventSource = class extends Real "
                                 "{ constructor(url) { super(url); window.source = this } }")  # fmt: skip
    visitor.look(visitor.run("slow"), "events")
    rows = visitor.page.locator(".event")
    expect(rows.nth(1)).to_be_visible()
    visitor.page.evaluate("source.close(); source.onerror()")
    expect(visitor.stream).to_have_text("Reconnecting…")
    expect(visitor.stream).to_have_text("Live")
    expect(rows.nth(4)).to_be_visible()
    counts = visitor.page.locator(".event .summary").all_text_contents()
    assert counts == [f"count: {number}" for number in range(len(counts))]


def test_a_run_that_is_not_there(visitor: Visitor) -> None:
    visitor.allow("/handlers/nobody", 404)
    visitor.go("#/run/nobody")
    expect(visitor.heading).to_have_text("There is no such run")


def test_a_server_that_is_away_is_told_and_found_again(visitor: Visitor) -> None:
    """The page says so, and goes on by itself once there is an answer."""
    visitor.go()
    expect(visitor.workflow("greet")).to_be_visible()
    visitor.page.context.set_offline(True)
    visitor.page.evaluate("location.hash = '#/new/slow'")
    expect(visitor.page.get_by_text("The server can't be reached.")).to_be_visible()
    visitor.page.context.set_offline(False)
    expect(visitor.page.get_by_text("The server can't be reached.")).to_be_hidden()
    expect(visitor.button("Start run")).to_be_visible()
    visitor.complaints = [one for one in visitor.complaints if "ERR_INTERNET_DISCONNECTED" not in one]


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


@pytest.mark.parametrize("address", ["asyncio"], indirect=True)
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


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_question_is_answered_after_a_restart(alone: Visitor, backend: str, tmp_path: Path) -> None:
    """The tab stays open; the server goes and comes back at the same place with the same database."""
    with served(make_server(workflow_store=SqliteWorkflowStore(db_path=tmp_path / "runs.db")), backend) as url:
        alone.address = url
        handler_id = alone.run("interview")
        alone.look(handler_id)
        expect(alone.question.get_by_role("heading")).to_have_text("What is your name?")
    expect(alone.page.get_by_text("The server can't be reached.")).to_be_visible()
    again = make_server(workflow_store=SqliteWorkflowStore(db_path=tmp_path / "runs.db"))
    with served(again, backend, int(url.rpartition(":")[2])):
        expect(alone.page.get_by_text("The server can't be reached.")).to_be_hidden()
        for question, answer in (("What is your name?", "Ada"), ("What is your quest?", "Engines")):
            expect(alone.question.get_by_role("heading")).to_have_text(question)
            alone.question.get_by_label("Value in fields").fill(answer)
            alone.button("Answer").click()
        expect(alone.outcome).to_contain_text('"Engines"')


KILLED = """
import anyio
from workflow_server import Context, SqliteWorkflowStore, Workflow, step
from workflow_server.events import Event, StartEvent, StopEvent
from workflow_server.server import WorkflowServer

class Tick(Event):
    count: int

class Steady(Workflow):
    @step
    async def tick(self, ctx: Context, ev: StartEvent) -> StopEvent:
        for count in range(await ctx.store.get("count", default=0), 25):
            ctx.write_event_to_stream(Tick(count=count))
            await ctx.store.set("count", count + 1)
            await anyio.sleep(0.05)
        return StopEvent(result="through")

server = WorkflowServer(workflow_store=SqliteWorkflowStore(db_path="runs.db"))
server.add_workflow("steady", Steady())
"""


def test_a_killed_server_comes_back(alone: Visitor, tmp_path: Path) -> None:
    """The run goes on where it was, in the same tab: every event once, the execution that was cut and the new one."""
    program = tmp_path / "steady.py"
    program.write_text(KILLED)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    killed = pytest.raises(AssertionError)  # `serving` complains of a server that did not end by itself
    with killed, serving(program, "--port", port, cwd=tmp_path) as server:
        alone.address = server.url
        alone.look(alone.run("steady"), "events")
        expect(alone.types.nth(4)).to_be_visible()
        server.process.kill()
        server.process.wait(timeout=10)
    with serving(program, "--port", port, cwd=tmp_path):
        expect(alone.outcome).to_contain_text("through", timeout=20_000)
        counts = alone.page.locator(".event .summary").all_text_contents()
        assert counts[:-1] == [f"count: {count}" for count in range(25)]
        alone.tab("Timeline").click()
        expect(alone.page.locator(".exec .stretch")).to_have_count(2)
        expect(alone.page.locator(".exec .cut")).to_have_count(1)

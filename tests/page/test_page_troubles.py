"""The page and servers that go away, come back, or have done a lot, in a real browser: see test_page.py."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from tests_support.served import serving
from workflow_server import SqliteWorkflowStore

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from page.page_workflows import make_server
from page.visitor import CHROMIUM, Visitor, served
from playwright.sync_api import expect

pytestmark = [pytest.mark.page, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]


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

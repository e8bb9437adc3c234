"""The debugger page of llama-agents-server, as npm has it, in a real browser, with our server behind it."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests_support.served import CHECKOUT, Served, serving

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from page.visitor import CHROMIUM, QUIET
from playwright.sync_api import Page, expect, sync_playwright

PACKAGE = "@llamaindex/workflow-debugger@0.2.42"
"""The one that llama-agents-server 0.8 loads."""

pytestmark = [pytest.mark.neighbours, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]

HTML = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>workflow-debugger</title>
<script type="module" src="/peers/app.js"></script><link rel="stylesheet" href="/peers/app.css"></head>
<body><div id="root"></div></body></html>"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the page's script and style."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("npm")
    done = subprocess.run(
        [npm, "pack", PACKAGE, "--silent"], cwd=folder, capture_output=True, text=True, timeout=180, check=False
    )
    if done.returncode:
        pytest.skip(f"{PACKAGE} is not to be had: {done.stderr.strip()[-200:]}")
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / "package" / "dist"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    office = CHECKOUT / "tests" / "interop" / "programs"
    with serving(office / "office.py", cwd=office) as server:
        yield server


@pytest.fixture
def tab(server: Served, built: Path) -> Iterator[Page]:
    """A tab in which the server's own origin serves the other page; everything else goes to the server."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page()
        # Its typeface comes from elsewhere; the page does without.
        page.route(lambda url: not url.startswith(server.url), lambda route: route.abort())
        show(page, HTML, built)
        page.goto(f"{server.url}/peers/page")
        yield page
        browser.close()


def show(page: Page, html: str, built: Path) -> None:
    """Let the server's own origin serve the other page, for this tab."""
    _serve(page, "page", html, "text/html")
    _serve(page, "app.js", (built / "app.js").read_text(encoding="utf-8"), "text/javascript")
    _serve(page, "app.css", (built / "app.css").read_text(encoding="utf-8"), "text/css")


def _serve(page: Page, name: str, text: str, kind: str) -> None:
    page.route(f"**/peers/{name}", lambda route: route.fulfill(body=text, content_type=kind))


def started(tab: Page, server: Served, workflow: str, **fields: str) -> str:
    """Start a workflow by hand and return its handler's id."""
    tab.get_by_role("combobox").click()
    expect(tab.get_by_role("option")).to_have_text(server.ask("GET", "/workflows").json["workflows"])
    tab.get_by_role("option", name=workflow).click()
    for label, value in fields.items():
        tab.get_by_label(label).fill(value)
    with tab.expect_response("**/run-nowait") as answer:
        tab.get_by_role("button", name="Run Workflow").click()
    return str(answer.value.json()["handler_id"])


def test_it_starts_a_run_draws_it_and_shows_how_it_ended(tab: Page, server: Served) -> None:
    handler_id = started(tab, server, "ship", Item="lamp", Pieces="2")
    expect(tab.get_by_text("completed", exact=True)).to_be_visible(timeout=20_000)
    expect(tab.get_by_role("group", name="Shipped", exact=False).first).to_be_visible()
    assert server.finished(handler_id)["result"]["value"] == {"item": "lamp", "pieces": 2}


def test_it_shows_events_as_they_come(tab: Page, server: Served) -> None:
    """That page follows from the moment when it begins to look."""
    with tab.expect_response("**/events/**"):
        handler_id = started(tab, server, "wait")
    expect(tab.get_by_text("running", exact=True)).to_be_visible(timeout=20_000)
    server.seen(handler_id, "ApprovalNeeded")
    server.ask("POST", f"/events/{handler_id}", {"event": {"type": "Approval", "value": {"approved": True}}})
    expect(tab.get_by_text("completed", exact=True)).to_be_visible(timeout=20_000)
    # What its drawing learned from the stream: which event went into the step, and which one came out.
    expect(tab.locator(".react-flow__node", has_text="wait")).to_contain_text("StopEvent", timeout=20_000)

"""What the page may cost: bytes, and nobody's access to it. What it may take of time: test_page_speed.py."""

from __future__ import annotations

import gzip
import os
import re
import socket
from contextlib import asynccontextmanager
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from anyio.from_thread import start_blocking_portal
from starlette.applications import Starlette
from starlette.routing import Mount

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from page.page_workflows import make_server
from page.visitor import CHROMIUM, Visitor
from playwright.sync_api import expect

from tests_support.served import CHECKOUT, until

pytestmark = [pytest.mark.page, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]
ONE_LOOP = pytest.mark.parametrize("address", ["asyncio"], indirect=True)


def test_bytes() -> None:
    """All files of the page together, comments included, as they are and compressed as one."""
    content = b"".join(path.read_bytes() for path in sorted((CHECKOUT / "ui_dist").iterdir()))
    assert len(content) <= 120 * 1024
    assert len(gzip.compress(content, 9, mtime=0)) <= 35 * 1024


def axe() -> str:
    """Return the source of axe-core."""
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    return resources.files(package).joinpath("axe.min.js").read_text(encoding="utf-8")


@ONE_LOOP
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visitor: Visitor, scheme: Any) -> None:
    """On the start page, in a form, and in every view of a run."""
    source = axe()
    visitor.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    report = visitor.run("report", wait=True, pages=4)
    failing = visitor.run("failing", wait=True)
    approval = visitor.run("approval")
    running = visitor.run("slow")
    views = [f"#/run/{report}{view}" for view in ("", "?view=graph", "?view=events&seq=3", "?seq=7")]
    for hash in ("", "#/new/order", *views, f"#/run/{failing}", f"#/run/{approval}", f"#/run/{running}?view=graph"):
        visitor.page.goto("about:blank")
        visitor.go(hash)
        expect(visitor.heading).to_be_visible()
        expect(visitor.page.locator(".hint:visible", has_text="Loading")).to_have_count(0)
        visitor.page.evaluate(source)
        found = visitor.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        serious = [
            (one["id"], [(node["target"], node["failureSummary"]) for node in one["nodes"][:3]])
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == [], hash
    visitor.complaints.clear()  # axe itself loads what it looks at


def test_under_a_prefix(alone: Visitor) -> None:
    """Mounted in another application, every request stays below the prefix."""
    server = make_server()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> Any:
        async with server.running():
            yield

    app = Starlette(routes=[Mount("/deep/down", app=server.app)], lifespan=lifespan)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        hosted = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        with start_blocking_portal() as portal:
            serving = portal.start_task_soon(partial(hosted.serve, sockets=[bound]))
            alone.address = f"http://127.0.0.1:{bound.getsockname()[1]}/deep/down"
            until(lambda: hosted.started)
            alone.go()
            alone.workflow("greet").click()
            alone.button("Start run").click()
            expect(alone.outcome).to_contain_text("Hello, World!")
            alone.tab("Input").click()
            expect(alone.inspector).to_contain_text("World")
            alone.page.goto("about:blank")  # or its stream would hold the server
            hosted.should_exit = True
            serving.result(timeout=20)


PICTURES = CHECKOUT / "docs"


@ONE_LOOP
def test_pictures_for_the_documentation(visitor: Visitor, tmp_path: Path) -> None:
    """They can be taken; with `PICTURES=1` in the environment they replace those in `docs/`."""
    folder = PICTURES if os.environ.get("PICTURES") else tmp_path
    visitor.page.set_viewport_size({"width": 1200, "height": 720})
    for workflow, fields in (
        ("greet", {"name": "Ada"}),
        ("order", {"customer": {"name": "Ada"}, "articles": ["tea"]}),
        ("failing", {}),
    ):
        visitor.run(workflow, wait=True, **fields)
    question, report = visitor.run("approval"), visitor.run("report", wait=True, pages=7)
    visitor.look(report)
    visitor.page.locator(".exec", has=visitor.page.locator(".failed")).first.click()
    expect(visitor.inspector).to_contain_text("Attempt 2")
    visitor.page.mouse.move(0, 0)
    visitor.page.screenshot(path=folder / "page.png")
    visitor.tab("Graph").click()
    expect(visitor.page.locator(".node").first).to_be_visible()
    visitor.page.screenshot(path=folder / "page-graph.png")
    visitor.page.emulate_media(color_scheme="dark")
    visitor.look(question)
    expect(visitor.question).to_be_visible()
    visitor.page.screenshot(path=folder / "page-dark.png")
    for name in ("page.png", "page-graph.png", "page-dark.png"):
        assert 10_000 < (folder / name).stat().st_size < 200_000, name
    told = "".join(page.read_text(encoding="utf-8") for page in (CHECKOUT / "README.md", *PICTURES.glob("*.md")))
    assert set(re.findall(r"\(\S*?(page[\w-]*\.png)\)", told)) == {path.name for path in PICTURES.glob("page*.png")}

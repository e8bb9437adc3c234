"""The page's files, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflow_server.http.messages import Request, Response
from workflow_server.transports.page import Page

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    page = tmp_path / "page"
    (page / "parts").mkdir(parents=True)
    (page / ".hidden").mkdir()
    for name in (
        "index.html",
        "app.js",
        "style.css",
        "icon.svg",
        "parts/graph.js",
        ".hidden/x.js",
        ".env.js",
        "notes.md",
    ):
        (page / name).write_text(f"<{name}>")
    (page / "folder.js").mkdir()
    (tmp_path / "secret.js").write_text("secret")
    return page


def get(page: Page, path: str, **headers: str) -> Response | None:
    return page(Request("GET", path, headers=tuple((name.replace("_", "-"), value) for name, value in headers.items())))


def got(page: Page, path: str, **headers: str) -> Response:
    response = get(page, path, **headers)
    assert response is not None
    return response


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("/", b"<index.html>", "text/html; charset=utf-8"),
        ("/index.html", b"<index.html>", "text/html; charset=utf-8"),
        ("/app.js", b"<app.js>", "text/javascript; charset=utf-8"),
        ("/%61pp.js", b"<app.js>", "text/javascript; charset=utf-8"),
        ("/style.css", b"<style.css>", "text/css; charset=utf-8"),
        ("/icon.svg", b"<icon.svg>", "image/svg+xml"),
        ("/parts/graph.js", b"<parts/graph.js>", "text/javascript; charset=utf-8"),
    ],
)
def test_files_are_served_with_their_types(folder: Path, path: str, content: bytes, kind: str) -> None:
    response = got(Page(folder), path)
    assert (response.status, response.body, dict(response.headers)["content-type"]) == (200, content, kind)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "//",
        "/app",
        "/app.js/",
        "/APP.js",
        "/parts",
        "/parts/",
        "/folder.js",
        "/notes.md",
        "/.env.js",
        "/.hidden/x.js",
        "/../secret.js",
        "/%2e%2e/secret.js",
        "/..%2fsecret.js",
        "/parts/../app.js",
        "/parts/..%2F..%2Fsecret.js",
        "/%252e%252e/secret.js",
        "//app.js",
        "/app.js%00",
        "/\\app.js",
        "/%",
    ],
)
def test_nothing_else_is(folder: Path, path: str) -> None:
    assert get(Page(folder), path) is None


def test_the_page_may_use_nothing_but_itself(folder: Path) -> None:
    headers = dict(got(Page(folder), "/").headers)
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'self'",
        "object-src": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-cache"


def test_head_is_told_as_get(folder: Path) -> None:
    page = Page(folder)
    assert page(Request("HEAD", "/app.js")) == page(Request("GET", "/app.js"))


def test_a_browser_that_has_the_file_is_told_so(folder: Path) -> None:
    page = Page(folder)
    etag = dict(got(page, "/app.js").headers)["etag"]
    for known in (etag, f"W/{etag}", f'"x", {etag}', f"{etag},W/{etag}", "*"):
        response = got(page, "/app.js", if_none_match=known)
        assert response == Response(304, (("etag", etag), ("cache-control", "no-cache")))
    for other in ('"x"', etag.strip('"'), "", dict(got(page, "/style.css").headers)["etag"]):
        assert got(page, "/app.js", if_none_match=other).status == 200


def test_a_changed_file_has_another_tag(folder: Path) -> None:
    before = dict(got(Page(folder), "/app.js").headers)["etag"]
    (folder / "app.js").write_text("changed")
    assert dict(got(Page(folder), "/app.js").headers)["etag"] != before


def test_the_folder_is_read_once_at_the_first_request(folder: Path) -> None:
    page = Page(folder)
    (folder / "late.js").write_text("late")
    assert got(page, "/late.js").body == b"late"
    (folder / "later.js").write_text("later")
    (folder / "late.js").unlink()
    assert get(page, "/later.js") is None
    assert got(page, "/late.js").body == b"late"


def test_a_checkout_serves_its_own_page() -> None:
    assert got(Page(), "/").body == (ROOT / "ui_dist" / "index.html").read_bytes()


def test_a_wheel_holds_the_page_inside_the_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = folder.parent / "site-packages" / "workflow_server"
    (package / "ui_dist").mkdir(parents=True)
    (package / "ui_dist" / "index.html").write_text("wheel")
    (package.parent / "ui_dist").mkdir()
    monkeypatch.setattr("workflow_server.transports.page.__file__", str(package / "transports" / "page.py"))
    assert got(Page(), "/").body == b"wheel"


def test_without_a_folder_there_is_no_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflow_server.transports.page.__file__", str(folder / "a" / "b" / "page.py"))
    assert get(Page(), "/") is None

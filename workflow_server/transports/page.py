"""The debugger page: the files of one folder, known by name.

The folder is read once, at the first request, so nothing a client sends ever becomes a path in the file
system. A wheel holds it as `workflow_server/ui_dist`, a checkout as `ui_dist` beside the package.
Browsers keep the files and ask each time whether they are still the same (`no-cache`, `ETag`:
RFC 9111, 5.2.2.4, and RFC 9110, 8.8.3 and 13.1.2), so a new version shows at once and costs nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from workflow_server.errors import ServerUsageError
from workflow_server.http.messages import Headers, Request, Response
from workflow_server.valueclass import dataclass

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
"""What is served; a file of another kind is not part of the page."""

_GUARDS: Headers = (
    (
        "content-security-policy",
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'; object-src 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
)
_CACHING: Headers = (("cache-control", "no-cache"),)


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    headers: Headers
    etag: str


class Page:
    """Answers GET and HEAD for the page's files.

    Args:
        folder: Where they are; `None` for the folder that came with the package.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._files: dict[str, _File] | None = None

    def __call__(self, request: Request) -> Response | None:
        """Return the answer to a GET or HEAD `request`, or `None` if its path is no file of the page."""
        if self._files is None:
            folder = self._folder or _find_folder()
            self._files = {} if folder is None else _read(folder)
        file = self._files.get(unquote(request.path))
        if file is None:
            return None
        if _names(request.header("if-none-match"), file.etag):
            return Response(304, (("etag", file.etag), *_CACHING))
        return Response(200, file.headers, file.content)


def make_page(ui: bool, ui_path: str | os.PathLike[str] | None) -> Callable[[Request], Response | None]:
    """Return what answers for the page.

    Args:
        ui: Whether there is one.
        ui_path: Its folder; `None` for the one that came with the package.

    Raises:
        ServerUsageError: The folder holds no `index.html`, or is given though there is to be no page.
    """
    if ui_path is not None and not (ui and Path(ui_path, "index.html").is_file()):
        wrong = "has no index.html" if ui else "is given together with ui=False"
        raise ServerUsageError(f"ui_path={os.fspath(ui_path)!r} {wrong}")
    return Page(None if ui_path is None else Path(ui_path)) if ui else lambda _request: None


def _find_folder() -> Path | None:
    package = Path(__file__).parent.parent
    for folder in (package / "ui_dist", package.parent / "ui_dist"):
        if folder.is_dir():
            return folder
    return None


def _read(folder: Path) -> dict[str, _File]:
    files: dict[str, _File] = {}
    for path in sorted(folder.rglob("*")):
        name = PurePosixPath("/", path.relative_to(folder).as_posix())
        if path.suffix in _TYPES and not any(part.startswith(".") for part in name.parts) and path.is_file():
            files[str(name)] = _load(path)
    if "/index.html" in files:
        files["/"] = files["/index.html"]
    return files


def _load(path: Path) -> _File:
    content = path.read_bytes()
    etag = f'"{sha256(content).hexdigest()[:32]}"'
    headers = (("content-type", _TYPES[path.suffix]), ("etag", etag), *_CACHING, *_GUARDS)
    return _File(content, headers, etag)


def _names(if_none_match: str | None, etag: str) -> bool:
    """Tell whether the header names `etag`, by the weak comparison that RFC 9110, 13.1.2 asks for."""
    if if_none_match is None:
        return False
    named = [text.strip().removeprefix("W/") for text in if_none_match.split(",")]
    return etag in named or "*" in named

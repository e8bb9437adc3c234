"""How items of a stream become bytes: server-sent events and newline-delimited JSON.

Source: HTML Living Standard, "Server-sent events" (9.2.5, 9.2.6). A line ends at CR, LF or CRLF,
so a value with any of them is sent as several `data:` lines, which the client joins with LF.
Values are JSON text, where a raw line break can only be space between tokens.
"""

from __future__ import annotations

import re

_LINE_BREAK = re.compile(r"\r\n|\r|\n")


def sse_frame(data: str, id: str | None = None) -> bytes:
    """Return one event with `data`, and `id` as the cursor a client comes back with.

    Raises:
        ValueError: `id` holds a line break or NUL, which the standard can't carry.
    """
    if "\n" in data or "\r" in data:
        data = _LINE_BREAK.sub("\ndata: ", data)
    if id is None:
        return f"data: {data}\n\n".encode()
    if "\n" in id or "\r" in id or "\0" in id:
        raise ValueError(f"an event id can't hold a line break or NUL: {id!r}")
    return f"id: {id}\ndata: {data}\n\n".encode()


def sse_comment(text: str) -> bytes:
    """Return a comment, which clients skip: a sign of life, or a word to a person who reads along."""
    return (": " + _LINE_BREAK.sub("\n: ", text) + "\n\n").encode()


def sse_retry(milliseconds: int) -> bytes:
    """Return the hint after how many milliseconds a client should come back when the stream breaks."""
    return f"retry: {milliseconds}\n\n".encode()


def ndjson_line(data: str) -> bytes:
    """Return one line holding the JSON text `data`."""
    if "\n" in data or "\r" in data:
        data = _LINE_BREAK.sub(" ", data)
    return f"{data}\n".encode()


def sse_id(event_id: str) -> bytes:
    """Tell the reader what to name when it comes back, without an event (HTML Living Standard, 9.2.6)."""
    return b"id: %s\n\n" % event_id.encode()

"""Which texts can name a workflow or a handler: those that a path can carry as one segment.

A name travels percent-encoded and is decoded once, so nearly every text would do. Refused are a slash,
which proxies decode too early, the dot segments, which clients resolve away (RFC 3986, section 5.2.4),
and characters that nobody can see or type.
"""

from __future__ import annotations

MAX_NAME_LENGTH = 256
"""Characters of a workflow's name or a handler's id."""


def objection_to(name: str) -> str | None:
    """Return why `name` can't name a workflow or a handler, as the end of a sentence, or `None` if it can."""
    if name.isascii() and name.isidentifier() and len(name) <= MAX_NAME_LENGTH:
        return None
    if not name:
        return "must not be empty"
    if len(name) > MAX_NAME_LENGTH:
        return f"must not be longer than {MAX_NAME_LENGTH} characters"
    if "/" in name:
        return "must not contain '/'"
    if name in (".", ".."):
        return f"must not be {name!r}, which a path can't carry"
    if not name.isprintable():
        return "must not contain control characters or invisible ones"
    return None

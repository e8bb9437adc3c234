"""A request's query: its parameters as values, or a sentence about what is wrong with them.

A parameter that is blank counts as not given, so that a form may send all its fields.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


class Invalid(Exception):  # no failure of ours: it carries a refusal out of a parser
    """The request can't be understood; the text is the client's."""


def unquote(text: str) -> str:
    """Return `text`, percent-decoded once.

    Raises:
        ValueError: It is badly encoded.
    """
    if "%" not in text and text.isascii():
        return text
    if _BAD_ESCAPE.search(text):
        raise ValueError("an incomplete escape")
    return unquote_to_bytes(text.encode("latin-1")).decode()


class Query:
    """The query's parameters; those nobody asks for are ignored.

    Args:
        query: As on the wire.

    Raises (every method, too):
        Invalid: A parameter can't be understood.
    """

    def __init__(self, query: str) -> None:
        self._values: dict[str, list[str]] = {}
        for pair in filter(None, query.split("&")):
            name, _, value = pair.replace("+", " ").partition("=")
            try:
                self._values.setdefault(unquote(name), []).append(unquote(value))
            except ValueError:
                raise Invalid(f"Invalid query parameter: {pair!r} must be percent-encoded UTF-8") from None

    def one(self, name: str) -> str | None:
        """Return a parameter that may be given once."""
        values = self._values.get(name, [])
        if len(values) > 1:
            raise Invalid(f"Invalid query: {name} is given {len(values)} times")
        return values[0] if values else None

    def flag(self, name: str, default: bool) -> bool:
        """Return whether a parameter says "true"."""
        value = self.one(name)
        return default if value is None else value.lower() == "true"

    def several(self, name: str) -> tuple[str, ...] | None:
        """Return the values that are not blank, `None` if there are none."""
        return tuple(value for value in self._values.get(name, []) if value.strip()) or None

    def seconds(self, name: str, most: int) -> float:
        """Return a number of seconds from 0 to `most`; 0 if it isn't given."""
        value = self.one(name)
        if value is None:
            return 0.0
        if not _SECONDS.fullmatch(value.strip()) or float(value) > most:
            raise Invalid(f"Invalid {name}: {value!r} must be a number of seconds from 0 to {most}")
        return float(value)

"""A request's query: its parameters as values, or a sentence about what is wrong with them.

A parameter that is blank counts as not given, so that a form may send all its fields.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, get_args
from urllib.parse import unquote_to_bytes

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")

_LOST_PLUS = re.compile(r" (?=[0-9]{2}:?[0-9]{2}$)")
"""What is left of a time zone's "+" that was not percent-encoded."""


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

    def filled(self, name: str) -> str | None:
        """Return a parameter that may be given once, `None` if it is blank."""
        value = self.one(name)
        return value if value is not None and value.strip() else None

    def among(self, name: str, known: Any) -> Any:
        """Return the values of a parameter that may be repeated, each one of the `Literal` type `known`."""
        values, words = self.several(name), get_args(known)
        for value in values or ():
            if value not in words:
                raise Invalid(f"Invalid {name}: {value!r}. Expected one of {', '.join(words)}")
        return values

    def number(self, name: str, most: int) -> int | None:
        """Return a whole number from 1 to `most`."""
        value = self.filled(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdecimal() and len(value) < 10 and 1 <= int(value) <= most):
            raise Invalid(f"Invalid {name}: {value!r}. Expected a whole number from 1 to {most}")
        return int(value)

    def moment(self, name: str) -> float | None:
        """Return a time in ISO 8601 as seconds since the epoch; without a time zone it is UTC."""
        value = self.filled(name)
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(_LOST_PLUS.sub("+", value.strip()))
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise Invalid(
                f"Invalid {name}: {value!r}. Expected a time like 2026-01-31T12:00:00Z or 2026-01-31"
            ) from None

"""JSON from strangers, read so that whatever is accepted can also be written again.

Python's own reader passes `NaN`, lone surrogates and nesting without limit; each of them comes back
later as an error far from its cause. pydantic's reader refuses nearly all of it (deeper than 200 levels,
lone surrogates, integers of more than 4,300 digits); only a number too large for a float becomes infinite there.
Source: RFC 8259, sections 6 and 8.2.
"""

from __future__ import annotations

import math
import re
from typing import Any, cast

from pydantic_core import from_json

_MAY_OVERFLOW = re.compile(rb"[0-9][eE]|(?<![0-9])[0-9]{300}")
"""What every number too large for a float contains: an exponent, or very many digits."""


def read_json(data: bytes | str) -> Any:
    """Return the value that the JSON text `data` stands for.

    Args:
        data: One JSON text, in UTF-8 if it is bytes.

    Raises:
        ValueError: It is no JSON, nests too deeply, or holds what JSON can't carry (a number that is not
            finite, half of a surrogate pair); the text says what and where.
    """
    raw = data.encode() if isinstance(data, str) else data
    value = from_json(raw, allow_inf_nan=False)
    if _MAY_OVERFLOW.search(raw) and not _all_finite(value):
        raise ValueError("a number is too large")
    return value


def _all_finite(value: Any) -> bool:
    pending: list[object] = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, float):
            if not math.isfinite(item):
                return False
        elif isinstance(item, list):
            pending.extend(cast("list[object]", item))
        elif isinstance(item, dict):
            pending.extend(cast("dict[str, object]", item).values())
    return True

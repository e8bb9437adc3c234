"""What strangers may send as JSON."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from workflow_server.wire.strict_json import read_json

_VALUES: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"{}", {}),
        (b" [1, 2.5e3, null, true] ", [1, 2500.0, None, True]),
        ('"\N{GRINNING FACE}"', "\N{GRINNING FACE}"),
        (rb'"\ud83d\ude00"', "\N{GRINNING FACE}"),
        (b"1e-999", 0.0),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"9" * 300, int("9" * 300)),
        (b'"' + b"9" * 400 + b'e5"', "9" * 400 + "e5"),
    ],
)
def test_json_is_read(text: bytes | str, value: Any) -> None:
    assert read_json(text) == value


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"  ",
        b"{",
        b"nope",
        b"{'a': 1}",
        b"[1,]",
        b"1 2",
        b"01",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"-1E+999",
        b'{"a": [{"b": 1e400}]}',
        b"9" * 400 + b".0",
        b"9" * 5000,
        rb'"\ud800"',
        rb'{"\udc00": 1}',
        b'"\xed\xa0\x80"',
        b"\xff",
        b'"\xc3"',
        b"\xef\xbb\xbf{}",
        b"[" * 1000 + b"]" * 1000,
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        '"\ud800"',
        "",
    ],
)
def test_what_is_no_json_or_could_not_be_written_again_is_refused(text: bytes | str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the reader's own class; what counts is that it says why
        read_json(text)
    assert str(caught.value)


@given(_VALUES)
def test_what_is_read_can_be_written(value: Any) -> None:
    assert read_json(to_json(value)) == value


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        value = read_json(data)
    except ValueError:
        return
    assert read_json(to_json(value)) == value
    assert not isinstance(value, float) or math.isfinite(value)

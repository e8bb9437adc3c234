"""Server-sent events and NDJSON as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_server.http.frames import ndjson_line, sse_comment, sse_frame, sse_retry


def test_a_frame_holds_its_id_and_its_data() -> None:
    assert sse_frame('{"a":1}', "7") == b'id: 7\ndata: {"a":1}\n\n'


def test_a_frame_without_id_leaves_the_clients_cursor_alone() -> None:
    assert sse_frame("x") == b"data: x\n\n"


@pytest.mark.parametrize("id", ["1\n2", "1\r2", "1\x002"])
def test_an_id_that_would_break_the_frame_is_refused(id: str) -> None:
    with pytest.raises(ValueError, match="event id"):
        sse_frame("x", id)


def test_comment_and_retry() -> None:
    assert sse_comment("heartbeat") == b": heartbeat\n\n"
    assert sse_comment("two\nlines") == b": two\n: lines\n\n"
    assert sse_retry(1500) == b"retry: 1500\n\n"


def test_a_line_of_ndjson_is_one_line_even_if_the_json_was_indented() -> None:
    assert ndjson_line('{"a":1}') == b'{"a":1}\n'
    assert ndjson_line('{\r\n"a":\n1}') == b'{ "a": 1}\n'


def _read_event_stream(text: str) -> list[tuple[str | None, str]]:
    """Read as the HTML standard says (9.2.6), for the fields that are written here."""
    events: list[tuple[str | None, str]] = []
    id: str | None = None
    data: list[str] = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if not line:
            if data:
                events.append((id, "\n".join(data)))
            data = []
        else:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "id":
                id = value
            elif name == "data":
                data.append(value)
    return events


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.integers(0, 10**9)), max_size=5))
def test_a_client_reads_back_what_was_framed(events: list[tuple[str, int]]) -> None:
    stream = b"".join(sse_frame(data, str(number)) + sse_comment("heartbeat") for data, number in events)
    sent = [(str(number), data.replace("\r\n", "\n").replace("\r", "\n")) for data, number in events]
    assert _read_event_stream(stream.decode()) == sent

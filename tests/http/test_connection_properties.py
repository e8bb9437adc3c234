"""What holds for the HTTP machine whatever a client sends, and however the bytes are cut.

Written before the machine:

1. It never raises, whatever arrives; it answers everything it has taken, and ends when the input ends.
2. A refusal is the last thing that is said.
3. How the bytes are cut changes nothing about the requests, nor about the status of a refusal.
4. What follows a request never changes it.
5. What goes out is HTTP that a strict client reads: one answer for each request or refusal.
6. What was taken from the shared budget is given back.
"""

from __future__ import annotations

from collections.abc import Sequence

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from tests_support.http_script import Transcript, converse, split
from workflow_server.http.limits import BodyBudget, Limits
from workflow_server.http.messages import Refused, Request

LIMITS = Limits(head_bytes=4096, body_bytes=200)

_names = st.sampled_from(["accept", "x-a", "Expect", "Connection", "user-agent", "Upgrade"])
_values = st.sampled_from(["*/*", "100-continue", "keep-alive", "a b", "", "h2c", "x" * 50])
_headers = st.lists(st.tuples(_names, _values), max_size=4)
_bodies = st.binary(max_size=100)
_targets = st.sampled_from(["/", "/health", "/a%2Fb?c=d&e", "http://example.com/x?y", "//x"])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One well-formed request."""
    method = draw(st.sampled_from(["GET", "POST", "HEAD", "DELETE", "OPTIONS", "BREW"]))
    lines = [f"{method} {draw(_targets)} HTTP/1.1", "Host: x"]
    lines += [f"{name}: {value}" for name, value in draw(_headers)]
    body = draw(_bodies)
    framing = draw(st.sampled_from(["none", "length", "chunked"]))
    tail = b""
    if framing == "length":
        lines.append(f"Content-Length: {len(body)}")
        tail = body
    elif framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        for piece in split(body, draw(st.lists(st.integers(0, 100), max_size=4))):
            tail += b"%x\r\n%b\r\n" % (len(piece), piece)
        tail += b"0\r\n\r\n"
    return "\r\n".join([*lines, "", ""]).encode() + tail


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Requests with some bytes replaced, removed, repeated or put in."""
    data = bytearray(b"".join(draw(st.lists(requests(), min_size=1, max_size=3))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        how = draw(st.integers(0, 3))
        junk = draw(
            st.sampled_from(
                [b"\r\n", b"\n", b"\0", b" ", b":", b"0", b"\xff", b"HTTP/9.9", b"\r\n\r\n", b"Host: y\r\n"]
            )
        )
        if how == 0:
            data[at : at + 1] = junk
        elif how == 1:
            del data[at : at + draw(st.integers(1, 20))]
        elif how == 2:
            data[at:at] = junk
        else:
            data[at:at] = data[at : at + draw(st.integers(1, 40))]
    return bytes(data)


_cuts = st.lists(st.integers(0, 2000), max_size=12)
_anything = st.one_of(mutated(), st.binary(max_size=300), st.lists(requests(), max_size=3).map(b"".join))


def check(seen: Transcript, budget: BodyBudget) -> None:
    assert seen.closed or seen.waiting is not None
    assert all(isinstance(event, Request) for event in seen.events[:-1])
    assert budget.used == 0
    read_answers(seen)


def read_answers(seen: Transcript) -> None:
    """Read the output as a client that knows what it has asked."""
    output = seen.output
    for event in seen.events:
        client = h11.Connection(h11.CLIENT)
        method = "GET"
        if isinstance(event, Request):
            method = event.method
        elif output[-4:] == b"\r\n\r\n":
            method = "HEAD"  # what was refused can't be seen, save that its answer has no body
        client.send(h11.Request(method=method, target="/", headers=[("host", "x"), ("upgrade", "h2c")]))
        client.send(h11.EndOfMessage())
        client.receive_data(output)
        status, ended = 0, False
        while not ended:
            part = client.next_event()
            assert part is not h11.NEED_DATA
            if isinstance(part, h11.Response):
                status = part.status_code
            ended = isinstance(part, h11.EndOfMessage)
        assert status == (event.status if isinstance(event, Refused) else 200)
        output = client.trailing_data[0]
    # A body that was asked for with 100 and then broke off leaves that one line.
    assert output in (b"", b"HTTP/1.1 100 \r\n\r\n")


def said(seen: Transcript) -> Sequence[Request | int]:
    return [event if isinstance(event, Request) else event.status for event in seen.events]


@settings(max_examples=80, deadline=None)
@given(_anything, _cuts, st.booleans())
def test_whatever_arrives_the_machine_answers_and_ends(data: bytes, cuts: list[int], end: bool) -> None:
    budget = BodyBudget(150)
    seen = converse(split(data, cuts), limits=LIMITS, budget=budget, end=end)
    if end:
        assert seen.closed
        check(seen, budget)


@settings(max_examples=80, deadline=None)
@given(_anything, _cuts)
def test_how_the_bytes_are_cut_changes_nothing(data: bytes, cuts: list[int]) -> None:
    whole = converse([data], limits=LIMITS)
    assert said(converse(split(data, cuts), limits=LIMITS)) == said(whole)


@settings(max_examples=30, deadline=None)
@given(_anything)
def test_one_byte_at_a_time_is_the_same(data: bytes) -> None:
    pieces = split(data, range(len(data)))
    assert said(converse(pieces, limits=LIMITS)) == said(converse([data], limits=LIMITS))


@settings(max_examples=60, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=3), st.binary(max_size=50), _cuts)
def test_what_follows_never_changes_a_request(sent: list[bytes], garbage: bytes, cuts: list[int]) -> None:
    clean = converse([b"".join(sent)], limits=LIMITS)
    assert clean.statuses == [200] * len(sent)
    dirty = converse(split(b"".join(sent) + garbage, cuts), limits=LIMITS)
    assert dirty.events[: len(sent)] == clean.events

"""The HTTP machine, trap by trap: what is a request, what is refused and how, and what is answered."""

from __future__ import annotations

import json

import h11
import pytest

from tests_support.http_script import converse, split
from workflow_server.http.connection import READ_AHEAD, Connection
from workflow_server.http.events import Closed, NeedData, Phase, Working, refusal
from workflow_server.http.limits import BodyBudget, Limits
from workflow_server.http.messages import Refused, Request, Response

GET = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"


def head(*lines: str, request: str = "POST /run HTTP/1.1") -> bytes:
    return "\r\n".join([request, "host: x", *lines, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def only_refusal(*pieces: bytes, limits: Limits | None = None, end: bool = True) -> Refused:
    """Return the refusal that `pieces` meet, having checked that the connection ends with it."""
    seen = converse(pieces, limits=limits, end=end)
    assert seen.closed
    assert len(seen.events) == 1
    refused = seen.events[0]
    assert isinstance(refused, Refused)
    assert seen.output.startswith(b"HTTP/1.1 %d " % refused.status)
    assert b"connection: close\r\n" in seen.output.lower()
    assert json.loads(seen.output.partition(b"\r\n\r\n")[2]) == {"detail": refused.detail}
    return refused


# ---------------------------------------------------------------------------------------------------- requests


def test_a_request_is_whole_when_it_is_returned() -> None:
    seen = converse([head("Content-Length: 5", "X-Twice: 1", "X-Twice: 2") + b"hello"])
    assert seen.events == [
        Request(
            "POST",
            "/run",
            "",
            (("host", "x"), ("content-length", "5"), ("x-twice", "1"), ("x-twice", "2")),
            b"hello",
        )
    ]
    request = seen.events[0]
    assert isinstance(request, Request)
    assert request.header("x-twice") == "1, 2"
    assert request.header("absent") is None


def test_a_chunked_body_is_joined_and_its_trailers_are_dropped() -> None:
    body = chunk(b"one ") + b"4;an=extension\r\ntwo \r\n" + chunk(b"three") + b"0\r\nx-trailer: y\r\n\r\n"
    (request,) = converse([head("transfer-encoding: chunked") + body]).events
    assert isinstance(request, Request)
    assert request.body == b"one two three"


def test_a_length_said_twice_is_said_once() -> None:
    (request,) = converse([head("content-length: 5, 5", "content-length: 5") + b"hello"]).events
    assert isinstance(request, Request)
    assert request.body == b"hello"


def test_path_and_query_stay_encoded() -> None:
    (request,) = converse([head(request="GET /a%20b/c?d=%C3%A4&e?f HTTP/1.1")]).events
    assert request == Request("GET", "/a%20b/c", "d=%C3%A4&e?f", (("host", "x"),))


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://example.com/a?b", "/a", "b"),
        ("HTTPS://user@example.com:8080/a/b", "/a/b", ""),
        ("http://example.com", "/", ""),
        ("http://example.com?a=/b", "/", "a=/b"),
        ("//double", "//double", ""),
    ],
)
def test_an_absolute_target_loses_its_authority(target: str, path: str, query: str) -> None:
    (request,) = converse([head(request=f"GET {target} HTTP/1.1")]).events
    assert isinstance(request, Request)
    assert (request.path, request.query) == (path, query)


@pytest.mark.parametrize("target", ["*", "http://example.com"])
def test_options_of_the_whole_server(target: str) -> None:
    (request,) = converse([head(request=f"OPTIONS {target} HTTP/1.1")]).events
    assert isinstance(request, Request)
    assert (request.method, request.path) == ("OPTIONS", "*")


@pytest.mark.parametrize(
    "line", ["GET * HTTP/1.1", "GET health HTTP/1.1", "GET ftp://x/ HTTP/1.1", "CONNECT x:443 HTTP/1.1"]
)
def test_a_target_that_is_no_path_is_refused(line: str) -> None:
    refused = only_refusal(head(request=line))
    assert refused.status == 400
    assert "target" in refused.detail


def test_an_offered_upgrade_is_declined_by_answering() -> None:
    upgrade = head(
        "connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQ", request="GET / HTTP/1.1"
    )
    seen = converse([upgrade + GET])
    assert seen.statuses == [200, 200]


def test_empty_lines_before_a_request_are_ignored_however_they_arrive() -> None:
    post = head("content-length: 2") + b"ok"
    data = b"\r\n\r\n" + post + b"\r\n" + GET + b"\r\n"
    whole = converse([data])
    assert whole.statuses == [200, 200]
    assert converse(split(data, range(len(data)))).events == whole.events


# ---------------------------------------------------------------------------------------------------- the cycle


def test_pipelined_requests_are_answered_in_order() -> None:
    data = b"".join(head(request=f"GET /{number} HTTP/1.1") for number in range(3))
    seen = converse([data], end=False)
    assert [event.path for event in seen.events if isinstance(event, Request)] == ["/0", "/1", "/2"]
    assert seen.output.index(b"GET /0") < seen.output.index(b"GET /1") < seen.output.index(b"GET /2")
    assert seen.waiting == NeedData(Phase.IDLE)


def test_the_phase_tells_which_time_limit_applies() -> None:
    http = Connection(Limits())
    assert http.next_event() == NeedData(Phase.IDLE)
    http.receive_data(b"POST / HTTP/1.1\r\n")
    assert http.next_event() == NeedData(Phase.HEAD)
    http.receive_data(b"host: x\r\ncontent-length: 2\r\n\r\n")
    assert http.next_event() == NeedData(Phase.BODY)
    http.receive_data(b"o")
    assert http.next_event() == NeedData(Phase.BODY)
    http.receive_data(b"k")
    assert isinstance(http.next_event(), Request)


def test_a_request_must_be_answered_before_the_next_is_asked_for() -> None:
    http = Connection(Limits())
    http.receive_data(GET + GET)
    assert isinstance(http.next_event(), Request)
    assert http.answering
    with pytest.raises(RuntimeError, match="not been answered"):
        http.next_event()


@pytest.mark.parametrize(
    "request_head", [head("connection: close", request="GET / HTTP/1.1"), head(request="GET / HTTP/1.0")]
)
def test_the_connection_ends_when_the_client_wants_it(request_head: bytes) -> None:
    seen = converse([request_head], end=False)
    assert seen.closed
    assert b"connection: close\r\n" in seen.output.lower()


def test_the_connection_ends_after_the_last_answer() -> None:
    http = Connection(Limits())
    http.receive_data(GET + GET)
    assert isinstance(http.next_event(), Request)
    http.last = True
    output = http.start(200, (), 0) + http.finish()
    assert b"connection: close\r\n" in output
    assert http.next_event() == Closed()
    assert http.unread


def test_nothing_is_unread_when_all_was_answered() -> None:
    http = Connection(Limits())
    http.receive_data(head("connection: close", request="GET / HTTP/1.1"))
    http.next_event()
    http.start(200, (), 0)
    http.finish()
    assert http.next_event() == Closed()
    assert not http.unread


def test_the_end_is_clean_between_requests_and_an_error_within_one() -> None:
    assert converse([GET]).statuses == [200]
    assert converse([]).events == []
    assert only_refusal(GET[:10]).status == 400
    assert only_refusal(head("content-length: 5") + b"hel").status == 400
    assert only_refusal(head("transfer-encoding: chunked") + b"5\r\nhel").status == 400


def test_requests_sent_before_the_end_are_still_answered() -> None:
    http = Connection(Limits())
    http.receive_data(GET + b"\r\n" + GET)
    http.receive_data(b"")
    assert http.peer_gone
    assert not http.may_read
    for _ in range(2):
        assert isinstance(http.next_event(), Request)
        http.start(200, (), 0)
        http.finish()
    assert http.next_event() == Closed()


# ---------------------------------------------------------------------------------------------------- answers


def answer(data: bytes, status: int, body: bytes, length: int | None) -> tuple[bytes, Connection]:
    http = Connection(Limits())
    http.receive_data(data)
    assert isinstance(http.next_event(), Request)
    return http.start(status, (("x-a", "ä"),), length) + http.data(body) + http.data(b"") + http.finish(), http


def test_an_answer_of_known_length() -> None:
    output, _ = answer(GET, 200, b"hello", 5)
    assert output == b"HTTP/1.1 200 OK\r\nx-a: \xe4\r\ncontent-length: 5\r\n\r\nhello"


def test_an_answer_of_unknown_length_is_chunked() -> None:
    output, http = answer(GET, 200, b"hello", None)
    assert output.endswith(b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    assert not http.ends_by_closing
    assert http.next_event() == NeedData(Phase.IDLE)


def test_an_old_client_learns_the_length_by_the_end() -> None:
    output, http = answer(head(request="GET / HTTP/1.0"), 200, b"hello", None)
    assert output.endswith(b"\r\n\r\nhello")
    assert b"chunked" not in output
    assert http.ends_by_closing
    assert http.next_event() == Closed()


@pytest.mark.parametrize("length", [5, None])
def test_head_has_the_same_head_and_no_body(length: int | None) -> None:
    output, http = answer(head(request="HEAD / HTTP/1.1"), 200, b"hello", length)
    of_get, _ = answer(head(request="GET / HTTP/1.1"), 200, b"hello", length)
    assert output == of_get.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert http.next_event() == NeedData(Phase.IDLE)


def test_a_refused_head_request_has_no_body_either() -> None:
    seen = converse([head(request="HEAD nowhere HTTP/1.1")])
    assert seen.statuses == [400]
    assert seen.output.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_some_statuses_have_no_body(status: int) -> None:
    output, _ = answer(GET, status, b"hello", 5)
    assert output.endswith(b"\r\n\r\n")
    assert b"content-length" not in output


def test_an_answer_shorter_than_announced_is_an_error_of_the_server() -> None:
    with pytest.raises(h11.LocalProtocolError):
        answer(GET, 200, b"hell", 5)


def test_a_header_that_would_split_the_answer_is_an_error_of_the_server() -> None:
    http = Connection(Limits())
    http.receive_data(GET)
    http.next_event()
    with pytest.raises(h11.LocalProtocolError):
        http.start(200, (("x", "a\r\nset-cookie: b"),), 0)


# ---------------------------------------------------------------------------------------------------- expectations


EXPECTING = head("expect: 100-continue", "content-length: 5")


def test_100_is_sent_when_the_body_is_wanted_and_not_there() -> None:
    seen = converse([EXPECTING, b"hello"])
    assert seen.output.startswith(b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 OK\r\n")
    assert converse([EXPECTING + b"hello"]).output.startswith(b"HTTP/1.1 200 OK\r\n")


def test_100_is_sent_once() -> None:
    assert converse([EXPECTING, b"h", b"ello"]).output.count(b"HTTP/1.1 100") == 1


def test_a_body_that_is_not_wanted_is_refused_before_it_is_sent() -> None:
    refused = only_refusal(EXPECTING, limits=Limits(body_bytes=4), end=False)
    assert refused.status == 413


# ---------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "request line"),
        (b"GET /\r\n\r\n", 400, "request line"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "Host"),
        (head("host: y"), 400, "Host"),
        (head("no colon"), 400, "header"),
        (head("content-length: x"), 400, "Content-Length"),
        (head("content-length: 1", "content-length: 2"), 400, "Content-Length"),
        (head("content-length: -1"), 400, "Content-Length"),
        (head("content-length: 3", "transfer-encoding: chunked"), 400, "both Content-Length and Transfer-Encoding"),
        (head("transfer-encoding: chunked", request="POST / HTTP/1.0"), 400, "HTTP/1.0"),
        (head("transfer-encoding: gzip, chunked"), 501, "Transfer-Encoding"),
        (b"PRI * HTTP/2.0\r\nhost: x\r\n\r\nSM\r\n\r\n", 505, "HTTP/2.0"),
        (head(request="GET / HTTP/3.7"), 505, "HTTP/3.7"),
        (head("transfer-encoding: chunked") + b"xyz\r\n", 400, "body"),
        (head("transfer-encoding: chunked") + b"3\r\nabcd\r\n", 400, "body"),
    ],
)
def test_malformed_framing_is_refused_with_a_sentence_that_says_where(data: bytes, status: int, words: str) -> None:
    refused = only_refusal(data)
    assert refused.status == status
    assert words in refused.detail
    assert "bytearray" not in refused.detail


def test_the_preface_of_http2_without_host_is_refused_too() -> None:
    assert only_refusal(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").status == 505


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_a_head_is_as_long_as_it_is_however_it_arrives(pieces: int) -> None:
    limits = Limits(head_bytes=1000)
    fits = head("x-long: " + "a" * (1000 - len(head("x-long: "))))
    assert len(fits) == 1000
    longer = head("x-long: " + "a" * (1001 - len(head("x-long: "))))
    step = -(-len(longer) // pieces)
    assert converse(split(fits, range(0, 1000, step)), limits=limits).statuses == [200]
    refused = only_refusal(*split(longer, range(0, 1001, step)), limits=limits)
    assert refused == Refused(431, "The request's head is longer than 1000 bytes.")


def test_a_head_that_never_ends_is_refused_before_it_is_complete() -> None:
    assert only_refusal(b"GET / HTTP/1.1\r\nx: " + b"a" * 70_000, end=False).status == 431


def test_a_head_is_judged_without_what_was_sent_ahead() -> None:
    limits = Limits(head_bytes=len(GET))
    assert converse([GET * 5], limits=limits).statuses == [200] * 5


@pytest.mark.parametrize("size", [10, 11])
def test_the_body_limit_of_an_announced_body(size: int) -> None:
    data = head(f"content-length: {size}") + b"a" * size
    assert converse([data], limits=Limits(body_bytes=10)).statuses == [200 if size == 10 else 413]


@pytest.mark.parametrize("size", [10, 11])
def test_the_body_limit_of_a_chunked_body(size: int) -> None:
    data = head("transfer-encoding: chunked") + chunk(b"a" * (size - 5)) + chunk(b"aaaaa") + b"0\r\n\r\n"
    for pieces in ([data], split(data, range(len(data)))):
        assert converse(pieces, limits=Limits(body_bytes=10)).statuses == [200 if size == 10 else 413]


def test_a_line_of_chunked_framing_that_never_ends_is_refused() -> None:
    refused = only_refusal(head("transfer-encoding: chunked"), b"1;" + b"a" * 70_000, end=False)
    assert refused.status == 400
    assert "too long" in refused.detail


def test_a_body_in_tiny_chunks_lets_others_run_and_is_refused_when_framing_outweighs_it() -> None:
    http = Connection(Limits())
    http.receive_data(head("transfer-encoding: chunked"))
    assert http.next_event() == NeedData(Phase.BODY)
    turns, received = 0, 0
    event: object = None
    while not isinstance(event, Refused):
        http.receive_data(chunk(b"a") * 1000)
        received += 1
        while isinstance(event := http.next_event(), Working):
            turns += 1
        assert received * 6000 < 200_000
    assert turns >= 3 * (received - 1)
    assert event.status == 400
    assert "framing" in event.detail


def test_chunk_extensions_count_as_framing() -> None:
    data = head("transfer-encoding: chunked") + (b"1;" + b"a" * 30_000 + b"\r\nx\r\n") * 3 + b"0\r\n\r\n"
    assert "framing" in only_refusal(data).detail


def test_a_large_body_in_ordinary_chunks_is_no_trouble() -> None:
    data = head("transfer-encoding: chunked") + chunk(b"a" * 4096) * 100 + b"0\r\n\r\n"
    (request,) = converse([data]).events
    assert isinstance(request, Request)
    assert len(request.body) == 409_600


def test_bodies_of_all_connections_together_are_bounded() -> None:
    budget = BodyBudget(10)
    first, second = Connection(Limits(), budget), Connection(Limits(), budget)
    first.receive_data(head("content-length: 8") + b"12345678")
    assert isinstance(first.next_event(), Request)
    second.receive_data(head("content-length: 3") + b"123")
    refused = second.next_event()
    assert isinstance(refused, Refused)
    assert refused.status == 503
    assert ("retry-after", "1") in refused.headers
    first.start(200, (), 0)
    first.finish()
    assert budget.used == 0
    third = Connection(Limits(), budget)
    third.receive_data(head("content-length: 8") + b"1234")
    assert third.next_event() == NeedData(Phase.BODY)
    assert budget.used == 4
    third.close()
    third.close()
    assert budget.used == 0


def test_a_promised_body_takes_nothing_of_the_budget() -> None:
    budget = BodyBudget(10)
    http = Connection(Limits(), budget)
    http.receive_data(head("content-length: 10"))
    assert http.next_event() == NeedData(Phase.BODY)
    assert budget.used == 0


# ---------------------------------------------------------------------------------------------------- reading ahead


def test_a_connection_reads_ahead_so_far_and_no_further() -> None:
    http = Connection(Limits())
    http.receive_data(GET + GET)
    assert isinstance(http.next_event(), Request)
    ahead = len(GET)
    while http.may_read:
        http.receive_data(b"a" * 1000)
        ahead += 1000
    assert READ_AHEAD <= ahead < READ_AHEAD + 1000
    http.start(200, (), 0)
    http.finish()
    assert http.may_read
    assert isinstance(http.next_event(), Request)


def test_what_follows_a_body_counts_as_read_ahead() -> None:
    http = Connection(Limits())
    http.receive_data(head("content-length: 2") + b"ok" + b"a" * READ_AHEAD)
    assert isinstance(http.next_event(), Request)
    assert not http.may_read


def test_the_edge_can_refuse_what_is_too_slow() -> None:
    http = Connection(Limits())
    http.receive_data(b"GET / HT")
    assert http.next_event() == NeedData(Phase.HEAD)
    response = refusal(http.refuse(Refused(408, "Too slow.")))
    assert response == Response(408, (("content-type", "application/json"),), b'{"detail": "Too slow."}')
    output = http.start(response.status, response.headers, len(b'{"detail": "Too slow."}'))
    assert output.startswith(b"HTTP/1.1 408 Request Timeout\r\n")

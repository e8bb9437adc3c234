"""How many may have a place at the same time, and who comes next."""

from __future__ import annotations

import math

from workflow_server.runtime.places import Places


def test_without_a_limit_there_is_a_place_for_everybody() -> None:
    places = Places(None)
    assert all(places.take(name, (0,)) for name in "abc")
    places.leave("a")
    assert places.next() is None


def test_whoever_waits_gets_a_place_in_order_when_there_is_room() -> None:
    places = Places(2)
    assert [places.take(name, (math.inf,)) for name in "abcd"] == [True, True, False, False]
    assert places.next() is None
    places.leave("a")
    assert [places.next(), places.next()] == ["c", None]
    places.leave("b")
    places.leave("c")
    assert [places.next(), places.next()] == ["d", None]
    places.leave("d")
    assert [places.take(name, (math.inf,)) for name in "efg"] == [True, True, False]


def test_whoever_gives_up_is_passed_over() -> None:
    places = Places(1)
    for name in "abc":
        places.take(name, (math.inf,))
    places.leave("b")
    assert places.next() is None
    places.leave("a")
    assert places.next() == "c"


def test_whoever_started_earlier_comes_first() -> None:
    places = Places(1)
    places.take("now", (0,))
    for name, since in (("new", math.inf), ("second", 2.0), ("first", 1.0), ("newer", math.inf)):
        places.take(name, (since,))
    places.leave("second")
    came = ["now"]
    for _ in range(3):
        places.leave(came[-1])
        came.append(places.next() or "nobody")
    assert came == ["now", "first", "new", "newer"]


def test_whoever_has_a_place_or_a_turn_keeps_it() -> None:
    places = Places(2)
    assert [places.take(name, (1, n)) for n, name in enumerate("abcd")] == [True, True, False, False]
    assert places.take("a", (9,))
    places.wait("old", (0, 5))
    places.wait("d", (0, 0))  # keeps its turn
    assert places.next() is None
    places.leave("a")
    assert [places.next(), places.next()] == ["old", None]
    places.leave("c")
    places.leave("old")
    places.wait("c", (2, 0))
    assert [places.next(), places.next()] == ["d", None]
    places.leave("b")
    assert places.take("new", (1, 0)) is False, "somebody waits"
    assert [places.next(), places.next()] == ["new", None]

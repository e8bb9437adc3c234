"""How many runs may be alive at the same time."""

from __future__ import annotations

from collections.abc import Callable

from workflow_server.runtime.gate import Gate


class Runs:
    def __init__(self) -> None:
        self.begun: list[str] = []
        self._known: dict[str, Callable[[], None]] = {}

    def __call__(self, name: str) -> Callable[[], None]:
        return self._known.setdefault(name, lambda: self.begun.append(name))


def test_without_a_limit_all_begin_at_once() -> None:
    gate, runs = Gate(None), Runs()
    assert all(gate.enter(runs(name)) for name in "abc")
    gate.leave()
    assert runs.begun == ["a", "b", "c"]


def test_whoever_waits_begins_in_order_when_there_is_room() -> None:
    gate, runs = Gate(2), Runs()
    assert [gate.enter(runs(name)) for name in "abcd"] == [True, True, False, False]
    assert runs.begun == ["a", "b"]
    gate.leave()
    assert runs.begun == ["a", "b", "c"]
    gate.leave()
    gate.leave()
    assert runs.begun == ["a", "b", "c", "d"]
    gate.leave()
    assert [gate.enter(runs(name)) for name in "efg"] == [True, True, False]


def test_whoever_gives_up_is_passed_over() -> None:
    gate, runs = Gate(1), Runs()
    for name in "abc":
        gate.enter(runs(name))
    gate.give_up(runs("b"))
    gate.give_up(runs("a"))
    gate.leave()
    assert runs.begun == ["a", "c"]


def test_whoever_started_earlier_comes_first() -> None:
    gate, runs = Gate(1), Runs()
    gate.enter(runs("now"))
    for name, since in (("new", float("inf")), ("second", 2.0), ("first", 1.0), ("newer", float("inf"))):
        gate.enter(runs(name), since)
    gate.give_up(runs("second"))
    for _ in range(4):
        gate.leave()
    assert runs.begun == ["now", "first", "new", "newer"]

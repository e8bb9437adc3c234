"""Alarms: what rings when, and what cancelling costs."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest

from workflow_server.runtime.alarms import Alarms
from workflow_server.runtime.loop import current_port

pytestmark = pytest.mark.virtual_time


class Bell:
    """Notes when it rings."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, float]] = []
        self.began = anyio.current_time()

    def named(self, name: str) -> Callable[[], None]:
        return lambda: self.rung.append((name, round(anyio.current_time() - self.began, 3)))


async def test_alarms_ring_in_order_of_time() -> None:
    port, bell = current_port(), Bell()
    alarms = Alarms(port)
    for name, delay in (("b", 2.0), ("a", 1.0), ("c", 3.0), ("a too", 1.0)):
        alarms.set(port.now() + delay, bell.named(name))
    await anyio.sleep(5)
    assert bell.rung == [("a", 1.0), ("a too", 1.0), ("b", 2.0), ("c", 3.0)]


async def test_an_earlier_alarm_is_noticed_while_a_later_one_is_awaited() -> None:
    port, bell = current_port(), Bell()
    alarms = Alarms(port)
    alarms.set(port.now() + 100, bell.named("late"))
    await anyio.sleep(1)
    alarms.set(port.now() + 1, bell.named("early"))
    await anyio.sleep(1.5)
    assert bell.rung == [("early", 2.0)]
    await anyio.sleep(100)
    assert bell.rung[-1] == ("late", 100.0)


async def test_what_is_due_already_rings_at_once() -> None:
    port, bell = current_port(), Bell()
    Alarms(port).set(port.now() - 5, bell.named("past"))
    await anyio.sleep(0.001)
    assert bell.rung == [("past", 0.0)]


async def test_a_cancelled_alarm_does_not_ring() -> None:
    port, bell = current_port(), Bell()
    alarms = Alarms(port)
    first, _ = alarms.set(port.now() + 1, bell.named("no")), alarms.set(port.now() + 2, bell.named("yes"))
    first.cancel()
    first.cancel()
    await anyio.sleep(3)
    assert bell.rung == [("yes", 2.0)]


async def test_a_cancelled_alarm_lets_go_of_what_it_would_have_called() -> None:
    class Large:
        def ring(self) -> None: ...

    port = current_port()
    large = Large()
    reference = weakref.ref(large)
    alarm = Alarms(port).set(port.now() + 1000, large.ring)
    alarm.cancel()
    del large
    await anyio.lowlevel.checkpoint()
    gc.collect()
    assert reference() is None


async def test_ringing_may_set_and_cancel_alarms() -> None:
    port, bell = current_port(), Bell()
    alarms = Alarms(port)
    other = alarms.set(port.now() + 2, bell.named("other"))

    def ring() -> None:
        bell.named("first")()
        other.cancel()
        alarms.set(port.now() + 1, bell.named("next"))

    alarms.set(port.now() + 1, ring)
    await anyio.sleep(5)
    assert bell.rung == [("first", 1.0), ("next", 2.0)]


async def test_a_heap_of_cancelled_alarms_is_swept() -> None:
    port, bell = current_port(), Bell()
    alarms = Alarms(port)
    kept = [alarms.set(port.now() + 50 + n, bell.named("kept")) for n in range(3)]
    for n in range(1000):
        alarms.set(port.now() + 10 + n / 1000, bell.named("never")).cancel()
    assert len(alarms._heap) < 200
    await anyio.sleep(60)
    assert [name for name, _ in bell.rung] == ["kept"] * 3
    assert kept


async def test_after_the_last_alarm_a_new_one_is_awaited_again() -> None:
    port, bell = current_port(), Bell()
    alarms = Alarms(port)
    for _ in range(3):
        alarms.set(port.now() + 1, bell.named("again"))
        await anyio.sleep(2)
    assert len(bell.rung) == 3

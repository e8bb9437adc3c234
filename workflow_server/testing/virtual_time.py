"""Time that passes only when nothing else can happen: a retry after an hour is tested in a millisecond.

On trio this is `trio.testing.MockClock(autojump_threshold=0)`; asyncio has no such thing, so here is a loop
whose clock jumps to the next timer as soon as no callback and no file descriptor is ready. Work in threads
(steps that are plain functions) takes no time by that clock, so a test under it should not wait for any.

    run_in_virtual_time(main, backend="trio")        # anywhere

    @pytest.fixture(params=["asyncio", "trio"])       # a conftest.py, for tests run by anyio's pytest plugin
    def anyio_backend(request):
        return virtual_backend(request.param)

    @pytest.fixture(autouse=True)
    async def virtual_clock(anyio_backend):
        follow_virtual_time()
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, TypeVarTuple, Unpack

import anyio

from workflow_server.runtime.host import current_host

T = TypeVar("T")
Args = TypeVarTuple("Args")

EPOCH = 1_750_000_000.0
"""The wall-clock time at loop time 0."""


class _JumpingSelector(selectors.BaseSelector):
    """Looks at file descriptors without waiting; where the loop would sleep, time jumps."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now = 0.0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(None if timeout is None else 0)
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop under virtual time, which begins at 0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._jumping.now


def virtual_backend(name: str) -> tuple[str, dict[str, Any]]:
    """Return a backend under virtual time as anyio's pytest plugin wants it: a name and options.

    Args:
        name: `"asyncio"` or `"trio"`.
    """
    if name == "asyncio":
        return name, {"loop_factory": VirtualTimeLoop}
    from trio.testing import MockClock

    return name, {"clock": MockClock(autojump_threshold=0)}


def run_in_virtual_time(function: Callable[[Unpack[Args]], Awaitable[T]], *args: *Args, backend: str = "asyncio") -> T:
    """Run an async function to its end in an event loop of its own, under virtual time.

    Args:
        function: The function.
        *args: Its arguments.
        backend: `"asyncio"` or `"trio"`.

    Returns:
        What it returns; what it raises is raised.
    """

    async def main() -> T:
        follow_virtual_time()
        return await function(*args)

    name, options = virtual_backend(backend)
    return anyio.run(main, backend=name, backend_options=options)


def follow_virtual_time() -> None:
    """Have the wall clock of runs on the running loop follow the loop's own time."""
    host = current_host()
    host.clock = lambda: EPOCH + host.port.now()

"""The loop underneath: what asyncio and trio do differently, behind one small face.

A run must be able to start a task from a plain synchronous call, hold it for as long as it lives, and be
reached from threads. anyio's task groups can't do the first, so this module uses the loops' own means: an
asyncio task that is held, a trio system task. Everything else in the project uses anyio.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar, cast
from weakref import WeakKeyDictionary

from workflow_server.errors import WorkflowRuntimeError

T = TypeVar("T")

WallClock = Callable[[], float]
"""Returns seconds since the epoch."""


class LoopPort(Protocol):
    """One running event loop."""

    thread_id: int

    def spawn(self, function: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Run `function(*args)` in a task of its own that nobody needs to hold. It must not raise."""
        ...

    def call_threadsafe(self, function: Callable[[], object]) -> None:
        """Have `function` called on the loop; may be called from any thread.

        Raises:
            RuntimeError: The loop is closed.
        """
        ...

    def now(self) -> float:
        """Return the loop's own time in seconds; only differences mean anything."""
        ...

    def interrupt(self) -> None:
        """Hand a Ctrl+C that user code caught in a background task on to the main task."""
        ...


class _AsyncioPort:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.thread_id = threading.get_ident()
        self.now = loop.time
        self._loop = loop
        self._tasks: set[asyncio.Future[None]] = set()

    def spawn(self, function: Callable[..., Awaitable[None]], *args: Any) -> None:
        async def run() -> None:
            await function(*args)

        # The loop holds its tasks weakly.
        task = self._loop.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def call_threadsafe(self, function: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(function)

    def interrupt(self) -> None:
        signal.raise_signal(signal.SIGINT)


class _TrioPort:
    def __init__(self, token: Any) -> None:
        import trio

        self.thread_id = threading.get_ident()
        self.now = trio.current_time
        self._token = token
        self._spawn = trio.lowlevel.spawn_system_task

    def spawn(self, function: Callable[..., Awaitable[None]], *args: Any) -> None:
        self._spawn(function, *args, name=getattr(function, "__qualname__", None))

    def call_threadsafe(self, function: Callable[[], object]) -> None:
        self._token.run_sync_soon(function)

    def interrupt(self) -> None:
        # System tasks are protected from Ctrl+C; raised here, trio delivers it to the main task.
        signal.raise_signal(signal.SIGINT)


_ports: WeakKeyDictionary[Any, LoopPort] = WeakKeyDictionary()


def in_trio() -> bool:
    """Tell whether the caller runs inside a trio task. Asked first: trio may run as a guest on asyncio's loop."""
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


def current_port() -> LoopPort:
    """Return the port of the running loop.

    Raises:
        WorkflowRuntimeError: No event loop is running in this thread.
    """
    if in_trio():
        token: Any = sys.modules["trio"].lowlevel.current_trio_token()
        port = _ports.get(token)
        if port is None:
            port = _ports[token] = _TrioPort(token)
        return port
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise WorkflowRuntimeError(
            "Workflow.run() needs a running event loop: call it inside an async function, "
            "for example under asyncio.run(main()) or trio.run(main)"
        ) from None
    port = _ports.get(loop)
    if port is None:
        port = _ports[loop] = _AsyncioPort(loop)
    return port


def wall_time() -> float:
    """Return seconds since the epoch."""
    return time.time()


def call_on_loop(port: LoopPort, call: Callable[[], T]) -> T:
    """Return what `call` returns on the loop of `port`: called right here, or from another thread by a hop there.

    Raises:
        Exception: Whatever `call` raises.
        RuntimeError: The loop is closed.
    """
    if threading.get_ident() == port.thread_id:
        return call()
    done = threading.Event()
    outcome: list[tuple[T | None, Exception | None]] = []

    def hop() -> None:
        try:
            outcome.append((call(), None))
        except Exception as error:
            outcome.append((None, error))
        done.set()

    port.call_threadsafe(hop)
    done.wait()
    value, error = outcome[0]
    if error is not None:
        raise error
    return cast(T, value)

"""The loop underneath: what asyncio and trio do differently, behind one small face.

A run must be able to start a task from a plain synchronous call, hold it for as long as it lives, and be
reached from threads. anyio's task groups can't do the first, so this module uses the loops' own means: an
asyncio task that is held, a trio system task. Everything else in the project uses anyio.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any, Protocol, TypeVar, cast

from workflow_server.errors import WorkflowRuntimeError
from workflow_server.runtime.drive import drive

log = logging.getLogger("workflow_server")

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

    def cancellation_left(self) -> bool:
        """Tell whether a step has left a request to cancel it behind in the calling task."""
        ...

    def is_over(self) -> bool:
        """Tell whether the loop has ended for good."""
        ...


class _AsyncioPort:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.thread_id = threading.get_ident()
        self.now = loop.time
        self._loop = loop
        self._tasks: set[asyncio.Future[None]] = set()

    def spawn(self, function: Callable[..., Awaitable[None]], *args: Any) -> None:
        async def run() -> None:
            try:
                await function(*args)
            finally:
                self._tasks.discard(task)

        # Not by the loop's task factory, which may begin at once, in the middle of what is going on here; and with
        # context variables of its own, because some tasks outlive whoever's variables they would copy.
        task = asyncio.Task(run(), loop=self._loop, context=Context())
        # The loop holds its tasks weakly.
        self._tasks.add(task)

    def call_threadsafe(self, function: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(function)

    def interrupt(self) -> None:
        signal.raise_signal(signal.SIGINT)

    def cancellation_left(self) -> bool:
        task = asyncio.current_task(self._loop)
        return task is not None and task.cancelling() > 0

    def is_over(self) -> bool:
        return self._loop.is_closed()


class _TrioPort:
    def __init__(self, token: Any) -> None:
        import trio

        self.thread_id = threading.get_ident()
        self.now = trio.current_time
        self._token = token
        self._spawn = trio.lowlevel.spawn_system_task
        self._finished = trio.RunFinishedError
        # Ctrl+C is kept from system tasks, but must reach a step that computes for ever.
        trio.lowlevel.disable_ki_protection(drive)
        for function in _uninterruptible:
            trio.lowlevel.enable_ki_protection(function)

    def spawn(self, function: Callable[..., Awaitable[None]], *args: Any) -> None:
        async def run() -> None:
            try:
                await function(*args)
            except Exception:
                # Left to trio, it would end the whole program.
                log.exception("A task of the engine failed")

        self._spawn(run, name=getattr(function, "__qualname__", None))

    def call_threadsafe(self, function: Callable[[], object]) -> None:
        self._token.run_sync_soon(function)

    def interrupt(self) -> None:
        # System tasks are protected from Ctrl+C; raised here, trio delivers it to the main task.
        signal.raise_signal(signal.SIGINT)

    def cancellation_left(self) -> bool:
        return False  # it belongs to scopes, and goes with them

    def is_over(self) -> bool:
        try:
            self._token.run_sync_soon(_nothing, idempotent=True)
        except self._finished:
            return True
        return False


def _nothing() -> None:
    pass


_uninterruptible: list[Callable[..., Any]] = []

F = TypeVar("F", bound=Callable[..., Any])


def uninterruptible(function: F) -> F:
    """Let no Ctrl+C hit `function` halfway, though a step calls it (on trio; asyncio hands it to the main task)."""
    _uninterruptible.append(function)
    return function


_ports: dict[Any, LoopPort] = {}
"""By loop. A port holds its loop, so nothing goes by itself: see `_add_port`."""


def _add_port(loop: Any, port: LoopPort) -> LoopPort:
    """Remember the port of a loop, and forget those of loops that are over."""
    for other, known in list(_ports.items()):
        if known.is_over():
            _ports.pop(other, None)
    _ports[loop] = port
    return port


def in_trio() -> bool:
    """Tell whether the caller runs inside a trio task. Asked first: trio may run as a guest on asyncio's loop."""
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


def loop_is_running() -> bool:
    """Tell whether the caller runs inside an event loop."""
    return in_trio() or asyncio._get_running_loop() is not None


def current_port() -> LoopPort:
    """Return the port of the running loop.

    Raises:
        WorkflowRuntimeError: No event loop is running in this thread.
    """
    if in_trio():
        token: Any = sys.modules["trio"].lowlevel.current_trio_token()
        return _ports.get(token) or _add_port(token, _TrioPort(token))
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise WorkflowRuntimeError(
            "Workflow.run() needs a running event loop: call it inside an async function, "
            "for example under asyncio.run(main()) or trio.run(main)"
        ) from None
    return _ports.get(loop) or _add_port(loop, _AsyncioPort(loop))


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

"""Starting and stopping under an ASGI server.

Two things make this more than two calls. Service and signals are entered and left by one task, because
cancel scopes demand it. And some servers wait for every open answer before they say shutdown, which an
event stream would make them do for ever: so at the start SIGINT and SIGTERM are *chained*. The server's own
handler is called as before; beside it, the streams are told to end. An exception must not cross
this task while the server lives: it becomes a `failed` message.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from contextlib import AbstractAsyncContextManager, contextmanager
from inspect import currentframe
from types import FrameType
from typing import Any

import anyio
from anyio.lowlevel import current_token

_log = logging.getLogger("workflow_server.asgi")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def serve_lifespan(
    running: Callable[[], AbstractAsyncContextManager[object]],
    drain: Callable[[], anyio.Event | None],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Run the service from the server's startup message to its shutdown message; arguments as of `AsgiApp`."""

    def stop() -> None:
        if (stopping := drain()) is not None:
            stopping.set()

    phase = "startup"
    await receive()
    try:
        async with running():
            with chained_signals(stop):
                await send({"type": "lifespan.startup.complete"})
                phase = "shutdown"
                await receive()
    except Exception as error:
        _log.exception("The %s of the service failed.", phase)
        await send({"type": f"lifespan.{phase}.failed", "message": str(error)})
    else:
        await send({"type": "lifespan.shutdown.complete"})


@contextmanager
def chained_signals(on_stop: Callable[[], None]) -> Generator[None]:
    """Call `on_stop` at the first SIGINT or SIGTERM, and then whoever handles that signal already.

    Both are called on the running loop; later signals go to their handlers at once. A signal that nobody handles
    (its default action ends the process, or it is ignored) stays as it is, and outside the main thread,
    where Python allows no handlers, nothing is done. At the end the handlers found are put back,
    unless somebody else has replaced ours by then.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    token: Any = current_token().native_token
    schedule: Callable[..., object] = getattr(token, "run_sync_soon", None) or token.call_soon_threadsafe
    found: dict[int, Callable[[int, FrameType | None], Any]] = {}
    stopping = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        if stopping:
            found[number](number, frame)
        else:
            stopping = True
            schedule(stop, number)

    def stop(number: int) -> None:
        on_stop()
        # trio's handler raises KeyboardInterrupt in whatever task the signal met, half an answer
        # included, unless it is called, as here, by the loop itself.
        found[number](number, currentframe())

    for number in _SIGNALS:
        handler = signal.getsignal(number)
        if callable(handler):
            found[number] = handler
            signal.signal(number, handle)
    try:
        yield
    finally:
        for installed, before in found.items():
            if signal.getsignal(installed) is handle:
                signal.signal(installed, before)

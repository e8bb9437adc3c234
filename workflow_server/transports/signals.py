"""Ctrl+C and SIGTERM as a request to stop.

`signal.signal` with the loop's own thread-safe call, because the alternatives were found wanting:
without handlers `asyncio.run` cancels the main task and ends in a traceback, trio raises KeyboardInterrupt
wherever it happens to be, `add_signal_handler` is absent on Windows, and anyio's
`open_signal_receiver` leaves another handler behind than the one it found.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from anyio.lowlevel import current_token

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_signals(on_stop: Callable[[str], None]) -> Generator[None]:
    """Call `on_stop` on the running loop when SIGINT or SIGTERM arrives first; later ones of SIGTERM are ignored.

    SIGINT after a stop has been asked for ends the process at once, as if nobody handled it.
    Outside the main thread, where Python allows no handlers, nothing is done. The handlers
    found at the start are put back at the end, exactly.

    Args:
        on_stop: Gets the signal's name, `"SIGINT"` or `"SIGTERM"`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    schedule = _scheduler()
    stopping = False

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            schedule(on_stop, signal.Signals(number).name)
        elif number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)

    found = {number: signal.getsignal(number) for number in _SIGNALS}
    # None: installed by something that is not Python, and impossible to put back; left alone.
    ours = [number for number, handler in found.items() if handler is not None]
    try:
        for number in ours:
            signal.signal(number, handle)
        yield
    finally:
        for number in ours:
            signal.signal(number, found[number])


def _scheduler() -> Callable[..., Any]:
    """Return the running loop's function that runs a callback soon and may be called from a signal handler."""
    token: Any = current_token().native_token
    if hasattr(token, "run_sync_soon"):
        run_sync_soon: Callable[..., Any] = token.run_sync_soon
        return run_sync_soon
    call_soon_threadsafe: Callable[..., Any] = token.call_soon_threadsafe
    return call_soon_threadsafe

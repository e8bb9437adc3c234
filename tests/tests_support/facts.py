"""Waiting for a fact that sets no event of this loop, because a thread makes it true, or many turns of the loop do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio


async def until(fact: Callable[[], object | Awaitable[object]], within: float = 10) -> None:
    """Return once `fact()` is true.

    Args:
        fact: A plain or an async function.
        within: Seconds after which it counts as never becoming true.
    """
    with anyio.fail_after(within):
        while True:
            found = fact()
            if await found if isinstance(found, Awaitable) else found:
                return
            await anyio.sleep(0.005)

"""Waiting for a fact that sets no event of this loop, and counting the turns that others get."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel


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


class Turns:
    """How often another task has had its turn."""

    count = 0


@asynccontextmanager
async def counting_turns() -> AsyncGenerator[Turns]:
    """Count the turns that a task beside the block gets, whatever the block does."""
    turns = Turns()

    async def count() -> None:
        while True:
            turns.count += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        yield turns
        tasks.cancel_scope.cancel()

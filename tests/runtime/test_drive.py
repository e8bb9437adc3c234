"""A coroutine inside another task, with context variables of its own."""

from __future__ import annotations

from contextvars import Context, ContextVar, copy_context
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from workflow_server.runtime.drive import drive

VARIABLE: ContextVar[str] = ContextVar("variable", default="unset")


async def test_it_returns_and_raises_what_the_coroutine_does() -> None:
    async def returns() -> int:
        await anyio.lowlevel.checkpoint()
        return 3

    async def raises() -> None:
        await anyio.lowlevel.checkpoint()
        raise KeyError("no")

    assert await drive(returns(), copy_context()) == 3
    with pytest.raises(KeyError):
        await drive(raises(), copy_context())


async def test_variables_are_those_of_the_context_at_every_turn() -> None:
    seen: list[str] = []

    async def looks() -> None:
        seen.append(VARIABLE.get())
        VARIABLE.set("inside")
        await anyio.lowlevel.checkpoint()
        seen.append(VARIABLE.get())

    VARIABLE.set("outside")
    variables = Context()
    await drive(looks(), variables)
    assert seen == ["unset", "inside"]
    assert VARIABLE.get() == "outside"
    assert variables[VARIABLE] == "inside"


async def test_cancellation_reaches_the_coroutine_and_may_be_handled_there() -> None:
    seen: list[str] = []

    async def waits() -> str:
        try:
            await anyio.sleep_forever()
        finally:
            seen.append("unwound")
        return "never"

    async def handles() -> str:
        with anyio.move_on_after(0.01):
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()
        return "went on"

    with anyio.move_on_after(0.01) as scope:
        await drive(waits(), copy_context())
    assert scope.cancelled_caught
    assert seen == ["unwound"]
    assert await drive(handles(), copy_context()) == "went on"


async def test_task_groups_inside_inherit_the_variables() -> None:
    async def spawns() -> list[str]:
        VARIABLE.set("step")
        seen: list[str] = []

        async def child() -> None:
            seen.append(VARIABLE.get())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child)
        return seen

    assert await drive(spawns(), copy_context()) == ["step"]


def test_closing_it_closes_the_coroutine_in_its_own_variables() -> None:
    seen: list[Any] = []

    class Once:
        def __await__(self) -> Any:
            yield "suspended"

    async def waits() -> None:
        try:
            await Once()
        finally:
            seen.append(VARIABLE.get())

    variables = Context()
    variables.run(VARIABLE.set, "own")
    driven = drive(waits(), variables)
    assert driven.send(None) == "suspended"
    driven.close()
    assert seen == ["own"]


async def test_a_coroutine_that_raises_generator_exit_is_not_closing_anything() -> None:
    async def odd() -> None:
        raise GeneratorExit

    with pytest.raises(RuntimeError, match="raised GeneratorExit"):
        await drive(odd(), copy_context())

"""Running a coroutine inside another task as if it had a task of its own.

Each step has its own context variables, yet no task of its own: the worker drives its coroutine by hand and
switches the context at each turn. On asyncio and trio alike, whatever the coroutine yields to the loop is handed
through, and whatever the loop sends or throws goes back in.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")


@coroutine
def drive(
    steps: Coroutine[Any, Any, T], context: Context, on_suspension: Callable[[], None] | None = None
) -> Generator[Any, Any, T]:
    """Await `steps` with the context variables of `context`.

    Args:
        steps: The coroutine.
        context: Entered for each stretch of it between two suspensions.
        on_suspension: Called each time it has suspended itself.

    Returns:
        What it returns; what it raises is raised.
    """
    advance: Callable[[Any], Any] = steps.send
    value: Any = None
    while True:
        try:
            yielded = context.run(advance, value)
        except StopIteration as stop:
            result: T = stop.value
            return result
        except GeneratorExit as error:
            # Nobody closes it here; left as it is, it would look as if the loop closed the worker.
            raise RuntimeError("The coroutine raised GeneratorExit") from error
        if on_suspension is not None:
            on_suspension()
        try:
            value = yield yielded
            advance = steps.send
        except GeneratorExit:
            context.run(steps.close)
            raise
        except BaseException as error:
            advance, value = steps.throw, error

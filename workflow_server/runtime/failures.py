"""What may come out of a step besides a result, and what each means.

Exception, SystemExit    the step failed
a cancellation that the run did not ask for   the step failed: it leaked one of its own tasks' cancellations
a cancellation that hits everything on the loop    the loop is closing, and the worker with it
KeyboardInterrupt        is handed to the main task, and no input at all
"""

from __future__ import annotations

import asyncio
import math
import zlib
from typing import cast

import anyio

from workflow_server.definition.retry import RetryPolicy, next_delay
from workflow_server.engine.inputs import Failure
from workflow_server.engine.state import WorkItem
from workflow_server.errors import SerializationError, WorkflowRuntimeError
from workflow_server.events import exception_text
from workflow_server.naming import qualified_name
from workflow_server.runtime.loop import in_trio


def closes_loop(error: BaseException, stopped: bool) -> bool:
    """Tell whether `error` must leave the worker, because the loop or the coroutine itself is ending.

    Args:
        error: What a step raised.
        stopped: Whether its run has cancelled it, which explains a cancellation.
    """
    if isinstance(error, GeneratorExit):
        return True
    if stopped or not _holds(error, anyio.get_cancelled_exc_class()):
        return False
    if in_trio():
        # The worker is cancelled only with all system tasks; another Cancelled was kept and raised again by the step.
        return anyio.current_effective_deadline() == -math.inf
    # `asyncio.run` cancels every task as it leaves.
    return all(task.cancelling() for task in asyncio.all_tasks())


def is_interrupt(error: BaseException) -> bool:
    """Tell whether `error` is a Ctrl+C, perhaps among other errors."""
    return _holds(error, KeyboardInterrupt)


def _holds(error: BaseException, kind: type[BaseException]) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).subgroup(kind) is not None
    return isinstance(error, kind)


def as_failure(step: str, error: BaseException) -> BaseException:
    """Return the exception to report for `error`: itself, unless raising it again elsewhere would do harm."""
    if isinstance(error, Exception):
        return error
    if isinstance(error, SystemExit):
        failure = WorkflowRuntimeError(f"Step {step} tried to exit the program: SystemExit({error.code!r})")
    elif _holds(error, anyio.get_cancelled_exc_class()):
        failure = WorkflowRuntimeError(f"Step {step} was cancelled by something other than its run")
    else:
        failure = WorkflowRuntimeError(f"Step {step} raised {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure


def failure_of(error: BaseException) -> Failure:
    """Return `error` as the engine records it."""
    return Failure(error, qualified_name(type(error)), exception_text(error))


def ask_policy(
    policy: RetryPolicy | None, item: WorkItem, at: float, run_id: str, error: BaseException
) -> tuple[BaseException, float | None]:
    """Ask the retry policy of a step for its verdict on a failure, unless trying again would only repeat it.

    Args:
        policy: The step's policy, if it has one.
        item: What failed.
        at: When, in seconds since the epoch.
        run_id: The run; with item and attempt it gives the seed of policies that draw random numbers.
        error: What the step raised.

    Returns:
        The failure, or what the policy raised instead; and seconds to wait, `None` for no further attempt.
    """
    if policy is None or not isinstance(error, Exception) or isinstance(error, SerializationError):
        return error, None
    elapsed = 0.0 if item.first_started is None else at - item.first_started
    seed = zlib.crc32(f"{run_id}/{item.step}/{item.failures}".encode())
    try:
        return error, next_delay(policy, elapsed, item.failures + 1, error, seed)
    except Exception as policy_error:
        policy_error.__cause__ = error
        return policy_error, None

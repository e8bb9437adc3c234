"""Checks of what the decorators are given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, cast, get_args

from workflow_server.errors import WorkflowValidationError

StepGraphCheck = Literal["reachability", "dead_end"]
"""Checks of the graph that a single step may opt out of."""

_STEP_CHECKS: tuple[str, ...] = get_args(StepGraphCheck)


def is_positive_int(value: object) -> bool:
    """Return whether `value` is a whole number from 1; `True` is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_list_of_names(value: object) -> bool:
    """Return whether `value` is `None` or a list of texts."""
    return value is None or (
        isinstance(value, list) and all(isinstance(one, str) for one in cast("list[object]", value))
    )


def need_function(function: object, decorator: str) -> None:
    """Refuse what is no plain function.

    Raises:
        WorkflowValidationError: It is something else; the message names the decorator.
    """
    if isinstance(function, (staticmethod, classmethod)):
        raise WorkflowValidationError(f"{decorator} decorates plain methods, not a staticmethod or classmethod")
    if not callable(function) or not hasattr(function, "__qualname__") or isinstance(function, type):
        raise WorkflowValidationError(f"{decorator} decorates functions, got {function!r}")


def check_execution(num_workers: object, retry_policy: object, where: str) -> None:
    """Refuse a number of workers or a retry policy that can't be one.

    Raises:
        WorkflowValidationError: It is none; the message says where.
    """
    if not is_positive_int(num_workers):
        raise WorkflowValidationError(f"num_workers must be an integer greater than 0 ({where})")
    if retry_policy is not None and not callable(getattr(retry_policy, "next", None)):
        raise WorkflowValidationError(f"retry_policy must have a method next, got {retry_policy!r} ({where})")


def known_checks(names: Iterable[str] | None, where: str) -> frozenset[str]:
    """Return the names of graph checks that a step skips.

    Raises:
        WorkflowValidationError: There is no such check.
    """
    checks = frozenset([names] if isinstance(names, str) else names or ())
    if unknown := sorted(checks.difference(_STEP_CHECKS)):
        raise WorkflowValidationError(
            f"Unknown graph check names: {', '.join(unknown)} ({where}); a step may skip {', '.join(_STEP_CHECKS)}"
        )
    return checks

"""Which failures are worth another attempt: predicates over exceptions.

A predicate is any callable from an exception to a truth value. Those made here combine with `|` and
`&`, also with plain functions on either side. The names are those of the tenacity library.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Predicate = Callable[[BaseException], bool]
"""Tells whether a step that raised this exception is worth another attempt."""

ExceptionTypes = type[BaseException] | tuple[type[BaseException], ...]
"""An exception class, or several."""


class RetryPredicate:
    """What all predicates of this module share: they combine."""

    def __call__(self, error: BaseException) -> bool:
        raise NotImplementedError

    def __or__(self, other: Predicate) -> retry_any:
        return retry_any(self, other)

    def __ror__(self, other: Predicate) -> retry_any:
        return retry_any(other, self)

    def __and__(self, other: Predicate) -> retry_all:
        return retry_all(self, other)

    def __rand__(self, other: Predicate) -> retry_all:
        return retry_all(other, self)


class retry_any(RetryPredicate):
    """True if one of the predicates is.

    Args:
        *retries: The predicates; without any it is false.
    """

    def __init__(self, *retries: Predicate) -> None:
        self.retries = retries

    def __call__(self, error: BaseException) -> bool:
        return any(retry(error) for retry in self.retries)


class retry_all(RetryPredicate):
    """True if all of the predicates are.

    Args:
        *retries: The predicates; without any it is true.
    """

    def __init__(self, *retries: Predicate) -> None:
        self.retries = retries

    def __call__(self, error: BaseException) -> bool:
        return all(retry(error) for retry in self.retries)


@dataclass(frozen=True)
class retry_if_exception(RetryPredicate):
    """True if a function says so.

    Args:
        predicate: Is given the exception.
    """

    predicate: Predicate

    def __call__(self, error: BaseException) -> bool:
        return self.predicate(error)


@dataclass(frozen=True)
class retry_if_exception_type(RetryPredicate):
    """True for exceptions of these classes.

    Args:
        exception_types: A class or a tuple of classes; subclasses count.
    """

    exception_types: ExceptionTypes = Exception

    def __call__(self, error: BaseException) -> bool:
        return isinstance(error, self.exception_types)


@dataclass(frozen=True)
class retry_if_not_exception_type(RetryPredicate):
    """True for all exceptions but those of these classes.

    Args:
        exception_types: A class or a tuple of classes; subclasses count.
    """

    exception_types: ExceptionTypes = Exception

    def __call__(self, error: BaseException) -> bool:
        return not isinstance(error, self.exception_types)


class retry_unless_exception_type(retry_if_not_exception_type):
    """The same as `retry_if_not_exception_type`."""


@dataclass(frozen=True)
class retry_if_exception_message(RetryPredicate):
    """True if the text of the exception is as wanted.

    Args:
        message: The whole text.
        match: A regular expression that is searched for in the text.

    Raises:
        TypeError: Neither is given, or both are.
    """

    message: str | None = None
    match: str | re.Pattern[str] | None = None

    def __post_init__(self) -> None:
        if self.message is not None and self.match is not None:
            raise TypeError(f"{type(self).__name__}() takes either 'message' or 'match', not both")
        if self.message is None and self.match is None:
            raise TypeError(f"{type(self).__name__}() missing 1 required argument 'message' or 'match'")

    def __call__(self, error: BaseException) -> bool:
        if self.match is not None:
            return re.search(self.match, str(error)) is not None
        return str(error) == self.message


class retry_if_not_exception_message(retry_if_exception_message):
    """True unless the text of the exception is as described; takes what `retry_if_exception_message` takes."""

    def __call__(self, error: BaseException) -> bool:
        return not super().__call__(error)


@dataclass(frozen=True)
class retry_if_exception_cause_type(RetryPredicate):
    """True if one of the exceptions that led to this one (`raise … from …`) is of these classes.

    Args:
        exception_types: A class or a tuple of classes; subclasses count.
    """

    exception_types: ExceptionTypes = Exception

    def __call__(self, error: BaseException) -> bool:
        return any(isinstance(cause, self.exception_types) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause = error.__cause__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__


class retry_always(RetryPredicate):
    """True for every exception."""

    def __call__(self, error: BaseException) -> bool:
        return True


class retry_never(RetryPredicate):
    """True for no exception."""

    def __call__(self, error: BaseException) -> bool:
        return False

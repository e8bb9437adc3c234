"""Dataclasses that type checkers hold to be frozen, and that are made as fast as plain ones.

A frozen dataclass sets each field through `object.__setattr__`, which makes it three times as slow to
construct; a request makes some twenty. Both type checkers are run in strict mode, so what they refuse
need not be refused again at run time. Equality and hashes are those of a frozen dataclass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    import dataclasses

    def dataclass(*, frozen=False, slots=False):
        """Return a class decorator; see `dataclasses.dataclass`."""
        return dataclasses.dataclass(slots=slots, unsafe_hash=frozen)

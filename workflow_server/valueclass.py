"""Dataclasses that are made fast, and so are their instances.

A frozen dataclass sets each field through `object.__setattr__`, which makes it three times as slow to
construct; a request makes some twenty. Here only type checkers hold it to be frozen: both are run in strict
mode, so what they refuse need not be refused again at run time. Equality and hashes are those of a frozen one.
What programs make and hand over (policies, limits, ways to collect) is frozen by the standard library.

The standard library compiles the text of each method of each class, which took a tenth of the start. Here that
is done for `__init__` alone; the others are made of the names of the fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    import dataclasses
    from operator import attrgetter

    def dataclass(*, frozen=False, slots=False, eq=True):
        """Return a class decorator; see `dataclasses.dataclass`."""

        def make(cls):
            cls = dataclasses.dataclass(slots=slots, repr=False, eq=False)(cls)
            fields = dataclasses.fields(cls)
            methods = {"__repr__": _repr([field.name for field in fields if field.repr])}
            if eq:
                compared = [field.name for field in fields if field.compare]
                values = attrgetter(*compared) if compared else type
                methods |= {"__eq__": _eq(values), "__hash__": _hash(values) if frozen else None}
            for name, method in methods.items():
                if vars(cls).get(name) is None:  # not its own
                    setattr(cls, name, method)
            return cls

        return make

    def _repr(names):
        def represent(self):
            return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

        return represent

    def _eq(values):
        def equal(self, other):
            return values(self) == values(other) if self.__class__ is other.__class__ else NotImplemented

        return equal

    def _hash(values):
        def hashed(self):
            return hash(values(self))

        return hashed

"""Fresh ids: the one place where the runtime draws random numbers."""

from __future__ import annotations

import os
import secrets
import string

_ID_CHARACTERS = (string.ascii_letters + string.digits).encode()
# 256 is no multiple of 62, so some characters come a little more often: no harm in an id.
_AS_ID = bytes(_ID_CHARACTERS[byte % len(_ID_CHARACTERS)] for byte in range(256))

_AT_A_TIME = 64
"""Ids drawn with one call of the operating system."""
_pool: list[str] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.clear)  # parent and child must not give out the same ids


def new_id() -> str:
    """Return a fresh id: ten random letters and digits."""
    while True:
        try:
            return _pool.pop()
        except IndexError:  # not looked at before: the loop of another thread may take the last one meanwhile
            drawn = secrets.token_bytes(10 * _AT_A_TIME).translate(_AS_ID).decode("ascii")
            _pool.extend(drawn[place : place + 10] for place in range(0, len(drawn), 10))

"""Fresh ids: the one place where the runtime draws random numbers."""

from __future__ import annotations

import secrets
import string

_ID_CHARACTERS = (string.ascii_letters + string.digits).encode()
# 256 is no multiple of 62, so some characters come a little more often: no harm in an id.
_AS_ID = bytes(_ID_CHARACTERS[byte % len(_ID_CHARACTERS)] for byte in range(256))


def new_id() -> str:
    """Return a fresh id: ten random letters and digits."""
    return secrets.token_bytes(10).translate(_AS_ID).decode("ascii")

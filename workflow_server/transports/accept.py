"""Accepting that nothing stops but the server itself.

Running out of file descriptors, or a client that resets while it waits in the backlog, makes
`accept` raise; anyio's own `serve` would end there. Here the first failure in a row is logged,
the loop pauses and goes on. The clients meanwhile wait in the backlog.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable

import anyio
from anyio.abc import SocketListener, SocketStream

logger = logging.getLogger(__name__)

PAUSE = 0.1
"""Seconds until the next attempt after a failure."""

_CLIENT_LEFT = (errno.ECONNABORTED, errno.ECONNRESET, errno.EPROTO)


async def accept_forever(listener: SocketListener, admit: Callable[[SocketStream], None]) -> None:
    """Hand every accepted connection to `admit`, until cancelled or until `listener` is closed."""
    failing = False
    while True:
        try:
            stream = await listener.accept()
        except anyio.ClosedResourceError:
            return
        except (OSError, anyio.BrokenResourceError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__  # trio's errors come wrapped
            if isinstance(cause, OSError) and cause.errno in _CLIENT_LEFT:
                continue
            if not failing:
                logger.error("Connections can't be accepted for now (%s); trying again until it works.", cause)
            failing = True
            await anyio.sleep(PAUSE)
            continue
        if failing:
            logger.warning("Connections are accepted again.")
            failing = False
        admit(stream)

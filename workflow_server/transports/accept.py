"""Accepting that nothing stops but the server itself.

Running out of file descriptors, or a client that resets while it waits in the backlog, makes
`accept` raise. The first failure in a row is logged, the loop pauses and goes on. The clients
meanwhile wait in the backlog.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable

import anyio

from workflow_server.transports.client_socket import ClientSocket

logger = logging.getLogger(__name__)

PAUSE = 0.1
"""Seconds until the next attempt after a failure."""

_CLIENT_LEFT = (errno.ECONNABORTED, errno.ECONNRESET, errno.EPROTO)


async def accept_forever(listener: socket.socket, admit: Callable[[ClientSocket], None]) -> None:
    """Hand every accepted connection to `admit`, until cancelled."""
    failing = False
    while True:
        try:
            await anyio.wait_readable(listener)
            raw, _ = listener.accept()
            client = ClientSocket(raw)
        except BlockingIOError:  # somebody else took the client, or it left
            continue
        except OSError as error:
            if error.errno in _CLIENT_LEFT:
                continue
            if not failing:
                logger.error("Connections can't be accepted for now (%s); trying again until it works.", error)
            failing = True
            await anyio.sleep(PAUSE)
            continue
        if failing:
            logger.warning("Connections are accepted again.")
            failing = False
        admit(client)

"""What all runs of one loop share: its port, its alarms, its threads for synchronous steps, its clock."""

from __future__ import annotations

from typing import Any

import anyio

from workflow_server.runtime.alarms import Alarms
from workflow_server.runtime.loop import LoopPort, WallClock, current_port, wall_time
from workflow_server.runtime.threads import StepThreads


class Host:
    """The shared means of one loop.

    Args:
        port: The loop.
        clock: Returns seconds since the epoch; tests under virtual time bring their own.
    """

    def __init__(self, port: LoopPort, clock: WallClock = wall_time) -> None:
        self.port = port
        self.clock = clock
        self.alarms = Alarms(port)
        self.threads = StepThreads(port)
        # What anyio makes on this loop: asked by every run, it would find out each time which loop that is.
        self.new_event: type[anyio.Event] = type(anyio.Event())
        self.new_scope: type[anyio.CancelScope] = type(anyio.CancelScope())
        self.alive: dict[str, Any] = {}
        """Runs by id: nobody need hold a run's handler to keep it alive."""


_hosts: dict[LoopPort, Host] = {}


def current_host() -> Host:
    """Return the host of the running loop.

    Raises:
        WorkflowRuntimeError: No event loop is running in this thread.
    """
    port = current_port()
    host = _hosts.get(port)
    if host is None:
        for other in list(_hosts):
            if other.is_over():
                _hosts.pop(other, None)
        host = _hosts[port] = Host(port)
    return host

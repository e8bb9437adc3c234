"""What can be set about handlers."""

from __future__ import annotations

from workflow_server.valueclass import dataclass


@dataclass(frozen=True, slots=True)
class ManagerOptions:
    """Times are seconds."""

    heartbeat: float | None = 15.0
    """A silent event stream sends a heartbeat after this; `None` for never."""
    cancel_within: float = 5.0
    """How long a cancel waits for steps to stop."""
    accept_context_api: bool = False
    """Whether clients may hand in a context to start from."""
    idle_timeout: float | None = 60.0
    """A run that only waits leaves memory after this; `None` for never."""
    max_active_runs: int | None = 10_000
    """How many runs may be in memory; further ones queue. `None` for any number."""
    shutdown_grace: float = 10.0
    """How long stopping lets running steps go on."""

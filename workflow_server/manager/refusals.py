"""What a handler's client is refused, and in which words."""

from __future__ import annotations

from workflow_server.api.outcomes import Refusal, Refused

NO_HANDLER = Refused(Refusal.NOT_FOUND, "Handler not found")
UNSTORABLE = Refused(Refusal.INVALID, "The store refused what the run begins with.")


def _later(detail: str) -> Refused:
    return Refused(Refusal.UNAVAILABLE, detail, retry_after=1)


STOPPING = _later("The server is stopping; try again soon.")
STORE_IS_OUT = _later("The store can't be reached for now; try again soon.")
CANCEL_NOT_STORED = _later("The cancel is not stored yet, because the store can't be reached for now; ask again soon.")
CHANGED_MEANWHILE = _later("Somebody else changed the handler in this very moment; ask again.")
LET_GO = _later("The store refused what the run wrote, and it is loaded again; try again soon.")


def invalid(detail: str) -> Refused:
    """Return the refusal of what the client got wrong."""
    return Refused(Refusal.INVALID, detail)


def already_running(handler_id: str) -> Refused:
    """Return the refusal of a second run beside the first."""
    return Refused(Refusal.CONFLICT, f"Handler '{handler_id}' is already running")


def still_running(handler_id: str) -> Refused:
    """Return the answer to who waited for the end of a run in vain."""
    return _later(f"The server is stopping before the run has ended; ask for handler {handler_id} later.")


def stale(waiter_id: str) -> Refused:
    """Return the answer to an answer that comes too late."""
    return Refused(Refusal.CONFLICT, f"Stale answer: nothing waits as {waiter_id!r} any more")


def other_payload(key: str) -> Refused:
    """Return the refusal of an idempotency key that belongs to another request."""
    detail = f"Idempotency-Key {key!r} was used already, for a request that asked for something else"
    return Refused(Refusal.CONFLICT, detail)

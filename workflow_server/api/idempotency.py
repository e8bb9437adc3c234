"""Keys by which a client marks a request that it may have to send again.

The same key with the same payload is the same request, which is done once; with another payload it is a mistake.
Payloads are compared by a digest of what they say, so that spaces and the order of keys don't matter.
Source: the IETF's draft "The Idempotency-Key HTTP Header Field"; its text is taken as it comes, with or without quotes.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from workflow_server.wire.records import IdempotencyKey

LONGEST = 256
"""Characters of a key."""


def start_key(header: str | None, payload: Any) -> tuple[IdempotencyKey, ...]:
    """Return the key of a request that starts a run: none, or one.

    Args:
        header: `Idempotency-Key`.
        payload: What the request asks for, as JSON values.

    Raises:
        ValueError: It is no key; the text is the end of a sentence.
    """
    return _key(header, "", payload)


def event_keys(header: str | None, handler_id: str, waiter_id: str | None, payload: Any) -> tuple[IdempotencyKey, ...]:
    """Return the keys of a request that sends an event: the client's, and another one if it answers a question.

    Args:
        header: `Idempotency-Key`.
        handler_id: Whom the event is for.
        waiter_id: The question.
        payload: What the request asks for, as JSON values.

    Raises:
        ValueError: It is no key; the text is the end of a sentence.
    """
    # No handler's id has a slash, so the keys of questions are apart from those of clients.
    answers = () if waiter_id is None else (IdempotencyKey(f"{handler_id}/waits", waiter_id, _digest(payload)),)
    return _key(header, handler_id, payload) + answers


def _key(text: str | None, scope: str, payload: Any) -> tuple[IdempotencyKey, ...]:
    if text is None:
        return ()
    text = text.strip()
    if not text:
        raise ValueError("must not be empty")
    if len(text) > LONGEST:
        raise ValueError(f"must not be longer than {LONGEST} characters")
    if not text.isprintable():
        raise ValueError("must not contain control characters or invisible ones")
    return (IdempotencyKey(scope, text, _digest(payload)),)


def _digest(payload: Any) -> str:
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()

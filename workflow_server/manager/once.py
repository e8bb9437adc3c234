"""Doing once what is asked for twice: requests that carry idempotency keys.

A key is committed with what its request did, so whether it was done is known to the store alone. Requests with one key
take turns, and each first waits for what is on its way to the store: a request whose client went away in the middle
of it may still be committed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress

import anyio

from workflow_server.api.outcomes import Refused
from workflow_server.errors import StoreError
from workflow_server.manager.active_run import ActiveRun
from workflow_server.manager.refusals import other_payload, stale
from workflow_server.stores.base import AbstractWorkflowStore, KeptKey
from workflow_server.wire.records import IdempotencyKey


class Once:
    """Who is at work under which key.

    Args:
        store: Holds the keys of what was done.
    """

    def __init__(self, store: AbstractWorkflowStore) -> None:
        self._store = store
        self._turns: dict[tuple[str, str], anyio.Event] = {}

    @asynccontextmanager
    async def turn(self, keys: Sequence[IdempotencyKey]) -> AsyncGenerator[None]:
        """Let nobody else be at work under any of `keys` while the block runs."""
        names = [(key.scope, key.text) for key in keys]
        while others := [self._turns[name] for name in names if name in self._turns]:
            await others[0].wait()
        ended = anyio.Event()
        self._turns.update(dict.fromkeys(names, ended))
        try:
            yield
        finally:
            for name in names:
                del self._turns[name]
            ended.set()

    async def done(self, keys: Sequence[IdempotencyKey], live: ActiveRun | None) -> KeptKey | Refused | None:
        """Tell whether a request with one of `keys` was done before.

        Args:
            keys: The request's.
            live: The run that it is about, if that is in memory.

        Returns:
            The key as it was kept, what to answer if that request was another one, or `None` if it is to be done.
        """
        if keys and live is not None:
            with suppress(StoreError):  # dropped: the store says what was done
                await live.journal.settled()
        for key in keys:
            kept = await self._store.key(key.scope, key.text)
            if kept is not None:
                return kept if kept.payload == key.payload else _another(key)
        return None


def _another(key: IdempotencyKey) -> Refused:
    return stale(key.text) if key.scope.endswith("/waits") else other_payload(key.text)

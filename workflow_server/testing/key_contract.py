"""What every store does with idempotency keys: a part of `store_contract`."""

from __future__ import annotations

from dataclasses import replace

from workflow_server.stores.base import AbstractWorkflowStore, KeptKey, Verdict
from workflow_server.testing.batches import finished, first, ids, next_of, put
from workflow_server.wire.records import IdempotencyKey


class KeyContract:
    """A key is committed with its batch, refuses a second start, and goes with its handler."""

    async def test_a_key_is_kept_with_what_it_came_with(self, store: AbstractWorkflowStore) -> None:
        start, sent = IdempotencyKey("", "k", "p"), IdempotencyKey("h", "k", "q")
        batch = replace(first(), keys=(start,))
        await put(store, batch)
        assert await store.key("", "k") == KeptKey("p", "r")
        assert await store.key("h", "k") is None
        await put(store, replace(next_of(batch), keys=(sent, IdempotencyKey("h", 'q"é', "r"))))
        assert await store.key("h", "k") == KeptKey("q", "r")
        assert await store.key("h", 'q"é') == KeptKey("r", "r")
        assert await store.key("other", "k") is None

    async def test_a_run_does_not_begin_with_a_key_that_is_kept(self, store: AbstractWorkflowStore) -> None:
        key = IdempotencyKey("", "k", "p")
        one, other = replace(first(), keys=(key,)), replace(first("other", "ro"), keys=(key._replace(payload="q"),))
        await put(store, one)
        assert await store.commit([other, first("more", "rm")]) == [Verdict.TAKEN, Verdict.DONE]
        assert await store.commit([replace(first("h", "r2"), keys=(key,))]) == [Verdict.TAKEN], "not CONFLICT"
        assert await store.handler("other") is None
        assert await store.key("", "k") == KeptKey("p", "r")

    async def test_of_two_starts_with_one_key_in_a_group_one_is_done(self, store: AbstractWorkflowStore) -> None:
        key = IdempotencyKey("", "k", "p")
        group = [replace(first(f"h{n}", f"r{n}"), keys=(key,)) for n in range(3)]
        assert await store.commit(group) == [Verdict.DONE, Verdict.TAKEN, Verdict.TAKEN]
        assert await ids(store) == ["h0"]
        assert await store.key("", "k") == KeptKey("p", "r0")

    async def test_a_later_batch_may_bring_a_key_again(self, store: AbstractWorkflowStore) -> None:
        batch = replace(first(), keys=(IdempotencyKey("h", "k", "p"),))
        await put(store, batch, replace(next_of(batch), keys=(IdempotencyKey("h", "k", "q"),)))
        assert await store.key("h", "k") == KeptKey("p", "r")

    async def test_a_refused_batch_leaves_no_key(self, store: AbstractWorkflowStore) -> None:
        await put(store, first())
        key = IdempotencyKey("", "k", "p")
        assert await store.commit([replace(first("h", "r2"), keys=(key,))]) == [Verdict.CONFLICT]
        assert await store.key("", "k") is None
        await put(store, replace(first("h2", "r2"), keys=(key,)))

    async def test_keys_go_with_their_handler(self, store: AbstractWorkflowStore) -> None:
        key, later = IdempotencyKey("", "k", "p"), IdempotencyKey("h", "k", "q")
        old = replace(first("h", "r1"), keys=(key,))
        await put(store, old, finished(old), replace(first("h", "r2"), keys=(later,)), first("h3", "r3"))
        assert await store.key("", "k") == KeptKey("p", "r1"), "an earlier run keeps its keys"
        assert await store.delete("h") is True
        assert await store.key("", "k") is None
        assert await store.key("h", "k") is None
        await put(store, replace(first("again", "ra"), keys=(key,)))

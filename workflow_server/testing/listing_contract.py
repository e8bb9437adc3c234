"""What a store must do about listings of handlers: the part of `store_contract` that is about pages and filters."""

from __future__ import annotations

from typing import Any

import pytest

from workflow_server.stores.base import AbstractWorkflowStore, HandlerQuery
from workflow_server.testing.batches import finished, first, listed, next_of, put


class ListingContract:
    """What holds for the listings of every store; `store` is a started, empty one."""

    pytestmark = pytest.mark.anyio

    async def test_handlers_in_order_of_starting_page_by_page(self, store: AbstractWorkflowStore) -> None:
        names = [f"h{n}" for n in (3, 1, 2, 5, 4)]
        await put(store, *(first(name, f"r-{name}") for name in names))
        found: list[str] = []
        cursor: str | None = None
        pages = 0
        while True:
            page, cursor = await store.handlers(HandlerQuery(), cursor, 2)
            found += [one.handler_id for one in page]
            pages += 1
            if cursor is None:
                break
        assert found == names
        assert pages == 3
        assert await listed(store, newest_first=True) == names[::-1]

    async def test_a_page_after_a_handler_that_was_deleted(self, store: AbstractWorkflowStore) -> None:
        await put(store, *(first(name, f"r-{name}") for name in "abcd"))
        _, cursor = await store.handlers(HandlerQuery(), None, 2)
        await store.delete("b")
        await store.delete("a")
        page, _ = await store.handlers(HandlerQuery(), cursor, 10)
        assert [one.handler_id for one in page] == ["c", "d"]

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ({}, ["a", "b", "c"]),
            ({"handler_id_in": ["c", "a", "zz", "a"]}, ["a", "c"]),
            ({"handler_id_in": []}, []),
            ({"run_id_in": ["rb"]}, ["b"]),
            ({"workflow_name_in": ["other"]}, ["b"]),
            ({"status_in": ["failed", "completed"]}, ["c"]),
            ({"status_in": []}, []),
            ({"is_idle": True}, ["a"]),
            ({"is_idle": False}, ["b", "c"]),
            ({"status_in": ["running"], "workflow_name_in": ["w"]}, ["a"]),
            ({"workflow_name_in": ["w", "other"], "status_in": ["running", "failed"]}, ["a", "b", "c"]),
            ({"workflow_name_in": [f"w{n}" for n in range(40)] + ["w"]}, ["a", "c"]),
            ({"handler_id_in": [f"x{n}" for n in range(40)] + ["c", "b"]}, ["b", "c"]),
            ({"phase_in": ["idle"]}, ["a"]),
            ({"phase_in": ["done", "idle"]}, ["a", "c"]),
            ({"phase_in": ["running"], "status_in": ["failed"]}, []),
            ({"phase_in": ["done"], "is_idle": False}, ["c"]),
            ({"phase_in": []}, []),
            ({"started_after": 1001.0}, ["b", "c"]),
            ({"started_before": 1001.0}, ["a"]),
            ({"started_after": 1001.0, "started_before": 1002.0}, ["b"]),
            ({"started_after": 1001.0, "status_in": ["failed"]}, ["c"]),
            ({"id_prefix": "b"}, ["b"]),
            ({"id_prefix": ""}, ["a", "b", "c"]),
            ({"id_prefix": "_"}, []),
            ({"id_prefix": "c", "status_in": ["running"]}, []),
            ({"id_prefix": "c", "handler_id_in": ["b", "c"]}, ["c"]),
        ],
    )
    @pytest.mark.parametrize("newest_first", [False, True])
    async def test_filters(
        self, store: AbstractWorkflowStore, filters: dict[str, Any], expected: list[str], newest_first: bool
    ) -> None:
        done = first("c", "rc", started_at=1002.0)
        other = first("b", "rb", workflow_name="other", started_at=1001.0)
        await put(store, first("a", "ra", phase="idle"), other, done)
        await put(store, next_of(done, status="failed", phase="done", error="no", started_at=1002.0))
        found = await listed(store, HandlerQuery(**filters), newest_first=newest_first)
        assert found == (expected[::-1] if newest_first else expected)

    @pytest.mark.parametrize("prefix", ["a", "ab", "ab_", "ab%", "é", "\ud7ff", "\U0010ffff", "*", "zz"])
    async def test_ids_by_how_they_begin(self, store: AbstractWorkflowStore, prefix: str) -> None:
        names = [
            "a",
            "AB",
            "ab",
            "ab_c",
            "abxc",
            "ab%d",
            "b",
            "é1",
            "è",
            "\ud7ff1",
            "\ue000",
            "\U0010ffff\U0010ffff2",
            "*",
        ]
        await put(store, *(first(name, f"r-{name}") for name in names))
        found = await listed(store, HandlerQuery(id_prefix=prefix))
        assert found == [name for name in names if name.startswith(prefix)]

    async def test_filters_and_pages_together(self, store: AbstractWorkflowStore) -> None:
        for n in range(6):
            await put(store, first(f"h{n}", f"r{n}", workflow_name="even" if n % 2 == 0 else "odd"))
        query = HandlerQuery(workflow_name_in=["odd"])
        page, cursor = await store.handlers(query, None, 2)
        assert [one.handler_id for one in page] == ["h1", "h3"]
        page, cursor = await store.handlers(query, cursor, 2)
        assert ([one.handler_id for one in page], cursor) == (["h5"], None)
        assert await listed(store, query, limit=1, newest_first=True) == ["h5", "h3", "h1"]

    @pytest.mark.parametrize("filters", [{}, {"status_in": ["running", "completed"]}, {"workflow_name_in": ["w"]}])
    @pytest.mark.parametrize("newest_first", [False, True])
    async def test_each_handler_once_whatever_happens_meanwhile(
        self, store: AbstractWorkflowStore, filters: dict[str, Any], newest_first: bool
    ) -> None:
        """Runs end, handlers run again and new ones begin between the pages; one is deleted."""
        starts = [first(f"h{n}", f"r{n}") for n in range(12)]
        await put(store, *starts, *(finished(batch) for batch in starts[::2]))
        query, cursor, found = HandlerQuery(**filters), None, list[str]()
        for n in range(12):
            page, cursor = await store.handlers(query, cursor, 2, newest_first=newest_first)
            assert len(page) <= 2
            found += [one.handler_id for one in page]
            if cursor is None:
                break
            if n < 3:
                again = first(f"h{4 * n}", f"again{n}")
                await put(store, finished(starts[4 * n + 1]), again, first(f"new{n}", f"new{n}"))
                await store.delete("h7")
        old = [name for name in found if not name.startswith("new")]
        expected = [f"h{n}" for n in range(12)]
        assert old == sorted(set(old), key=expected.index, reverse=newest_first)
        assert set(expected) - set(old) <= {"h7"}

    async def test_a_page_that_is_full_and_the_last(self, store: AbstractWorkflowStore) -> None:
        await put(store, first("a", "ra"), first("b", "rb"))
        for newest_first in (False, True):
            _, cursor = await store.handlers(HandlerQuery(), None, 2, newest_first=newest_first)
            assert cursor is None

    @pytest.mark.parametrize("cursor", ["x", "", "-1", "1.5", "9" * 30, "٣"])
    async def test_what_is_no_cursor(self, store: AbstractWorkflowStore, cursor: str) -> None:
        for newest_first in (False, True):
            with pytest.raises(ValueError, match="is no cursor"):
                await store.handlers(HandlerQuery(), cursor, 2, newest_first=newest_first)

"""Fresh ids."""

from __future__ import annotations

import pytest

from workflow_server.runtime import ids


class Shared(list[str]):
    """A pool whose last id the loop of another thread takes, between a look at the pool and a grip into it."""

    def __len__(self) -> int:
        return super().__len__() or 1


def test_loops_of_several_threads_draw_from_one_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_pool", Shared())
    drawn = [ids.new_id() for _ in range(200)]
    assert len(set(drawn)) == 200
    assert {len(one) for one in drawn} == {10}

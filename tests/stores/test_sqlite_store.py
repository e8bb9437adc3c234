"""The SQLite store: the contract, and what a file adds to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests_support.store_contract import StoreContract
from workflow_server.stores.sqlite import SqliteWorkflowStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteWorkflowStore]:
    made = SqliteWorkflowStore(tmp_path / "runs.db", synchronous="NORMAL")
    await made.start()
    yield made
    await made.close()


class TestSqliteStore(StoreContract):
    """Keeps the contract."""

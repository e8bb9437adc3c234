"""The SQLite store: the contract, and what a file adds to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from workflow_server.stores.sqlite import SqliteWorkflowStore
from workflow_server.testing.durable_store_contract import DurableStoreContract


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteWorkflowStore]:
    made = SqliteWorkflowStore(tmp_path / "runs.db", synchronous="NORMAL")
    await made.start()
    yield made
    await made.close()


class TestSqliteStore(DurableStoreContract):
    """Keeps the contract."""

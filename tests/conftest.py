"""What every test shares: both event loops, and virtual time."""

from __future__ import annotations

from typing import Any

import pytest

# Has pytest explain what fails in the contract that stores share; before anything imports it.
pytest.register_assert_rewrite(
    *(
        f"workflow_server.testing.{name}"
        for name in ("batches", "durable_store_contract", "key_contract", "listing_contract", "store_contract")
    )
)

from workflow_server.testing.virtual_time import follow_virtual_time, virtual_backend  # noqa: E402


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run each async test on asyncio and on trio; with the marker `virtual_time`, no second really passes."""
    virtual = request.node.get_closest_marker("virtual_time") is not None
    if request.param == "trio":
        pytest.importorskip("trio", reason="trio is not installed")
    return virtual_backend(request.param) if virtual else (request.param, {})


@pytest.fixture
async def virtual_clock(anyio_backend: Any) -> None:
    """Have runs take their wall-clock times from virtual time, too; for tests with the marker `virtual_time`."""
    follow_virtual_time()

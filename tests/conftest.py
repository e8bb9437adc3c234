"""What every test shares: both event loops, and virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from tests_support.virtual_time import VirtualTimeLoop


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run each async test on asyncio and on trio; with the marker `virtual_time`, no second really passes."""
    virtual = request.node.get_closest_marker("virtual_time") is not None
    if request.param == "asyncio":
        return ("asyncio", {"loop_factory": VirtualTimeLoop} if virtual else {})
    if not virtual:
        return ("trio", {})
    from trio.testing import MockClock

    return ("trio", {"clock": MockClock(autojump_threshold=0)})

"""What every test shares: both event loops, and virtual time; and how processes that test together share the work."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator
from pathlib import Path
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

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's job in the background ignores Ctrl+C, and so would the programs that tests start and end by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="play what is exhaustive or random for much longer")


@pytest.fixture(scope="session")
def long_form(pytestconfig: pytest.Config) -> bool:
    """Tell whether there is time for much more of the same."""
    return bool(pytestconfig.getoption("--long"))


# ------------------------------------------------------------------------------------------- several processes (xdist)

SLOWEST = ("durability", "page", "packaging", "interop", "neighbours", "stores", "client", "server", "transports")
"""Folders whose files take longest. Their tests come first, so that no process is left alone with one in the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(SLOWEST)}

    def order(item: pytest.Item) -> tuple[int, Path]:
        return places.get(item.path.parent.name, len(SLOWEST)), item.path

    items.sort(key=order)  # which leaves the tests of a file in their order


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Have each process begin with other files: each finds some that another has rewritten and compiled already."""
    report = yield
    if isinstance(collector, pytest.Dir):
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
        first = worker * len(report.result) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
        report.result = report.result[first:] + report.result[:first]
    return report


def pytest_collection_finish() -> None:
    """Keep what stands now from the collector of garbage, which would look at it again and again."""
    gc.collect()
    gc.freeze()

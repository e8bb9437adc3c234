"""A pytest plugin for build machines (`-p ci_skips`): what is installed there must not be skipped.

A laptop without a browser or without a network skips the tests that need one, and says so. A build
machine has both, so a skip there means that something silently stopped being tested.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import PurePath

import pytest

NEVER_SKIPPED = ("page", "packaging", "interop", "neighbours")
"""Markers of tests, and folders of modules, that a build machine has everything for."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a marked test into a failure; an expected failure stays one."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and any(map(item.get_closest_marker, NEVER_SKIPPED)):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {_reason(report.longrepr)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole module into a failure, if it lies in one of the folders."""
    report = yield
    if report.skipped and any(folder in PurePath(report.nodeid).parts for folder in NEVER_SKIPPED):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {_reason(report.longrepr)}"
    return report


def _reason(longrepr: object) -> object:
    return longrepr[-1] if isinstance(longrepr, tuple) else longrepr

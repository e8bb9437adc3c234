"""`pytest tests/parity --table` ends with one line for each scenario: the same as the peer, or how it differs."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

from tests_support import parity_differences as differences

_SCENARIO = re.compile(r"tests/parity/test_engine_parity\.py::test_it_happens_as_with_the_peer\[(.+)-(asyncio|trio)\]")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", action="store_true", help="print every scenario with its outcome on both loops")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--table"):
        return
    outcomes: dict[str, dict[str, str]] = defaultdict(dict)
    for outcome in ("passed", "failed", "skipped", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            if found := _SCENARIO.fullmatch(report.nodeid):
                outcomes[found[1]][found[2]] = outcome
    terminalreporter.section("scenarios")
    for name, loops in sorted(outcomes.items()):
        what = f"as listed: {reason}" if (reason := differences.reason(name)) else "the same"
        shown = " ".join(f"{loop} {loops.get(loop, '-'):7}" for loop in ("asyncio", "trio"))
        terminalreporter.line(f"{name:55} {shown} {what}")

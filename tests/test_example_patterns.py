"""The examples of the documented patterns do what they say on both loops: in process, and served."""

from __future__ import annotations

import runpy
from typing import Any

import pytest

from tests_support.served import CHECKOUT
from workflow_server import WorkflowServer
from workflow_server.api.commands import StartRun
from workflow_server.api.outcomes import RunFinished

EXAMPLES = CHECKOUT / "examples"

PRINTED = {
    "branches_and_loops.py": ["published: more more tea", "shelved: more tea"],
    "parallel.py": [", ".join(f"page-{number}.png" for number in range(1, 7))],
    "resources.py": ["tea le thé", "pen le stylo", "ink ?", "opened 1 time"],
    "retries.py": [
        "12.5 (the shop, after 2 failures)",
        "10.0 (a guess, because after 4 attempts the shop does not answer)",
    ],
    "start_and_stop.py": ["70.7 degrees Fahrenheit, warm", "-40.0 degrees Fahrenheit, cold"],
}

SERVED = {
    "branches_and_loops.py": ("write", {"topic": "tea"}, '{"result":"published: more more tea"}'),
    "parallel.py": ("thumbnails", {"pages": 2}, '{"result":["page-1.png","page-2.png"]}'),
    "resources.py": ("look-up", {"word": "tea"}, '{"result":"le thé"}'),
    "retries.py": ("quote", {"failures": 0}, '{"result":"12.5 (the shop, after 0 failures)"}'),
    "start_and_stop.py": ("convert", {"celsius": 0}, '{"fahrenheit":32.0,"words":"cold"}'),
}


def load(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / name), run_name=name.removesuffix(".py"))


@pytest.mark.parametrize("name", PRINTED)
async def test_it_prints_what_it_promises(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    await load(name)["main"]()
    printed = capsys.readouterr().out.splitlines()
    # `parallel.py` ends with how long it took.
    assert [line.partition(" in ")[0] for line in printed] == PRINTED[name]


@pytest.mark.parametrize("name", SERVED)
async def test_it_is_served(name: str) -> None:
    workflow, fields, result = SERVED[name]
    server: WorkflowServer = load(name)["server"]
    async with server.running():
        finished = await server.execute(StartRun(workflow, fields, wait=True))
    assert isinstance(finished, RunFinished)
    assert finished.handler.result is not None
    assert finished.handler.result.value == result

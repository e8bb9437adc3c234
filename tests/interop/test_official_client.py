"""The official client, installed from the package index in an environment of its own, against our server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.environment import CLIENT, Unavailable, clean, interpreter
from tests_support.served import CHECKOUT, serving

pytestmark = pytest.mark.interop

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture(scope="session")
def client_python() -> Path:
    """The Python that has the client."""
    try:
        return interpreter(CLIENT)
    except Unavailable as error:
        pytest.skip(f"the official client is not to be had: {error}")


def in_client(python: Path, *arguments: str) -> str:
    """Run a program where the client is installed and return what it prints."""
    done = subprocess.run(
        [str(python), *arguments], cwd=PROGRAMS, env=clean(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def gave(request: pytest.FixtureRequest, client_python: Path) -> Iterator[dict[str, Any]]:
    """What each act of `programs/session.py` gave, with our server on this loop."""
    with serving(PROGRAMS / "office.py", "--backend", request.param, cwd=PROGRAMS) as server:
        yield json.loads(in_client(client_python, "session.py", server.url))


def test_it_is_healthy(gave: dict[str, Any]) -> None:
    assert gave["healthy"] == "healthy"


def test_it_lists_workflows_in_the_order_of_adding(gave: dict[str, Any]) -> None:
    assert gave["list_workflows"] == ["greet", "ship", "deliver", "ask", "wait", "fail", "late", "endless"]


def test_it_describes_workflows(gave: dict[str, Any]) -> None:
    assert gave["describe"] == {
        "start": ["item", "pieces"],
        "stop": ["item", "pieces"],
        "events": ["Approval", "StartEvent", "StopEvent"],
        "nodes": ["Order", "Shipped", "pack"],
        "edges": [["Order", "pack"], ["pack", "Shipped"]],
    }


def test_it_runs_without_input(gave: dict[str, Any]) -> None:
    assert gave["run_without_input"] == ["completed", {"result": "Hello, World!"}, None]


def test_it_runs_with_bare_fields(gave: dict[str, Any]) -> None:
    assert gave["run_with_fields"] == {"result": "Hello, Ada!"}


def test_it_runs_with_an_event_object_and_loads_the_result(gave: dict[str, Any]) -> None:
    assert gave["run_with_event"] == ["Shipped", ["StopEvent"], {"item": "lamp", "pieces": 2}, "Shipped"]


def test_it_runs_in_the_background_and_streams(gave: dict[str, Any]) -> None:
    assert gave["run_in_background"] == {
        "started": "running",
        "events": [
            *(["Packed", {"piece": piece}] for piece in range(3)),
            ["Shipped", {"item": "lamp", "pieces": 3}],
        ],
        "ended": ["completed", {"item": "lamp", "pieces": 3}],
    }


def test_extras_of_an_event_arrive(gave: dict[str, Any]) -> None:
    assert gave["extras_in_an_event"] == {"result": "Hello, Eve!"}


def test_no_input_starts_a_workflow_whose_start_event_has_defaults(gave: dict[str, Any]) -> None:
    assert gave["no_input_for_a_start_event_of_its_own"] == {"result": ["north", "south"]}


def test_internal_events_come_when_asked_for(gave: dict[str, Any]) -> None:
    assert gave["internal_events"] == ["StepStateChanged", "StepStateChanged", "StopEvent"]


def test_a_stream_goes_on_after_the_last_sequence(gave: dict[str, Any]) -> None:
    assert gave["resume_a_stream"] == [
        ["Packed", {"piece": 1}],
        ["Packed", {"piece": 2}],
        ["Shipped", {"item": "lamp", "pieces": 3}],
    ]


def test_nothing_is_left_of_a_finished_stream_from_now_on(gave: dict[str, Any]) -> None:
    assert gave["nothing_left_of_a_stream"] == []


def test_a_stream_from_now_on_shows_what_comes_next(gave: dict[str, Any]) -> None:
    assert gave["follow_from_now_on"] == [["StopEvent", {"result": True}]]


def test_a_handler_and_its_result_are_asked_for(gave: dict[str, Any]) -> None:
    assert gave["get_results"] == [True, True]


def test_waits_that_end_otherwise(gave: dict[str, Any]) -> None:
    assert gave["wait_in_vain"] == {
        "running": ["TimeoutError", "Handler '…' did not complete within 0.2 seconds"],
        "unknown": 404,
        "failed": 500,
        "backwards": ["ValueError", "timeout must be non-negative or None"],
    }


def test_what_is_unknown_is_unknown_to_every_method(gave: dict[str, Any]) -> None:
    workflow, handler = [404, {"detail": "Workflow not found"}], [404, {"detail": "Handler not found"}]
    assert gave["unknown_everywhere"] == {
        "run_workflow": workflow,
        "run_workflow_nowait": workflow,
        "get_workflow_schema": workflow,
        "get_workflow_events_schema": [404, {"detail": "Workflow 'nothing' not found"}],
        "get_workflow_graph": workflow,
        "get_handler": handler,
        "get_result": handler,
        "send_event": handler,
        "cancel_handler": handler,
        "purge": handler,
    }


def test_arguments_that_are_refused(gave: dict[str, Any]) -> None:
    assert gave["refused_arguments"] == {"context": 400, "status": 400, "no workflow": []}


def test_a_question_is_answered(gave: dict[str, Any]) -> None:
    assert gave["answer_a_question"] == [{"question": "Question 1?"}, "sent", {"result": "approved"}]


def test_a_waiting_step_is_answered(gave: dict[str, Any]) -> None:
    assert gave["answer_a_waiting_step"] == [{"question": "Go on?"}, {"result": False}]


def test_a_handler_is_continued_with_its_state(gave: dict[str, Any]) -> None:
    assert gave["continue_a_handler"] == ["Question 1?", "Question 2?"]


def test_a_run_is_cancelled_and_purged(gave: dict[str, Any]) -> None:
    gone = [404, {"detail": "Handler not found"}]
    events = [["Packed", {"piece": 0}], ["WorkflowCancelledEvent", {}]]
    assert gave["cancel"] == ["cancelled", gone, events, "deleted", gone]


def test_handlers_are_listed_by_workflow_and_status(gave: dict[str, Any]) -> None:
    assert gave["list_handlers"] == [
        ["listed", "greet", "completed", None],
        ["listed too", "fail", "failed", "the printer is on fire"],
    ]


def test_failures_and_timeouts_are_told(gave: dict[str, Any]) -> None:
    assert gave["failing_runs"] == {
        "fail": [500, "failed", "the printer is on fire", None],
        "fail later": 500,
        "fail stream": "WorkflowFailedEvent",
        "late": [500, "failed", "Workflow timed out after 0.1s", None],
        "late later": 500,
        "late stream": "WorkflowTimedOutEvent",
    }


def test_mistakes_get_their_statuses_and_texts(gave: dict[str, Any]) -> None:
    mistakes = gave["mistakes"]
    status, body = mistakes.pop("running already")
    assert status == 409
    assert body["detail"].endswith("is already running")
    assert mistakes == {
        "unknown workflow": [404, {"detail": "Workflow not found"}],
        "unknown handler": [404, {"detail": "Handler not found"}],
        "unknown handler's events": ["ValueError", "Handler not found"],
        "wrong fields": 400,
        "completed already": [409, {"detail": "Workflow already completed"}],
        "unknown event": 400,
        "wrong event fields": 400,
        "unknown step": 400,
    }


GUIDE_CLIENT = """
import asyncio, sys
from llama_agents.client import WorkflowClient


async def main() -> None:
    client = WorkflowClient(base_url=sys.argv[1])
    handler = await client.run_workflow("greet", start_event={"name": "guide"})
    print(handler.result.value["result"])


asyncio.run(main())
"""


def test_the_guides_first_program_served_to_the_official_client(client_python: Path, tmp_path: Path) -> None:
    with serving(CHECKOUT / "examples" / "quickstart.py", cwd=tmp_path) as server:
        assert in_client(client_python, "-c", GUIDE_CLIENT, server.url) == "Hello, guide!\n"

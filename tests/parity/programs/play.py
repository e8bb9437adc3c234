"""The stage: `play.py BACKEND MODULE…` runs every scenario of the modules and prints what happened as JSON.

It runs on either engine, knows neither, and uses only names that both document. A scenario is an
`async def` that returns something JSON can hold; `run` turns one run of a workflow into such a
value: what its stream showed, what it returned, what it raised.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from workflows import Workflow
from workflows.events import Event, StepStateChanged, WorkflowFailedEvent
from workflows.handler import WorkflowHandler

Act = Callable[[WorkflowHandler], Awaitable[None]]
LIMIT = 10.0
"""Seconds for one scenario."""


def send(event: Event, step: str | None = None) -> Act:
    """Return the act of sending an event from outside."""

    async def act(handler: WorkflowHandler) -> None:
        handler.ctx.send_event(event, step=step)

    return act


async def cancel(handler: WorkflowHandler) -> None:
    """Cancel the run."""
    await handler.cancel_run()


def told(error: BaseException) -> list[str]:
    """Return an error as a value."""
    return [type(error).__name__, str(error)]


def shown(event: Event) -> list[Any]:
    """Return a published event as a value; what is different in every run is left out."""
    if isinstance(event, StepStateChanged):
        names = [event.input_event_name, event.output_event_name]
        return ["StepStateChanged", event.name, event.step_state.value, event.worker_id, *names]
    if isinstance(event, WorkflowFailedEvent):
        return ["WorkflowFailedEvent", event.step_name, told(event.exception), event.attempts]
    return [type(event).__name__, event.model_dump(mode="json")]


def result_of(value: Any) -> Any:
    """Return a run's result as a value."""
    return shown(value) if isinstance(value, Event) else value


async def run(workflow: Workflow, *script: tuple[str, Act], internal: bool = True, **inputs: Any) -> dict[str, Any]:
    """Run `workflow` and return what happened.

    Each entry of `script` waits for the next event of that type on the stream, then acts.
    """
    handler = workflow.run(**inputs)
    acts, stream = list(script), []
    async for event in handler.stream_events(expose_internal=internal):
        stream.append(shown(event))
        if acts and type(event).__name__ == acts[0][0]:
            await acts.pop(0)[1](handler)
    gave: dict[str, Any] = {"stream": stream, "acts left": len(acts)}
    try:
        gave["result"] = result_of(await handler)
    except Exception as error:
        gave["error"] = told(error)
    stop = handler.get_stop_event()
    gave["stop event"] = None if stop is None else shown(stop)
    return gave


def raised(call: Callable[[], Any]) -> list[str]:
    """Return the error that `call` raises."""
    try:
        return ["no error", repr(call())]
    except Exception as error:
        return told(error)


async def raised_async(call: Awaitable[Any]) -> list[str]:
    """Return the error that awaiting `call` raises."""
    try:
        return ["no error", repr(await call)]
    except Exception as error:
        return told(error)


async def main(modules: list[str]) -> dict[str, Any]:
    """Run all scenarios one after another."""
    played: dict[str, Any] = {}
    for module in map(importlib.import_module, modules):
        for name, function in inspect.getmembers(module, inspect.iscoroutinefunction):
            if function.__module__ != module.__name__ or name.startswith("_"):
                continue
            try:
                with anyio.fail_after(LIMIT):
                    played[name] = await function()
            except Exception as error:
                played[name] = {"scenario failed": told(error)}
    return played


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(anyio.run(main, sys.argv[2:], backend=sys.argv[1])))

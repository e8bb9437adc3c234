"""The stage: `play.py BACKEND MODULE…` runs every scenario of the modules and prints what happened as JSON.

It runs on either engine, knows neither, and uses only names that both document. A scenario is an
`async def` that returns something JSON can hold; `run` turns one run of a workflow into such a
value: what its stream showed, what it returned, what it raised.

Time is virtual (the loop's clock jumps to the next timer as soon as nothing else is left to do), so that what
happens has one order, on a busy machine too. Ours has such a loop in `workflow_server.testing`; here neither
engine may be asked for one.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import selectors
import sys
import time
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
IN_THREADS = {"steps_in_threads"}
"""Scenarios in real time: no clock sees that a thread works."""


EPOCH = 1_000_000.0
"""The wall-clock time when virtual time begins: small, so that sums with it are exact enough."""


class JumpingSelector(selectors.DefaultSelector):
    """Looks at file descriptors without waiting; where a loop would sleep, time jumps."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout and 0)
        if not ready:
            self.now += max(timeout or 0, 0)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def virtual_time(backend: str) -> dict[str, Any]:
    """Return the options of a backend under virtual time."""
    if backend == "asyncio":
        return {"loop_factory": VirtualTimeLoop}
    from trio.testing import MockClock

    return {"clock": MockClock(autojump_threshold=0)}


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


def scenarios(modules: list[str]) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Return the modules' scenarios by name."""
    return {
        name: function
        for module in map(importlib.import_module, modules)
        for name, function in inspect.getmembers(module, inspect.iscoroutinefunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


async def main(scenarios: dict[str, Callable[[], Awaitable[Any]]]) -> dict[str, Any]:
    """Run scenarios one after another, each within a time limit."""
    played: dict[str, Any] = {}
    for name, scenario in scenarios.items():
        try:
            with anyio.fail_after(LIMIT):
                played[name] = await scenario()
        except Exception as error:
            played[name] = {"scenario failed": told(error)}
    return played


async def main_in_virtual_time(scenarios: dict[str, Callable[[], Awaitable[Any]]]) -> dict[str, Any]:
    """Do the same while the wall clock follows the loop's."""
    real, time.time = time.time, lambda: EPOCH + anyio.current_time()
    try:
        return await main(scenarios)
    finally:
        time.time = real


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    backend, found = sys.argv[1], scenarios(sys.argv[2:])
    real = {name: found.pop(name) for name in IN_THREADS & found.keys()}
    played = anyio.run(main_in_virtual_time, found, backend=backend, backend_options=virtual_time(backend))
    print(json.dumps(played | anyio.run(main, real, backend=backend)))

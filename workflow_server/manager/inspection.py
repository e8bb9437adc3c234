"""Looking into a run without touching it: its state, its input, what it waits for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, assert_never, cast

from workflow_server.api.commands import GetInput, GetState, GetWaiting
from workflow_server.api.outcomes import InputFound, Outcome, Question, QuestionsFound, Refusal, Refused, StateFound
from workflow_server.engine.parts import encode_part
from workflow_server.manager.runs import ActiveRun
from workflow_server.manager.served import ServedWorkflow
from workflow_server.runtime.state_store import WHOLE
from workflow_server.stores.base import AbstractWorkflowStore
from workflow_server.wire.records import HandlerRecord

Inspect = GetState | GetInput | GetWaiting


async def inspect(
    command: Inspect,
    record: HandlerRecord,
    store: AbstractWorkflowStore,
    live: ActiveRun | None,
    served: ServedWorkflow | None,
) -> Outcome:
    """Return what `command` asks of a run.

    Args:
        command: What is asked.
        record: The handler.
        store: Where its run is.
        live: The run, if it is in memory.
        served: Its workflow, if it is still served.
    """
    match command:
        case GetState():
            return _state(await store.state(record.run_id))
        case GetInput():
            start = await store.start_event(record.run_id)
            if start is None:
                return Refused(Refusal.NOT_FOUND, f"Handler {record.handler_id!r} has no input on record")
            return InputFound(start)
        case GetWaiting():
            parts = await _wait_parts(record, store, live)
            return QuestionsFound(tuple(_question(key, fields, served) for key, fields in parts))
        case _:
            assert_never(command)


def _state(image: Mapping[str, str]) -> StateFound:
    values = {key: json.loads(text) for key, text in image.items()}
    whole = values.get(WHOLE)
    if isinstance(whole, dict) and "qualified_name" in whole:
        tagged = cast("dict[str, Any]", whole)
        return StateFound(tagged["value"], tagged["qualified_name"])
    return StateFound(values)


async def _wait_parts(
    record: HandlerRecord, store: AbstractWorkflowStore, live: ActiveRun | None
) -> list[tuple[str, dict[str, Any]]]:
    """Return the open waits as stored, in the order of their beginning."""
    if live is not None:
        texts = {key: encode_part(wait) for key, wait in live.runner.run.waits.items()}
    else:
        stored = await store.load(record.run_id)
        texts = {} if stored is None else dict(stored.parts)
    waits = [(key, json.loads(text)) for key, text in texts.items() if key.startswith("wait/")]
    open_waits = [(key, fields) for key, fields in waits if not fields["answered"]]
    return sorted(open_waits, key=lambda wait: wait[1]["place"])


def _question(key: str, fields: dict[str, Any], served: ServedWorkflow | None) -> Question:
    prompt = fields["prompt"]
    return Question(
        waiter_id=key.removeprefix("wait/"),
        step=fields["step"],
        qualified_name=fields["awaits"],
        prompt=None if prompt is None else (prompt["name"], json.dumps(prompt["value"])),
        schema=None if served is None else served.schema_of(fields["awaits"]),
        due=fields["due"],
    )

"""A run's state as stored text, and back.

Each part is one JSON object that a person can read; what follows from the parts is not stored. A stored event
is its routing name with its dump, spliced in as the text it already is. Reading back an event needs its class,
which only the workflow's code has, so a function that finds it is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, assert_never

from workflow_server.engine.inputs import Answer, Failure
from workflow_server.engine.message import EventKind, Message
from workflow_server.engine.shape import Shape
from workflow_server.engine.state import Contribution, ItemPhase, Part, Run, Wait, WorkItem
from workflow_server.events import load_exception

ReadMessage = Callable[[str, str], Message]
"""Makes a message from the routing name of its class and its dump as JSON text."""

FindKind = Callable[[str], EventKind]
"""Finds a kind by its routing name."""


def encode_part(part: Part) -> str:
    """Return `part` as JSON text."""
    match part:
        case WorkItem():
            return _encode_item(part)
        case Wait():
            return _encode_wait(part)
        case Contribution():
            completed = part.completed
            return _splice(
                {"buffer": part.buffer, "item": part.item, "place": part.place},
                message=_message(part.message),
                completed="null" if completed is None else f"[{','.join(map(_message, completed))}]",
            )
        case _:
            assert_never(part)


def _encode_item(item: WorkItem) -> str:
    failure = item.last_failure
    return _splice(
        {
            "step": item.step,
            "place": item.place,
            "phase": item.phase.value,
            "worker": item.worker,
            "incarnation": item.incarnation,
            "failures": item.failures,
            "last_failure": None if failure is None else [failure.type, failure.text],
            "last_failed_at": item.last_failed_at,
            "first_started": item.first_started,
            "not_before": item.not_before,
            "waits_on": item.waits_on,
            "recoveries": item.recoveries,
            "holds": item.holds,
        },
        message=_message(item.message),
    )


def _encode_wait(wait: Wait) -> str:
    return _splice(
        {
            "step": wait.step,
            "kind": wait.kind.name,
            "subclasses": wait.subclasses,
            "place": wait.place,
            "holders": wait.holders,
            "due": wait.due,
            "answered": wait.answer is not None,
        },
        prompt=_message(wait.prompt),
        answer=_message(wait.answer.message if wait.answer else None),
    )


def encode_head(run: Run) -> str:
    """Return what a run has beside its parts, as JSON text; a run that has ended is not loaded again."""
    return json.dumps(
        {
            "started": run.started,
            "next_item": run.next_item,
            "next_sequence": run.next_sequence,
            "places": run.places,
            "idle": run.idle,
        }
    )


def _splice(fields: dict[str, Any], **texts: str) -> str:
    """Return a JSON object of `fields` and of `texts`, which are JSON already."""
    added = "".join(f',"{name}":{text}' for name, text in texts.items())
    return json.dumps(fields)[:-1] + added + "}"


def _message(message: Message | None) -> str:
    if message is None:
        return "null"
    value = message.value if message.value is not None else message.event.model_dump_json()
    return f'{{"name":{json.dumps(message.kind.name)},"value":{value}}}'


class PartReader:
    """Reads parts back.

    Args:
        read_message: Makes messages.
        find_kind: Finds the kinds that waits are for.
    """

    def __init__(self, read_message: ReadMessage, find_kind: FindKind) -> None:
        self._read_message = read_message
        self._find_kind = find_kind

    def load_run(self, shape: Shape, head: str, parts: Mapping[str, str]) -> Run:
        """Return the run that was stored as `head` and `parts`.

        Args:
            shape: The workflow's routing.
            head: What `encode_head` made.
            parts: What `encode_part` made, by key.

        Raises:
            LookupError: An event's class is unknown.
            ValueError: A part can't be read.
        """
        run = Run(shape)
        fields = json.loads(head)
        run.started = fields["started"]
        run.next_item, run.next_sequence = fields["next_item"], fields["next_sequence"]
        run.places, run.idle = fields["places"], fields["idle"]
        loaded = sorted((self._part(key, json.loads(text)) for key, text in parts.items()), key=lambda part: part.place)
        _derive(run, loaded)
        return run

    def _part(self, key: str, fields: dict[str, Any]) -> Part:
        family, _, rest = key.partition("/")
        if family == "item":
            return self._item(int(rest), fields)
        if family == "wait":
            return self._wait(key, fields)
        completed = fields["completed"]
        return Contribution(
            key=key,
            buffer=fields["buffer"],
            item=fields["item"],
            place=fields["place"],
            message=self._message(fields["message"]),
            completed=None if completed is None else [self._need(one) for one in completed],
        )

    def _item(self, id: int, fields: dict[str, Any]) -> WorkItem:
        failure = None
        if fields["last_failure"] is not None:
            kind, text = fields["last_failure"]
            failure = Failure(load_exception({"exception_type": kind, "exception_message": text}), kind, text)
        return WorkItem(
            id=id,
            step=fields["step"],
            message=self._need(fields["message"]),
            place=fields["place"],
            phase=ItemPhase(fields["phase"]),
            worker=fields["worker"],
            incarnation=fields["incarnation"],
            failures=fields["failures"],
            last_failure=failure,
            last_failed_at=fields["last_failed_at"],
            first_started=fields["first_started"],
            not_before=fields["not_before"],
            waits_on=fields["waits_on"],
            recoveries=tuple((name, count) for name, count in fields["recoveries"]),
            holds=fields["holds"],
        )

    def _wait(self, key: str, fields: dict[str, Any]) -> Wait:
        return Wait(
            key=key,
            step=fields["step"],
            kind=self._find_kind(fields["kind"]),
            subclasses=fields["subclasses"],
            place=fields["place"],
            holders=fields["holders"],
            prompt=self._message(fields["prompt"]),
            due=fields["due"],
            answer=Answer(self._message(fields["answer"])) if fields["answered"] else None,
        )

    def _message(self, fields: dict[str, Any] | None) -> Message | None:
        return None if fields is None else self._need(fields)

    def _need(self, fields: dict[str, Any]) -> Message:
        return self._read_message(fields["name"], json.dumps(fields["value"]))


def _derive(run: Run, parts: Iterable[Part]) -> None:
    """Fill in what follows from the parts, which come in the order of their places."""
    for part in parts:
        match part:
            case WorkItem():
                run.items[part.id] = part
                load = run.loads[part.step]
                if part.worker is not None:
                    load.busy.add(part.worker)
                if part.phase is ItemPhase.QUEUED:
                    load.queued.append(part.id)
                elif part.phase is ItemPhase.ANSWERED:
                    load.answered.append(part.id)
                elif part.phase is ItemPhase.WAITING:
                    run.waiting.add(part.id)
                elif part.not_before is not None:
                    run.remember_due(part.not_before, part.key)
            case Wait():
                run.waits[part.key] = part
                if part.answer is None:
                    run.open_waits.setdefault(part.kind.name, {})[part.key] = part
                    if part.due is not None:
                        run.remember_due(part.due, part.key)
            case Contribution():
                run.contributions[part.key] = part
                if part.message is not None:
                    held = run.held.setdefault(part.buffer, {})
                    held.setdefault(part.message.kind.name, {})[part.key] = part.message
            case _:
                assert_never(part)

"""A group commit as one statement.

While the loop is busy, every return from SQLite to Python waits for the interpreter's lock, up to five milliseconds
each time; a commit of fifty small statements would wait fifty times. So a group becomes one JSON text, and one
statement, in a transaction of its own, writes it: it inserts into the view `inbox`, whose trigger is the program that
judges a batch and writes it. Python is called back for a refusal only.

The view and its trigger are temporary, that is, the connection's own: they are code of this version, not a part of
the file.

Two things JSON can't carry through SQLite unharmed: times, because its decimal fractions are read with an error in the
last place, so they travel as whole numbers of 2^-30 seconds; and NUL in a string, where SQLite ends it.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any, Generic, TypeVar

from pydantic_core import PydanticSerializationError, to_json

from workflow_server.stores.base import Batch
from workflow_server.wire.records import EventRecord

COLUMNS = (
    "place", "version", "key", "run_id", "handler_id", "workflow", "shape", "status", "phase", "write_id",
    "next_sequence", "alive", "due", "started_at", "updated_at", "completed_at", "head", "error", "result",
    "events", "parts", "state", "kinds", "shapes", "keys",
)  # fmt: skip
"""What a batch is in JSON: an array of these. `place` is the batch's own in the group."""

TIMES = ("alive", "due", "started_at", "updated_at", "completed_at")

TICK = 2.0**30

_VALUES = ", ".join(
    f"json_extract(value, '$[{n}]')" + (f" / {TICK}" if name in TIMES else "") for n, name in enumerate(COLUMNS)
)
INSERT = f"INSERT INTO inbox SELECT {_VALUES} FROM (SELECT value FROM json_each(?) LIMIT -1)"  # noqa: S608  # constants
"""Writes a group, given as a JSON array of such arrays. The limit, which is none, has each value made only once."""

_RUN = "(SELECT key FROM runs WHERE run_id = NEW.run_id)"

INBOX = f"""
CREATE TEMP VIEW inbox AS SELECT {", ".join(f"NULL AS {name}" for name in COLUMNS)};
CREATE TEMP TRIGGER commit_batch INSTEAD OF INSERT ON inbox BEGIN
    -- Judge. RAISE(IGNORE) is done with this batch and goes on with the next.
    SELECT RAISE(IGNORE) FROM runs
        WHERE run_id = NEW.run_id AND version = NEW.version AND write_id = NEW.write_id AND write_id <> '';
    SELECT CASE WHEN refuse(NEW.place, 'stale') THEN RAISE(IGNORE) END WHERE CASE NEW.version
        WHEN 1 THEN EXISTS (SELECT 1 FROM runs WHERE run_id = NEW.run_id)
        ELSE NOT EXISTS (SELECT 1 FROM runs WHERE run_id = NEW.run_id AND version = NEW.version - 1) END;
    SELECT CASE WHEN refuse(NEW.place, 'taken') THEN RAISE(IGNORE) END
        WHERE NEW.version = 1 AND EXISTS (SELECT 1 FROM json_each(NEW.keys) k JOIN keys
            ON scope = json_extract(k.value, '$[0]') AND keys.key = json_extract(k.value, '$[1]'));
    SELECT CASE WHEN refuse(NEW.place, 'conflict') THEN RAISE(IGNORE) END FROM runs
        WHERE NEW.version = 1 AND handler_id = NEW.handler_id AND current = 1 AND status = 'running';

    -- Names that the file doesn't hold yet.
    INSERT OR IGNORE INTO kinds SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'),
        json_extract(value, '$[2]'), json_extract(value, '$[3]') FROM json_each(NEW.kinds);
    INSERT OR IGNORE INTO shapes SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]')
        FROM json_each(NEW.shapes);

    -- A first batch makes the row.
    UPDATE runs SET current = 0 WHERE NEW.version = 1 AND handler_id = NEW.handler_id AND current = 1;
    INSERT INTO runs SELECT NEW.key, NEW.run_id, NEW.handler_id, 1,
        coalesce((SELECT place FROM runs WHERE handler_id = NEW.handler_id AND current = 0 LIMIT 1), NEW.key),
        NEW.workflow, NEW.shape, NEW.status, NEW.phase, NEW.version, NEW.write_id, NEW.next_sequence, NEW.alive,
        NEW.due, NEW.started_at, NEW.updated_at, NEW.completed_at, NEW.head, NEW.error, NEW.result
        WHERE NEW.version = 1;

    -- A later one changes it: what each commit moves, and apart from it what stands in an index and rarely changes.
    UPDATE runs SET version = NEW.version, write_id = NEW.write_id, next_sequence = NEW.next_sequence,
        alive = NEW.alive, updated_at = NEW.updated_at, head = NEW.head
        WHERE NEW.version > 1 AND run_id = NEW.run_id;
    UPDATE runs SET status = NEW.status, phase = NEW.phase, due = NEW.due, started_at = NEW.started_at,
        completed_at = NEW.completed_at, error = NEW.error, result = NEW.result
        WHERE NEW.version > 1 AND run_id = NEW.run_id AND (
            status <> NEW.status OR phase <> NEW.phase OR due IS NOT NEW.due OR started_at <> NEW.started_at
            OR completed_at IS NOT NEW.completed_at OR error IS NOT NEW.error OR result IS NOT NEW.result);

    INSERT INTO events SELECT {_RUN}, json_extract(value, '$[0]'), json_extract(value, '$[1]') / {TICK},
        json_extract(value, '$[2]'), json_extract(value, '$[3]'), json_extract(value, '$[4]')
        FROM json_each(NEW.events);
    DELETE FROM parts WHERE run = {_RUN} AND key IN (SELECT p.key FROM json_each(NEW.parts) p WHERE p.value IS NULL);
    INSERT OR REPLACE INTO parts SELECT {_RUN}, p.key, p.value FROM json_each(NEW.parts) p WHERE p.value IS NOT NULL;
    DELETE FROM state WHERE run = {_RUN} AND key IN (SELECT s.key FROM json_each(NEW.state) s WHERE s.value IS NULL);
    INSERT OR REPLACE INTO state SELECT {_RUN}, s.key, s.value FROM json_each(NEW.state) s WHERE s.value IS NOT NULL;
    INSERT OR IGNORE INTO keys SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'),
        json_extract(value, '$[2]'), {_RUN} FROM json_each(NEW.keys);
END;
"""  # noqa: S608  # likewise

K = TypeVar("K", bound=Hashable)

Kind = tuple[str, str, tuple[str, ...]]
"""What many events share: class name, qualified name, ancestors."""


class Numbered(Generic[K]):
    """Long things that rows refer to by a number: a number each, for good, and whether the file holds it yet.

    Args:
        stored: What the file holds.
    """

    def __init__(self, stored: Mapping[int, K]) -> None:
        self.by_number = dict(stored)
        self._numbers = {value: number for number, value in stored.items()}
        self._next = max(stored, default=0) + 1
        self._unstored: set[int] = set()

    def number(self, value: K) -> int:
        """Return the number of `value`, which gets one if it has none."""
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = self._next
            self.by_number[number] = value
            self._unstored.add(number)
            self._next += 1
        return number

    def unstored(self, numbers: set[int]) -> set[int]:
        """Return those of `numbers` that have to be written."""
        return self._unstored & numbers

    def stored(self, numbers: set[int]) -> None:
        """Note that `numbers` are written."""
        self._unstored -= numbers


class Encoder:
    """Turns batches into JSON texts for `INSERT`.

    Args:
        kinds: Names of event classes that the file holds.
        shapes: Routings that it holds.
        last_key: The greatest key of a run in it.
    """

    def __init__(self, kinds: Mapping[int, Kind], shapes: Mapping[int, str], last_key: int) -> None:
        self.kinds: Numbered[Kind] = Numbered(kinds)
        self.shapes: Numbered[str] = Numbered(shapes)
        self._last_key = last_key

    def encode(self, place: int, batch: Batch) -> EncodedBatch:
        """Return `batch`, the one at `place` of its group, as the array of `COLUMNS`."""
        record, first = batch.handler, batch.first
        published = [self._event(event) for event in batch.events]
        shape: int | None = None
        if first is not None:
            published.append(self._event(first.start))
            shape = self.shapes.number(first.shape)
        if batch.version == 1:
            self._last_key += 1
        kinds = self.kinds.unstored({event[3] for event in published})
        shapes = self.shapes.unstored(set() if shape is None else {shape})
        row = [
            place, batch.version, self._last_key, record.run_id, record.handler_id, record.workflow_name, shape,
            record.status, record.phase, batch.write_id, batch.next_sequence, _ticks(batch.alive), _ticks(batch.due),
            _ticks(record.started_at), _ticks(record.updated_at), _ticks(record.completed_at), batch.head,
            _without_nul(record.error), record.result.sequence if record.result is not None else None,
            published or None, _keyed(batch.parts), _keyed(batch.state),
            [[number, *self._kind(number)] for number in kinds] or None,
            [[number, self.shapes.by_number[number]] for number in shapes] or None,
            batch.keys or None,
        ]  # fmt: skip
        return EncodedBatch(record.run_id, _json(row), kinds, shapes, ends=record.status != "running")

    def _event(self, event: EventRecord) -> list[Any]:
        kind = self.kinds.number((event.type, event.qualified_name, event.types))
        return [event.sequence, _ticks(event.timestamp), event.item, kind, event.value]

    def _kind(self, number: int) -> tuple[str, str, str]:
        type, qualified_name, types = self.kinds.by_number[number]
        return type, qualified_name, json.dumps(types)

    def written(self, batch: EncodedBatch) -> None:
        """Note that `batch` is in the file, with the names it brought."""
        if batch.kinds or batch.shapes:
            self.kinds.stored(batch.kinds)
            self.shapes.stored(batch.shapes)


class EncodedBatch:
    """A batch ready to be written.

    Args:
        run_id: Whose it is.
        text: The JSON text.
        kinds: Numbers of the kinds that it brings.
        shapes: Numbers of the shapes that it brings.
        ends: Whether the run is over with it.
    """

    __slots__ = ("ends", "kinds", "run_id", "shapes", "text")

    def __init__(self, run_id: str, text: str, kinds: set[int], shapes: set[int], *, ends: bool) -> None:
        self.ends = ends
        self.run_id = run_id
        self.text = text
        self.kinds = kinds
        self.shapes = shapes


def _ticks(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * TICK)


def _without_nul(text: str | None) -> str | None:
    return text.replace("\0", "\ufffd") if text is not None else None


def _keyed(changes: Mapping[str, str | None]) -> dict[str, str | None] | None:
    if not changes:
        return None
    if any("\0" in key for key in changes):
        return {key.replace("\0", "\ufffd"): value for key, value in changes.items()}
    return dict(changes)


def _json(row: list[Any]) -> str:
    try:
        return to_json(row).decode()
    except PydanticSerializationError:
        # A lone surrogate, which UTF-8 has no bytes for: from a file name in an error, say.
        return json.dumps(row, ensure_ascii=False).encode("utf-8", "replace").decode()

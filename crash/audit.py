"""Reads the database itself, after the server has stopped, and compares it with the record."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from crash.record import RunRecord, Violation

_NOTHING = {
    "parts of runs that are over": (
        "SELECT run, parts.key FROM parts JOIN runs ON runs.key = run WHERE status <> 'running'"
    ),
    "parts of no run": "SELECT run, parts.key FROM parts WHERE run NOT IN (SELECT key FROM runs)",
    "state of no run": "SELECT run, key FROM state WHERE run NOT IN (SELECT key FROM runs)",
    "events of no run": "SELECT run, seq FROM events WHERE run NOT IN (SELECT key FROM runs)",
    "events of no kind": "SELECT run, seq FROM events WHERE kind NOT IN (SELECT key FROM kinds)",
    "runs without their shape": "SELECT run_id FROM runs WHERE shape IS NULL OR shape NOT IN (SELECT key FROM shapes)",
    "runs without their start event": (
        "SELECT run_id FROM runs r WHERE NOT EXISTS (SELECT 1 FROM events WHERE run = r.key AND seq = -1)"
    ),
    "gaps among sequences": (
        "SELECT run_id, next_sequence, count(*), max(seq) FROM runs JOIN events ON run = key GROUP BY key "
        "HAVING count(*) <> next_sequence + 1 OR max(seq) <> next_sequence - 1"
    ),
    "kinds that are there twice": "SELECT qualified_name FROM kinds GROUP BY qualified_name HAVING count(*) > 1",
    "handlers without a current run": ("SELECT handler_id FROM runs GROUP BY handler_id HAVING sum(current) <> 1"),
    "runs that are not over": "SELECT run_id, phase, error FROM runs WHERE status = 'running'",
}
"""What a database must not hold once all runs are over."""


def check_file(path: Path, runs: Sequence[RunRecord]) -> None:
    """Compare a database with the record of all runs, which are over.

    Raises:
        Violation: They differ, or the database is damaged.
    """
    with closing(sqlite3.connect(path)) as database:
        integrity = database.execute("PRAGMA integrity_check").fetchall()
        if integrity != [("ok",)]:
            raise Violation(f"integrity_check says {integrity}")
        for what, query in _NOTHING.items():
            found = database.execute(query).fetchmany(5)
            if found:
                raise Violation(f"the database holds {what}: {found}")
        _compare_runs(database, runs)
        for run in runs:
            if not run.purged:
                _compare_events(database, run)


def _compare_runs(database: sqlite3.Connection, runs: Sequence[RunRecord]) -> None:
    expected = {(run.handler_id, run.run_id) for run in runs if not run.purged}
    stored = set(database.execute("SELECT handler_id, run_id FROM runs"))
    if stored != expected:
        raise Violation(f"lost runs: {expected - stored}; runs that nobody started: {stored - expected}")


def _compare_events(database: sqlite3.Connection, run: RunRecord) -> None:
    rows = database.execute("SELECT seq, type, body FROM log WHERE run_id = ? AND seq >= 0 ORDER BY seq", (run.run_id,))
    stored = {sequence: (type, json.loads(body)) for sequence, type, body in rows}
    for type, value in stored.values():
        if type == "StepStateChanged":
            value.pop("_data", None)  # attempts and failures, which clients see only if they ask
    seen = {sequence: json.loads(text) for sequence, text in run.events.items()}
    if stored != {sequence: (envelope["type"], envelope["value"]) for sequence, envelope in seen.items()}:
        raise run.fail(f"the file holds other events than were seen: {stored}")

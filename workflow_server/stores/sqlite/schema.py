"""What a database file holds, and how one comes to hold it.

    runs    a row for each run: whose it is, how it stands, the guard of its next commit
    parts   what a run needs to go on, in small keyed pieces
    events  what a run published; its start event has the sequence -1, because it is input
    state   what its steps keep in `ctx.store`
    keys    idempotency keys of requests, each with a digest of what was asked for
    kinds   names of event classes, and `shapes`, routings of workflows: long texts that many rows share

Rows refer to runs, kinds and shapes by small numbers, which keeps a step below a kilobyte. Everything else is text
that a person can read with the program `sqlite3`; the view `log` puts the names back beside the events.

`PRAGMA user_version` counts the migrations that a file has gone through. A migration is never changed once it was
released: the next version adds one. `PRAGMA application_id` tells our files from those of other programs.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from workflow_server.errors import StoreError

APPLICATION_ID = 0x776B666C  # "wkfl"

OLDEST_SQLITE = (3, 33, 0)
"""The first one that can do all that the statements here and in `writing` say."""

MIGRATIONS = (
    """
    CREATE TABLE runs (
        key INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL UNIQUE,
        handler_id TEXT NOT NULL,
        current INTEGER NOT NULL CHECK (current IN (0, 1)),  -- 1 for the latest run of its handler, else 0
        place INTEGER NOT NULL,    -- of its handler in listings: the key of the handler's first run
        workflow TEXT NOT NULL,
        shape INTEGER,
        status TEXT NOT NULL,
        phase TEXT NOT NULL,
        version INTEGER NOT NULL,
        write_id TEXT NOT NULL,
        next_sequence INTEGER NOT NULL,
        alive REAL NOT NULL,       -- seconds
        due REAL,                  -- this and all other times: seconds since 1970
        started_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        completed_at REAL,
        head TEXT NOT NULL,
        error TEXT,
        result INTEGER,            -- the sequence of the event that it ended with
        CHECK (current = 1 OR status <> 'running')
    );
    -- With the check above: a handler has at most one run that is not over.
    CREATE UNIQUE INDEX runs_current ON runs (handler_id) WHERE current = 1;
    CREATE INDEX runs_earlier ON runs (handler_id) WHERE current = 0;
    CREATE INDEX runs_listed ON runs (place) WHERE current = 1;
    CREATE INDEX runs_by_status ON runs (status, place) WHERE current = 1;
    CREATE INDEX runs_by_workflow ON runs (workflow, place) WHERE current = 1;
    CREATE INDEX runs_idle ON runs (place) WHERE phase = 'idle';
    CREATE INDEX runs_awake ON runs (key) WHERE status = 'running' AND phase NOT IN ('waiting', 'idle');
    CREATE INDEX runs_asleep ON runs (key) WHERE phase IN ('waiting', 'idle');
    CREATE INDEX runs_due ON runs (due) WHERE phase IN ('waiting', 'idle') AND due IS NOT NULL;
    CREATE INDEX runs_finished ON runs (completed_at) WHERE current = 1 AND status <> 'running';

    CREATE TABLE parts (run INTEGER, key TEXT, body TEXT NOT NULL, PRIMARY KEY (run, key)) WITHOUT ROWID;
    CREATE TABLE state (run INTEGER, key TEXT, body TEXT NOT NULL, PRIMARY KEY (run, key)) WITHOUT ROWID;
    CREATE TABLE events (
        run INTEGER, seq INTEGER, at REAL NOT NULL, item INTEGER, kind INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (run, seq)
    ) WITHOUT ROWID;
    CREATE TABLE kinds (key INTEGER PRIMARY KEY, type TEXT NOT NULL, qualified_name TEXT NOT NULL, types TEXT NOT NULL);
    CREATE TABLE shapes (key INTEGER PRIMARY KEY, body TEXT NOT NULL);

    CREATE TRIGGER all_that_hangs_on_a_run AFTER DELETE ON runs BEGIN
        DELETE FROM parts WHERE run = OLD.key;
        DELETE FROM state WHERE run = OLD.key;
        DELETE FROM events WHERE run = OLD.key;
    END;

    CREATE VIEW log AS
        SELECT handler_id, run_id, seq, datetime(at, 'unixepoch', 'localtime') AS at, type, item, body
        FROM runs JOIN events ON run = runs.key JOIN kinds ON kind = kinds.key;
    """,
    """
    CREATE TABLE keys (
        scope TEXT,                -- the handler that an event was for; empty for the start of a run
        key TEXT, payload TEXT NOT NULL, run INTEGER NOT NULL,
        PRIMARY KEY (scope, key)
    ) WITHOUT ROWID;
    CREATE INDEX keys_of_run ON keys (run);
    CREATE TRIGGER keys_that_hang_on_a_run AFTER DELETE ON runs BEGIN
        DELETE FROM keys WHERE run = OLD.key;
    END;
    """,
    """
    -- One word for status and phase: the phase of a run that is alive, else how it ended.
    ALTER TABLE runs ADD COLUMN standing TEXT AS (CASE status WHEN 'running' THEN phase ELSE status END) VIRTUAL;
    DROP INDEX runs_listed;
    DROP INDEX runs_by_status;
    DROP INDEX runs_by_workflow;
    DROP INDEX runs_idle;
    CREATE INDEX runs_listed ON runs (place, started_at) WHERE current = 1;
    CREATE INDEX runs_by_standing ON runs (standing, place, started_at) WHERE current = 1;
    CREATE INDEX runs_by_workflow ON runs (workflow, place, started_at) WHERE current = 1;
    """,
    """
    CREATE INDEX runs_earlier_finished ON runs (completed_at) WHERE current = 0;
    """,
)

BEGIN_ANEW = """
UPDATE runs SET phase = CASE phase WHEN 'waiting' THEN 'idle' ELSE 'queued' END
    WHERE standing IN ('waiting', 'running') AND current = 1
"""
"""Whoever has just opened the file has none of its runs in memory: the phases of those that were there now say so."""


def prepare(connection: sqlite3.Connection, path: Path, *, migrate: bool) -> None:
    """Bring a database to the present schema.

    Args:
        connection: The writer's, in autocommit mode.
        path: The file, for sentences.
        migrate: Whether a database of an older version may be changed.

    Raises:
        StoreError: It is another program's, of a newer version, of an older one that may not be changed, or in the
            wrong place.
        sqlite3.Error: The file can't be read or written.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    used = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
    if used and application != APPLICATION_ID:
        raise StoreError(
            f"{path} is a database of another program; give SqliteWorkflowStore a db_path of its own, "
            "and it makes the file"
        )
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{path} was written by a newer workflow-server (schema {version}, this one knows {len(MIGRATIONS)}); "
            "upgrade workflow-server to use it"
        )
    if used and version < len(MIGRATIONS) and not migrate:
        raise StoreError(
            f"{path} was written by an older workflow-server (schema {version}, this one needs {len(MIGRATIONS)}); "
            "auto_migrate=True lets it be migrated"
        )
    # Readers and the writer don't wait for each other. This stays with the file.
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise StoreError(
            f"{path} lies where SQLite can keep no write-ahead log (a network file system, perhaps); "
            "give SqliteWorkflowStore a db_path on a local disk"
        )
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        _apply(connection, number, script)


def _apply(connection: sqlite3.Connection, number: int, script: str) -> None:
    marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
    try:
        connection.executescript(f"BEGIN IMMEDIATE; {script} {marks} COMMIT;")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise

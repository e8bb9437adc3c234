"""The store for runs that must outlive the process: one file, made by SQLite."""

from __future__ import annotations

from workflow_server.stores.sqlite.store import SqliteWorkflowStore

__all__ = ["SqliteWorkflowStore"]

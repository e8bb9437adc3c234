"""The names that `from workflows import …` offers; they are `workflow_server`'s."""

from workflow_server import Context, Workflow, catch_error, step

__all__ = ["Context", "Workflow", "catch_error", "step"]

"""The names that `from workflows import …` offers; they are `workflow_server`'s.

They are fetched when asked for: a program that only imports `workflows.events` needs no runner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workflow_server import Context, Workflow, catch_error, step

__all__ = ["Context", "Workflow", "catch_error", "step"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import workflow_server

    value = getattr(workflow_server, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

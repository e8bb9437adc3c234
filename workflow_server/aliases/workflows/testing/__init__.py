"""Help for tests, under its documented name."""

import sys

from workflow_server.testing.runner import WorkflowTestRunner

__all__ = ["WorkflowTestRunner"]

# One module under both names, whichever was imported first.
sys.modules["workflows.testing"] = sys.modules["llama_agents.workflows.testing"] = sys.modules[__name__]

"""Drawings of workflows, under their documented names."""

import sys

from workflow_server.definition.graph import get_workflow_representation
from workflow_server.wire.graph import *  # noqa: F403  # the list is kept there
from workflow_server.wire.graph import __all__ as _shapes

__all__ = [*_shapes, "get_workflow_representation"]

# One module under both names, whichever was imported first.
sys.modules["workflows.representation"] = sys.modules["llama_agents.workflows.representation"] = sys.modules[__name__]

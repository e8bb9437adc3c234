"""The run's context and its serializers, under their documented names."""

import sys

from workflow_server.runtime.context import Context
from workflow_server.serializers import BaseSerializer, JsonSerializer, PickleSerializer

__all__ = ["BaseSerializer", "Context", "JsonSerializer", "PickleSerializer"]

# One module under both names, whichever was imported first.
sys.modules["workflows.context"] = sys.modules["llama_agents.workflows.context"] = sys.modules[__name__]

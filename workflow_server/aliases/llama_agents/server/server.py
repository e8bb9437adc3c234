"""`llama_agents.server.server` is `workflow_server.server`."""

import sys
from importlib import import_module

sys.modules[__name__] = import_module("workflow_server.server")

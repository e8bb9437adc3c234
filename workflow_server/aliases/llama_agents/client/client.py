"""`llama_agents.client.client` is `workflow_server.client.client`."""

import sys
from importlib import import_module

sys.modules[__name__] = import_module("workflow_server.client.client")

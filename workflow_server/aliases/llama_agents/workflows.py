"""`llama_agents.workflows` is `workflows`."""

import sys
from importlib import import_module

sys.modules[__name__] = import_module("workflows")

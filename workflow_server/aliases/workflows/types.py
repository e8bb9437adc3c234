"""`workflows.types` is `workflow_server.types`."""

import sys
from importlib import import_module

sys.modules[__name__] = import_module("workflow_server.types")

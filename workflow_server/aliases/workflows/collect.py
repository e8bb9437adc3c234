"""`workflows.collect` is `workflow_server.definition.collect`."""

import sys
from importlib import import_module

sys.modules[__name__] = import_module("workflow_server.definition.collect")

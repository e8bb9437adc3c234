"""`workflows.errors` is `workflow_server.errors`."""

import sys
from importlib import import_module

sys.modules[__name__] = import_module("workflow_server.errors")

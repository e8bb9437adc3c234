"""`workflows.resource` is `workflow_server.runtime.resource`."""

import sys
from importlib import import_module

sys.modules[__name__] = import_module("workflow_server.runtime.resource")

"""`workflows.retry_policy` is `workflow_server.definition.retry_policy`."""

import sys
from importlib import import_module

sys.modules[__name__] = import_module("workflow_server.definition.retry_policy")

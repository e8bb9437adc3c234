"""`workflows.context.state_store` is `workflow_server.runtime.state_store`."""

import sys
from importlib import import_module

sys.modules[__name__] = import_module("workflow_server.runtime.state_store")

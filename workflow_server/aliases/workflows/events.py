"""`workflows.events` is `workflow_server.events`."""

import sys
from importlib import import_module

sys.modules[__name__] = import_module("workflow_server.events")

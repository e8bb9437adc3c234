"""`workflows.testing.runner` is `workflow_server.testing.runner`."""

import sys
from importlib import import_module

sys.modules[__name__] = import_module("workflow_server.testing.runner")

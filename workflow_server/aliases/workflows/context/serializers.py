"""`workflows.context.serializers` is `workflow_server.serializers`."""

import sys
from importlib import import_module

sys.modules[__name__] = import_module("workflow_server.serializers")

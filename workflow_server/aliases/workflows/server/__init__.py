"""The server, under its shorter name; `python -m workflows.server FILE` serves a program."""

import sys

from workflow_server.aliases.server_names import __all__ as __all__
from workflow_server.aliases.server_names import __getattr__ as __getattr__

# One module under both names, whichever was imported first.
sys.modules["workflows.server"] = sys.modules["llama_agents.workflows.server"] = sys.modules[__name__]

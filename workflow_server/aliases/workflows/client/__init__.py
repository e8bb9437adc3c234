"""The client, under its shorter name."""

import sys

from workflow_server.aliases.client_names import *  # noqa: F403  # the list is kept there
from workflow_server.aliases.client_names import __all__ as __all__

# One module under both names, whichever was imported first.
sys.modules["workflows.client"] = sys.modules["llama_agents.workflows.client"] = sys.modules[__name__]

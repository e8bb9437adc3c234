"""The client, under the name that the guide imports it by."""

from workflow_server.aliases.client_names import *  # noqa: F403  # the list is kept there
from workflow_server.aliases.client_names import __all__ as __all__

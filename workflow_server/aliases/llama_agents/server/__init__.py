"""The server, under the name that the guide imports it by."""

from workflow_server.aliases.server_names import __all__ as __all__
from workflow_server.aliases.server_names import __getattr__ as __getattr__

"""The import name `workflows`, unless a package of that name is installed: see `workflow_server.aliases`."""

from workflow_server.aliases import become_package

become_package(__name__)

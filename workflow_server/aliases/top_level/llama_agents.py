"""The import name `llama_agents`, shared with other distributions' folders of it: see `workflow_server.aliases`."""

from workflow_server.aliases import become_package, folders_on_path

become_package(__name__, before=folders_on_path(__name__))

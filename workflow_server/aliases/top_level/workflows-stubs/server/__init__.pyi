from workflow_server.aliases.server_names import *

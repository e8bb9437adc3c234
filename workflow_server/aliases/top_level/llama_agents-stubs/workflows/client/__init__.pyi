from workflow_server.aliases.client_names import *

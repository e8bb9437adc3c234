from workflow_server.errors import *

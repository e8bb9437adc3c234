from workflow_server.server import *

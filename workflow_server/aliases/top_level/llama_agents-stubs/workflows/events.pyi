from workflow_server.events import *

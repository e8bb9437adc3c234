from workflow_server.wire.models import *

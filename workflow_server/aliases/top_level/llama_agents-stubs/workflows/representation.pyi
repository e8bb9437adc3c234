from workflow_server.definition.graph import get_workflow_representation as get_workflow_representation
from workflow_server.wire.graph import *

from workflow_server.wire.envelopes import *

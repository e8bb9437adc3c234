"""`python -m llama_agents.server FILE` is `workflow-server FILE`."""

import sys

from workflow_server.cli import main

if __name__ == "__main__":
    sys.exit(main())

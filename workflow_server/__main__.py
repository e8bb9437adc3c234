"""`python -m workflow_server FILE` is `workflow-server FILE`."""

import sys

from workflow_server.cli import main

if __name__ == "__main__":
    sys.exit(main())

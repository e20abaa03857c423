"""`python -m serving.offline`."""

import sys

from serving.offline.command import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m pivm.cli`: the command `pivm`."""

import sys

from pivm.cli import main

if __name__ == "__main__":
    sys.exit(main())

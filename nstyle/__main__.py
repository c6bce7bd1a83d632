"""Run the command `nstyle` as `python -m nstyle`."""

import sys

from nstyle.commands.paint import main

if __name__ == "__main__":
    sys.exit(main())

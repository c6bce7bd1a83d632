"""Run the command `nstyle` as `python -m nstyle`, and where the installed commands start.

The imports take a moment, in which Ctrl-C must not show a traceback, too. So they are late here.
"""

import sys


def paint() -> int:
    """Run the command `nstyle` with the process's arguments, and return its exit code."""
    try:
        from nstyle.commands.paint import main

        return main()
    except KeyboardInterrupt:
        return _interrupted("nstyle")


def view() -> int:
    """Run the command `nstyle-view` with the process's arguments, and return its exit code."""
    try:
        from nstyle.commands.view import main

        return main()
    except KeyboardInterrupt:
        return _interrupted("nstyle-view")


def _interrupted(command: str) -> int:
    """Print that Ctrl-C ended the command before it began, or after it ended; return the exit code."""
    print(f"{command}: error: interrupted", file=sys.stderr)  # noqa: T201  (the user reads it here)
    return 130


if __name__ == "__main__":
    sys.exit(paint())

"""Run the command `nstyle` as `python -m nstyle`, and where the installed commands start.

The imports take a moment, in which Ctrl-C must not show a traceback, too. So they are late here.
"""

import os
import sys

_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables that say how OpenMP's threads wait for each other: OpenMP's own, GCC's (libgomp) and LLVM's (libomp)."""


def paint() -> int:
    """Run the command `nstyle` with the process's arguments, and return its exit code."""
    let_waiting_threads_sleep()
    try:
        from nstyle.commands.paint import main

        return main()
    except KeyboardInterrupt:
        return _interrupted("nstyle")


def view() -> int:
    """Run the command `nstyle-view` with the process's arguments, and return its exit code."""
    let_waiting_threads_sleep()
    try:
        from nstyle.commands.view import main

        return main()
    except KeyboardInterrupt:
        return _interrupted("nstyle-view")


def let_waiting_threads_sleep() -> None:
    """Make OpenMP's threads sleep while they wait for each other, unless the environment says how they wait.

    By default, they spin. If another program needs a core, a spinning thread holds up the one that it waits for, and
    an epoch takes several times as long. OpenMP reads the variable when PyTorch loads it, so this comes before.
    """
    if not any(name in os.environ for name in _WAITING):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def _interrupted(command: str) -> int:
    """Print that Ctrl-C ended the command before it began, or after it ended; return the exit code."""
    print(f"{command}: error: interrupted", file=sys.stderr)  # noqa: T201  (the user reads it here)
    return 130


if __name__ == "__main__":
    sys.exit(paint())

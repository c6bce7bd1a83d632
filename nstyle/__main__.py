"""Run the command `nstyle` as `python -m nstyle`, and where the installed commands start.

The imports take a moment, in which Ctrl-C must not show a traceback, too. So they are late here.
"""

import os
import sys

_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables that say how OpenMP's threads wait for each other: OpenMP's own, GCC's (libgomp) and LLVM's (libomp)."""

SPINS = 2000
"""How many times a thread looks before it sleeps: some microseconds. GCC's default is 300,000."""


def paint() -> int:
    """Run the command `nstyle` with the process's arguments, and return its exit code."""
    let_waiting_threads_sleep()
    try:
        from nstyle.commands.paint import main

        return main()
    except KeyboardInterrupt:
        return _interrupted("nstyle")


def view() -> int:
    """Run the command `nstyle-view` with the process's arguments, and return its exit code. It imports no PyTorch."""
    try:
        from nstyle.commands.view import main

        return main()
    except KeyboardInterrupt:
        return _interrupted("nstyle-view")


def train() -> int:
    """Run the command `nstyle-train` with the process's arguments, and return its exit code."""
    let_waiting_threads_sleep()
    try:
        from nstyle.commands.train import main

        return main()
    except KeyboardInterrupt:
        return _interrupted("nstyle-train")


def let_waiting_threads_sleep() -> None:
    """Make OpenMP's threads sleep soon while they wait for each other, unless the environment says how they wait.

    By default, they spin for long. If other programs need the cores, a spinning thread holds up the one that it waits
    for, and an epoch takes longer. To sleep at once (OMP_WAIT_POLICY=PASSIVE) costs time on a quiet machine. See
    docs/performance.md for both. OpenMP reads the variable when PyTorch loads it, so this comes before.
    """
    if not any(name in os.environ for name in _WAITING):
        os.environ["GOMP_SPINCOUNT"] = str(SPINS)


def _interrupted(command: str) -> int:
    """Print that Ctrl-C ended the command before it began, or after it ended; return the exit code."""
    print(f"{command}: error: interrupted", file=sys.stderr)  # noqa: T201  (the user reads it here)
    return 130


if __name__ == "__main__":
    sys.exit(paint())

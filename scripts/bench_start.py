"""Measure how soon a painting begins, and how long its epochs take if another program keeps a core busy.

start: seconds from the start of the command to the end of its first epoch, at 128 pixels.
epoch: seconds per epoch at 384 pixels, on a quiet machine and beside one busy core, with threads that sleep while
    they wait (nstyle's choice) and with threads that spin (the default of GCC's OpenMP).

The variants take turns. The figures are medians of the rounds; of an epoch, of its median in each round.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from bench import epoch_ends, ours

WAITING = {"sleep": {"OMP_WAIT_POLICY": "PASSIVE"}, "spin": {"GOMP_SPINCOUNT": "300000"}}
"""Environment for each way to wait. 300,000 is the default of GCC's OpenMP."""


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Give these variables, and no others that say how threads wait, to the programs that start meanwhile."""
    before = {name: os.environ.pop(name) for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT") if name in os.environ}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _busy_core(wanted: bool) -> Iterator[None]:
    """Keep one core busy with another process meanwhile."""
    if not wanted:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            yield
        finally:
            other.kill()


def start_seconds(folder: Path) -> float:
    """Return the seconds from the start of the command to the end of its first epoch."""
    with _environment({}):
        return epoch_ends(ours(1, 128, folder))[0]


def epoch_seconds(folder: Path, options: argparse.Namespace, waiting: str, *, busy: bool) -> float:
    """Return the median of the seconds between the ends of epochs."""
    command = ours(options.epochs, options.size, folder, ["--model", options.model])
    with _environment(WAITING[waiting]), _busy_core(busy):
        ends = epoch_ends(command)
    return statistics.median(end - before for before, end in pairwise(ends))


def main() -> None:
    """Measure, and print medians and each round's figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("start", "epoch", "all"), nargs="?", default="all")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=6, help="epochs of each painting (default: %(default)s)")
    parser.add_argument("--size", type=int, default=384, help="longer edge in pixels (default: %(default)s)")
    parser.add_argument("--model", default="vgg19", help="network (default: %(default)s)")
    options = parser.parse_args()
    found: defaultdict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        for _ in range(options.rounds):
            if options.what != "epoch":
                found["start to first epoch, 128 px"].append(start_seconds(Path(name)))
            if options.what == "start":
                continue
            for busy in (False, True):
                for waiting in WAITING:
                    what = f"epoch, {options.size} px, {'busy core' if busy else 'quiet'}, threads {waiting}"
                    found[what].append(epoch_seconds(Path(name), options, waiting, busy=busy))
    for what, seconds in found.items():
        rounds = ", ".join(f"{each:.2f}" for each in seconds)
        print(f"{what:48} {statistics.median(seconds):6.2f} s   ({rounds})")


if __name__ == "__main__":
    main()

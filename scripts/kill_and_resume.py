"""Kill runs with SIGKILL at random moments, check the files that they left, and let the next run finish them.

Each run saves picture and checkpoint after every epoch, and is killed while it owns its folder. After a kill, every
file in the folder must be complete. After resuming, all files must equal those of an uninterrupted run, except for
times.

With `--two`, two processes start in one folder, and both are killed: by turns two equal runs, two of different
settings that replace a finished run there (`--overwrite`), and two equal ones that do. The finished run must be whole
until a picture of a new one is. Then both start again: one is refused, or finds the work done, or repeats it.
Exits with 1 if anything is lost, torn or different.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from nstyle.storage.checkpoint import read_checkpoint
from nstyle.storage.layout import is_staging
from nstyle.storage.lock import is_held
from nstyle.storage.recipe import read_recipe

ROOT = Path(__file__).resolve().parent.parent
CONTENT, STYLE = ROOT / "input" / "chelsea.jpg", ROOT / "input" / "vortices.jpg"


def contents(folder: Path) -> dict[str, Any]:
    """Read all files of a run folder completely, and return what must be the same in each run: all except times."""
    found: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".png":
            with Image.open(path) as picture:
                found[path.name] = np.asarray(picture).tobytes()
        elif path.name == "epochs.csv":
            found[path.name] = _lines(path)
        elif path.name == "run.json":
            read_recipe(path)
            facts = json.loads(path.read_text())
            keys = ("stop_reason", "scale", "epochs", "inputs", "weights", "pictures")
            found[path.name] = [facts["settings"]["seed"], *(facts[key] for key in keys)]
        elif path.name == "state.npz":
            checkpoint, _ = read_checkpoint(path, torch.device("cpu"))
            state = checkpoint.descent
            found[path.name] = [checkpoint.scale, checkpoint.epoch, state.image.numpy().tobytes()]
            found[path.name] += [tensor.numpy().tobytes() for tensor in state.memory.values()]
        elif path.name != "run.lock" and not path.name.endswith(".tmp") and not is_staging(path.name):
            raise SystemExit(f"unknown file {path}")  # a lock or a half-written file is deleted by the next run
    return found


def _lines(path: Path) -> list[list[str]]:
    """Return the lines of `epochs.csv` without times. Its numbers must be whole, and its epochs increase by one."""
    with path.open(newline="") as file:
        header, *lines = list(csv.reader(file)) or [[]]
    if lines and len(lines[-1]) < len(header):
        del lines[-1]  # a killed run left it unfinished
    numbers = [[float(cell) for cell in line] for line in lines]
    if [line[0] for line in numbers] != list(range(len(numbers))):
        raise SystemExit(f"{path} is torn: its epochs are {[line[0] for line in lines]}")
    return [line[:-1] for line in [header, *lines]]


class Kills:
    """Runs that are killed at random moments.

    Args:
        options: the arguments of the script.
        place: a folder for the runs.

    """

    def __init__(self, options: argparse.Namespace, place: Path) -> None:
        self.place = place
        self.moments = random.Random(options.seed)  # noqa: S311  (no secret)
        self.command = [
            *(sys.executable, "-m", "nstyle", "--content-image", str(CONTENT), "--style-image", str(STYLE)),
            *("--max-long-edge", str(options.size), "--max-num-epochs", str(options.epochs), "--stop-eps", "0"),
            *("--save-epochs", "1", "--image-format", "png", "--device", "cpu", "--quiet"),
            *("--optimizer", options.optimizer, "--scales", options.scales, "--model", options.model),
        ]
        self.whole = self.paint(place / "whole")
        self.duration: float = json.loads((place / "whole" / "run.json").read_text())["seconds"]
        self.other = self.paint(place / "other", "--seed", "3") if options.two else {}

    def paint(self, folder: Path, *more: str) -> dict[str, Any]:
        """Paint to the end, and return the contents of the folder."""
        subprocess.run([*self.command, "--output-dir", str(folder), *more], check=True)
        return contents(folder)

    def kill(self, folder: Path, *flags: Sequence[str]) -> float:
        """Start a run with each of these flags at once, and kill all at a random moment.

        Return the moment in seconds since one of them owned the folder.
        """
        moment = self.moments.uniform(0, 1.2 * self.duration)
        line = [*self.command, "--output-dir", str(folder)]
        processes = [subprocess.Popen([*line, *more], stderr=subprocess.DEVNULL) for more in flags]
        while not is_held(folder) and any(process.poll() is None for process in processes):
            time.sleep(0.01)
        give_up = time.monotonic() + moment
        for process in self.moments.sample(processes, len(processes)):
            try:
                process.wait(timeout=max(0, give_up - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return moment

    def one(self, number: int) -> str:
        """Kill one run, and resume it. Return what is wrong, or an empty text."""
        folder = self.place / str(number)
        moment = self.kill(folder, ["--resume"])
        left = contents(folder) if folder.exists() else {}
        wrong = "" if self.paint(folder, "--resume") == self.whole else "DIFFERENT RESULT"
        pictures = sum(name.endswith(".png") for name in left)
        print(f"kill {number + 1:3} after {moment:5.2f} s: {pictures:3} pictures, all complete; resumed: ", end="")
        print(wrong or "same result", flush=True)
        return wrong

    def two(self, number: int) -> str:
        """Kill two runs in one folder, then let both finish. Return what is wrong, or an empty text."""
        folder = self.place / f"two {number}"
        replaces, is_equal = number % 3 > 0, number % 3 != 1
        flags: list[list[str]] = [["--overwrite"]] * 2 if replaces else [[]] * 2
        if not is_equal:
            flags[1] = [*flags[1], "--seed", "3"]
        earlier = self.paint(folder, "--seed", "7") if replaces else {}
        moment = self.kill(folder, *flags)
        left = contents(folder) if folder.exists() else {}
        is_earlier = "run.json" in left and left["run.json"][0] == 7
        wrong = ""
        if is_earlier and {name: left.get(name) for name in earlier} != earlier:
            wrong = "THE EARLIER RUN IS TORN"
        if replaces and not is_earlier and not _stands(folder):
            wrong = "NO PICTURE IS LEFT"
        line = [*self.command, "--output-dir", str(folder)]
        again = [subprocess.Popen([*line, *more], stderr=subprocess.DEVNULL) for more in flags]
        codes = sorted(process.wait() for process in again)
        wanted = [self.whole] if is_equal else [self.whole, self.other]
        if codes not in ([0, 0], [0, 1]) or contents(folder) not in wanted:
            wrong = wrong or f"DIFFERENT RESULT (exit codes {codes})"
        if any(name.startswith(".") or name == "run.lock" for name in os.listdir(folder)):
            wrong = wrong or "LEFTOVERS"
        print(
            f"kill {number + 1:3} of two {'equal' if is_equal else 'unlike'} runs after {moment:5.2f} s: "
            f"{'the earlier run is whole' if is_earlier else 'new files'}; {wrong or 'finished'}",
            flush=True,
        )
        return wrong


def _stands(folder: Path) -> bool:
    """Tell whether a picture that the record names is there, or in the hidden folder that the record names."""
    facts = json.loads((folder / "run.json").read_text())
    places = [folder, folder / facts.get("replaces", {}).get("staging", ".")]
    return any((place / name).exists() for place in places for name in facts["pictures"])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the test and print a line for each kill."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40, help="number of kills (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=40, help="epochs at each scale (default: %(default)s)")
    parser.add_argument("--size", type=int, default=64, help="longer edge in pixels (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random moments (default: %(default)s)")
    parser.add_argument("--optimizer", default="nag", help="optimizer of the runs (default: %(default)s)")
    parser.add_argument("--scales", default="1", help="scales of the runs (default: %(default)s)")
    parser.add_argument("--model", default="vgg19", help="network of the runs (default: %(default)s)")
    parser.add_argument("--two", action="store_true", help="kill two processes in one folder at once")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        kills = Kills(options, Path(name))
        wrong = sum(bool((kills.two if options.two else kills.one)(number)) for number in range(options.kills))
        print(f"{options.kills} kills within {kills.duration:.1f} s of a run; {wrong} of them lost something")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

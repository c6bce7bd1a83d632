"""Kill runs with SIGKILL at random moments, check the files that they left, and let `--resume` finish them.

Each run saves picture and checkpoint after every epoch. After a kill, every file in the folder must be complete.
After resuming, all files must equal those of an uninterrupted run, except for times. Exits with 1 if any run differs.
"""

import argparse
import csv
import json
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
            with path.open(newline="") as file:
                found[path.name] = [line[:-1] for line in csv.reader(file)]
        elif path.name == "run.json":
            facts = json.loads(path.read_text())
            found[path.name] = [
                facts["stop_reason"],
                facts["scale"],
                facts["epochs"],
                facts["inputs"],
                facts["weights"],
            ]
        elif path.name == "state.npz":
            checkpoint, _ = read_checkpoint(path, torch.device("cpu"))
            state = checkpoint.descent
            found[path.name] = [checkpoint.scale, checkpoint.epoch, state.image.numpy().tobytes()]
            found[path.name] += [tensor.numpy().tobytes() for tensor in state.memory.values()]
        elif not path.name.endswith(".tmp"):  # a half-written file, which the next start deletes
            raise SystemExit(f"unknown file {path}")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the test and print a line for each kill."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40, help="number of kills (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=40, help="epochs at each scale (default: %(default)s)")
    parser.add_argument("--size", type=int, default=64, help="longer edge in pixels (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random moments (default: %(default)s)")
    parser.add_argument("--optimizer", default="nag", help="optimizer of the runs (default: %(default)s)")
    parser.add_argument("--scales", default="1", help="scales of the runs (default: %(default)s)")
    options = parser.parse_args(argv)
    moments = random.Random(options.seed)  # noqa: S311  (no secret)
    with tempfile.TemporaryDirectory() as name:
        command = [
            *(sys.executable, "-m", "nstyle", "--content-image", str(CONTENT), "--style-image", str(STYLE)),
            *("--max-long-edge", str(options.size), "--max-num-epochs", str(options.epochs), "--stop-eps", "0"),
            *("--save-epochs", "1", "--image-format", "png", "--device", "cpu", "--quiet", "--resume"),
            *("--optimizer", options.optimizer, "--scales", options.scales, "--output-dir"),
        ]
        whole = Path(name) / "whole"
        started = time.monotonic()
        subprocess.run([*command, str(whole)], check=True)
        duration = time.monotonic() - started
        wanted = contents(whole)
        wrong = 0
        for number in range(options.kills):
            folder = Path(name) / str(number)
            process = subprocess.Popen([*command, str(folder)])
            moment = moments.uniform(0, duration)
            try:
                process.wait(timeout=moment)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            left = contents(folder) if folder.exists() else {}
            subprocess.run([*command, str(folder)], check=True)
            same = contents(folder) == wanted
            wrong += not same
            pictures = sum(name.endswith(".png") for name in left)
            print(
                f"kill {number + 1:3} after {moment:5.2f} s: {pictures:3} pictures, all complete; "
                f"resumed: {'same result' if same else 'DIFFERENT RESULT'}",
                flush=True,
            )
        print(f"{options.kills} kills within {duration:.1f} s of a run; {wrong} resumed runs differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

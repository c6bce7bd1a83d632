"""Kill a run with SIGKILL at random moments, check every file that it left, and let `--resume` finish it.

The run saves picture and state after every epoch. After each kill every file in its folder must be whole, and the
resumed run must end with exactly the files of one that was never killed, but for times. Exits with 1 if any does not.
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
    """Read every file of a run's folder whole, and return what must be the same in each run: all but times."""
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
        elif not path.name.endswith(".tmp"):  # what was being written; the next start removes it
            raise SystemExit(f"unknown file {path}")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the trial and print a line for each kill."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40, help="how many (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=40, help="of the run at each scale (default: %(default)s)")
    parser.add_argument("--size", type=int, default=64, help="longer edge in pixels (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    parser.add_argument("--optimizer", default="nag", help="of the run (default: %(default)s)")
    parser.add_argument("--scales", default="1", help="of the run (default: %(default)s)")
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
                f"kill {number + 1:3} after {moment:5.2f} s: {pictures:3} pictures, all whole; "
                f"resumed: {'the same' if same else 'ANOTHER RESULT'}",
                flush=True,
            )
        print(f"{options.kills} kills within {duration:.1f} s of a run; {wrong} resumed runs differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

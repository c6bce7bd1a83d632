"""Damage run folders, and check that `nstyle-view` shows them or refuses them in one line, in time.

usage: python scripts/fuzz_view.py [--count 2000] [--seed 0] [--seconds 20]

Each case makes a small run, and damages its record (values, bytes), its epochs and its file names. The exit code is 1
if any case raises anything but an `NStyleError` or takes longer than --seconds. The same seed makes the same cases.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from nstyle.errors import NStyleError
from nstyle.files import sha256
from nstyle.view.publish import Gallery, write_films, write_sheet

STRANGE: tuple[Any, ...] = (
    *(None, True, -1, 0, 10**18, int("9" * 400), int("9" * 5), 1e308, 5e-324, float("nan"), float("inf"), 0.5),
    *("", "\0", "\ud800", "\u202egpj.exe", "\x1b[2J", "</script><b>", "javascript:alert(1)", "a" * 5000, "e_3.jpg"),
    *("/dev/zero", "/dev/null", "/proc/self/environ", "//server/x", "../" * 50 + "etc/passwd", ".", "", "running"),
    *([], {}, [[]], {"": {}}, [None] * 50, {"path": "/dev/zero", "sha256": "0"}, ["path"], {"path": 3}),
)
"""Values to put anywhere into a record."""

CELLS = (
    "",
    "nan",
    "-inf",
    "1e400",
    "9" * 400,
    "-3",
    "0",
    "x",
    '"',
    "\0",
    "\ufeff",
    "0x10",
    "1_0",
    "\u0665",
    ",",
    "\r",
)

NAMES = ("e_{}.jpg", "e_0{}.png", "final.png", "final.tiff", "e_-{}.jpg", "e_{}.jpg\n", "run.json ", "\u202ee_{}.jpg")


def damage(folder: Path, chance: random.Random) -> None:
    """Damage the files of a run, or of a film, in one to four ways."""
    ways: list[Callable[[Path, random.Random], None]] = [
        *(_change_record,) * 4,
        *(_change_epochs,) * 3,
        *(_change_bytes,) * 2,
        *(_change_names,) * 2,
    ]
    for _ in range(chance.randint(1, 4)):
        chance.choice(ways)(folder, chance)


def _change_record(folder: Path, chance: random.Random) -> None:
    """Replace, remove or rename values in `run.json`, or in a film's record, at any depth."""
    path = folder / ("film.json" if (folder / "film.json").is_file() else "run.json")
    if not path.is_file():  # reading a pipe would wait
        return
    try:
        record = json.loads(path.read_bytes())
    except ValueError:
        return
    for _ in range(chance.randint(1, 3)):
        place, inside = None, record
        while isinstance(inside, dict | list) and inside and (place is None or chance.random() < 0.6):
            place = inside
            key = chance.choice(list(inside) if isinstance(inside, dict) else range(len(inside)))
            inside = inside[key]
        if place is None:
            continue
        if chance.random() < 0.2:
            del place[key]
        elif isinstance(place, dict) and chance.random() < 0.2:
            place[str(chance.choice(STRANGE))[:300]] = place.pop(key)
        else:
            place[key] = chance.choice(STRANGE)
    path.write_text(json.dumps(record), encoding="utf-8")


def _change_epochs(folder: Path, chance: random.Random) -> None:
    """Change cells, columns and lines of `epochs.csv`, or of a film's table."""
    path = folder / ("frames.csv" if (folder / "frames.csv").is_file() else "epochs.csv")
    if not path.is_file():
        return
    rows = [line.split(",") for line in path.read_text(encoding="utf-8", errors="replace").splitlines()] or [[""]]
    for _ in range(chance.randint(1, 5)):
        row = chance.choice(rows)
        at = chance.randrange(len(row) + 1)
        row[at : at + chance.choice((0, 1, 1, 1, 1))] = [chance.choice(CELLS)] * chance.choice((0, 1, 1, 1, 1, 90))
    if chance.random() < 0.3:
        chance.shuffle(rows)
    ending, encoding = chance.choice(("\n", "\r\n", "\r")), chance.choice(("utf-8", "utf-8-sig", "utf-16"))
    text = ending.join(map(",".join, rows)) + chance.choice((ending, ""))
    path.write_bytes(text.encode(encoding, errors="replace"))


def _change_bytes(folder: Path, chance: random.Random) -> None:
    """Change, remove or insert bytes of a file."""
    path = chance.choice(sorted(path for path in folder.iterdir() if path.is_file() and not path.is_symlink()))
    content = bytearray(path.read_bytes())
    at = chance.randrange(len(content) + 1)
    content[at : at + chance.choice((0, 1, 1, 10, 10**6))] = chance.randbytes(chance.choice((0, 1, 1, 10)))
    path.unlink()  # it may be a hard link
    path.write_bytes(content)


def _change_names(folder: Path, chance: random.Random) -> None:
    """Rename, link or copy a file, or put a folder, a link or a pipe in its place."""
    path = chance.choice(sorted(path for path in folder.iterdir() if path.is_file() and not path.is_symlink()))
    name = chance.choice(NAMES).format(chance.choice((0, 1, 3, 4, 7, "9" * 200, "9" * 20)))
    target = folder / name
    if target.exists() or target.is_symlink():
        return
    way = chance.randrange(5)
    if way == 0:
        shutil.copy(path, target)
    elif way == 1:
        target.symlink_to(chance.choice((path, Path("/dev/zero"), target, folder)))
    elif way == 2:
        target.mkdir()
    elif way == 3:
        os.mkfifo(target)
    else:
        path.rename(target)
        if chance.random() < 0.5:
            os.mkfifo(path)


def make_run(folder: Path, stop_reason: str) -> None:
    """Make the folder of a run of four epochs with two snapshots and its content beside it."""
    folder.mkdir(parents=True)
    content = folder.parent / "content.png"
    Image.linear_gradient("L").resize((24, 20)).save(content)
    for name in ("e_2.jpg", "e_4.jpg", "final.jpg"):
        Image.linear_gradient("L").resize((24, 20)).convert("RGB").save(folder / name)
    record = {
        "settings": {"content_image": str(content), "save_epochs": 2, "max_num_epochs": [4], "stop_eps": 0.1},
        "inputs": {
            "content_image": {"path": str(content), "sha256": sha256(content)},
            "blend_style": [{"path": "x"}],
        },
        "weights": {"path": "vgg19.params", "sha256": "0"},
        "versions": {"nstyle": "1"},
        **{"size": [24, 20], "device": "cpu", "device_name": None, "precision": "float32"},
        **{"started": "2026-01-02T03:04:05", "scale": 1, "scales": 1, "epochs": 4, "seconds": 2.5},
        "stop_reason": stop_reason,
    }
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    lines = [f"{epoch},0.5,{1 / (epoch + 1)},1e9,1,{epoch}.5" for epoch in range(4)]
    (folder / "epochs.csv").write_text(
        "\n".join(["epoch,relative_change,learning_rate,loss,scale,seconds", *lines, ""]), encoding="utf-8"
    )


def show(folder: Path, pages: Path) -> str:
    """Make the page, the film and the sheet of a folder. Return "shown" or "refused"."""
    try:
        shown = Gallery(folder, pages).publish()
        write_films(shown, gif=True, mp4=False)
        write_sheet(shown)
    except NStyleError as error:
        return "refused" if "\n" not in str(error) else "an error of several lines"
    return "shown"


class TooSlowError(Exception):
    """A case took too long."""


def _alarm(*_: object) -> None:
    raise TooSlowError


def main() -> int:
    """Fuzz the viewer, print a report, and return 1 if there are finds."""
    assert __doc__ is not None  # noqa: S101
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=2000, help="number of damaged folders (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=20, help="maximum seconds per folder (default: %(default)s)")
    chosen = parser.parse_args()
    chance = random.Random(chosen.seed)  # noqa: S311  # not for security
    signal.signal(signal.SIGALRM, _alarm)
    outcomes: Counter[str] = Counter()
    for number in range(chosen.count):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / chance.choice(("run", "batch/run", "batch/sweep/run"))
            make_run(folder, chance.choice(("running", "epochs")))
            damage(folder, chance)
            signal.alarm(chosen.seconds)
            try:
                outcome = show(Path(temporary) / folder.relative_to(temporary).parts[0], Path(temporary) / "pages")
            except Exception:  # noqa: BLE001  # finding these is the purpose
                outcome = "find"
                print(f"case {number} of seed {chosen.seed}:", traceback.format_exc(), flush=True)
            finally:
                signal.alarm(0)
            outcomes[outcome] += 1
    print(f"{chosen.count} damaged folders, seed {chosen.seed}: {dict(sorted(outcomes.items()))}")
    return 1 if set(outcomes) - {"shown", "refused"} else 0


if __name__ == "__main__":
    sys.exit(main())

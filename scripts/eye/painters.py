"""Painters: named sets of nstyle's flags that paint all pairs."""

import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eye.pairs import Pair
from nstyle.errors import Kind, NStyleError

RESERVED = ("pairs", "photo")
"""Names that are not allowed for painters: the folder of the pairs, and the photos in the table."""


@dataclass(frozen=True)
class Painter:
    """A named set of nstyle's flags."""

    name: str
    flags: tuple[str, ...]

    def command(self, pair: Pair, edge: int, folder: Path) -> list[str]:
        """Return the command that paints a pair into `folder`, with a longer edge of `edge` pixels."""
        return [
            *(sys.executable, "-m", "nstyle", "--content-image", str(pair.content), "--style-image", str(pair.style)),
            *("--max-long-edge", str(edge), "--output-dir", str(folder), "--image-format", "png", "--overwrite"),
            *("--quiet", *self.flags),
        ]


def parse_painter(text: str) -> Painter:
    """Parse NAME=FLAGS, such as "fast=--preset fast".

    Raises:
        NStyleError: the name is missing or not allowed, or a quote in the flags is not closed.

    """
    name, _, flags = text.partition("=")
    if not name or name in RESERVED or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise NStyleError(
            f'--painter takes NAME=FLAGS with a name of letters and digits, as in fast="--preset fast"; not {text!r}',
            flag="--painter",
            kind=Kind.OUT_OF_RANGE,
        )
    try:
        return Painter(name, tuple(shlex.split(flags)))
    except ValueError as error:
        raise NStyleError(f"--painter {name}: {error} in {flags!r}", flag="--painter", kind=Kind.DAMAGED) from error


def paint(painter: Painter, pair: Pair, edge: int, output: Path, *, again: bool = False) -> float | None:
    """Paint a pair into OUTPUT/<painter>/<pair>.png, with a JSON file of flags and seconds beside it.

    Args:
        painter: the flags to paint with.
        pair: the content and style.
        edge: longer edge in pixels.
        output: the folder of all painters.
        again: paint even if a painting with the same flags exists.

    Returns:
        Seconds of the whole process; None if the painting existed.

    Raises:
        NStyleError: nstyle failed and printed the reason.

    """
    picture = output / painter.name / f"{pair.name}.png"
    note = picture.with_suffix(".json")
    painted = {"flags": list(painter.flags), "edge": edge}
    if not again and picture.exists() and painted.items() <= read_note(note).items():
        return None
    folder = output / painter.name / "runs" / pair.name
    folder.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)
    started = time.perf_counter()
    if code := subprocess.run(painter.command(pair, edge, folder)).returncode:
        raise NStyleError(f"{painter.name} did not paint {pair.name}: nstyle ended with {code}, see above")
    seconds = time.perf_counter() - started
    shutil.copyfile(folder / "final.png", picture)
    note.write_text(json.dumps(painted | {"seconds": round(seconds, 1)}) + "\n")
    return seconds


def read_note(path: Path) -> dict[str, object]:
    """Return the JSON note beside a painting; {} if it is missing or damaged."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def painters_in(output: Path, names: Sequence[str] | None = None) -> list[str]:
    """Return the painters that have pictures in a folder; with `names`, check that these have some and return them.

    Raises:
        NStyleError: a painter has no pictures.

    """
    there = sorted({path.parent.name for path in output.glob("*/*.png")} - set(RESERVED))
    if missing := [name for name in names or () if name not in there] or ([] if there else ["any painter"]):
        raise NStyleError(f"{output} has no pictures of {missing[0]}: paint first", path=output, kind=Kind.MISSING)
    return there if names is None else list(names)

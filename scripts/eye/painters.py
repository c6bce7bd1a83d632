"""Painters: named flags of nstyle, with which all pairs are painted."""

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
"""Names that no painter may have: the folder of the pairs, and the photos in the table."""


@dataclass(frozen=True)
class Painter:
    """Flags of nstyle under a name."""

    name: str
    flags: tuple[str, ...]

    def command(self, pair: Pair, edge: int, folder: Path) -> list[str]:
        """Return the command that paints a pair into a folder of its own."""
        return [
            *(sys.executable, "-m", "nstyle", "--content-image", str(pair.content), "--style-image", str(pair.style)),
            *("--max-long-edge", str(edge), "--output-dir", str(folder), "--image-format", "png", "--overwrite"),
            *("--quiet", *self.flags),
        ]


def parse_painter(text: str) -> Painter:
    """Read NAME=FLAGS, such as "fast=--preset fast".

    Raises:
        NStyleError: there is no name, or it cannot be a folder's, or quotes in the flags are not closed.

    """
    name, _, flags = text.partition("=")
    if not name or name in RESERVED or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise NStyleError(
            f'--painter takes NAME=FLAGS, as in fast="--preset fast", and a name of letters and digits; not {text!r}',
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
        painter: with these flags.
        pair: of pictures.
        edge: longer edge in pixels.
        output: the folder of all painters.
        again: paint it even if it is there, painted with the same flags.

    Returns:
        Seconds of the whole process; None if it was painted before.

    Raises:
        NStyleError: nstyle failed; it has said why.

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
    """Return what stands beside a painting; nothing if there is nothing."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def painters_in(output: Path, names: Sequence[str] | None = None) -> list[str]:
    """Return the names of the painters that have pictures in a folder, or make sure that the named ones have.

    Raises:
        NStyleError: one has none.

    """
    there = sorted({path.parent.name for path in output.glob("*/*.png")} - set(RESERVED))
    if missing := [name for name in names or () if name not in there] or ([] if there else ["any painter"]):
        raise NStyleError(f"{output} has no pictures of {missing[0]}: paint first", path=output, kind=Kind.MISSING)
    return there if names is None else list(names)

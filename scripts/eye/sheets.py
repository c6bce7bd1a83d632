"""Blind sheets, which show two painters' pictures in random order and without names, and the votes on them."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from eye.measures import Bytes
from eye.pairs import Pair, read
from nstyle.errors import Kind, NStyleError

GAP, TEXT = 12, 20  # pixels
SMALL = 3  # content and style have a third of the paintings' width
VOTES = ("left", "right", "same")


@dataclass(frozen=True)
class Tally:
    """Votes on two painters.

    Attributes:
        painters: names of both painters.
        votes: number of votes for each painter, and for "same".
        by_pair: the votes on each pair.
        by_judge: the votes of each judge.

    """

    painters: Sequence[str]
    votes: Counter[str]
    by_pair: Mapping[str, Counter[str]]
    by_judge: Mapping[str, Counter[str]]

    def share(self, painter: str) -> float:
        """Return a painter's share of all votes, 0 to 1; "same" counts as half a vote for each painter."""
        return (self.votes[painter] + self.votes["same"] / 2) / self.votes.total()


def write_sheets(
    pairs: Sequence[Pair], painters: tuple[str, str], output: Path, folder: Path, key: Path, seed: int
) -> None:
    """Write a sheet for each pair that both painters painted, and the key.

    Args:
        pairs: the pairs to show.
        painters: names of the two painters.
        output: the folder of all painters.
        folder: new or empty folder for the sheets.
        key: JSON file to write, outside of that folder: {"seed", "sheets": {file: {"pair", "left", "right"}}}.
        seed: seed of the order of the pairs and of the sides.

    Raises:
        NStyleError: the key is in the folder of the sheets, that folder is not empty, or both have no pair in common.

    """
    if folder.resolve() in key.resolve().parents:
        raise NStyleError(
            f"--key {key} would lie among the sheets: choose a path outside of {folder}",
            flag="--key",
            kind=Kind.CONFLICT,
        )
    if folder.exists() and any(folder.iterdir()):
        raise NStyleError(
            f"{folder} is not empty: remove it, or choose another --folder", path=folder, kind=Kind.IN_THE_WAY
        )
    files = {pair: [output / name / f"{pair.name}.png" for name in painters] for pair in pairs}
    shown = [pair for pair in pairs if all(file.exists() for file in files[pair])]
    if not shown:
        raise NStyleError(f"{' and '.join(painters)} have painted no pair in common: paint first", kind=Kind.MISSING)
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    sheets = {}
    for number, index in enumerate(generator.permutation(len(shown)), 1):
        pair, swapped = shown[index], bool(generator.integers(2))
        sides = (1, 0) if swapped else (0, 1)
        name = f"sheet_{number:02d}.png"
        left, right = (read(files[pair][side]) for side in sides)
        sheet(read(pair.content), read(pair.style), left, right).save(folder / name)
        sheets[name] = {"pair": pair.name, "left": painters[sides[0]], "right": painters[sides[1]]}
    key.parent.mkdir(parents=True, exist_ok=True)
    key.write_text(json.dumps({"seed": seed, "sheets": sheets}, indent=1) + "\n")


def sheet(content: Bytes, style: Bytes, left: Bytes, right: Bytes) -> Image.Image:
    """Lay out a sheet: content and style small, and below them the paintings, labeled 1 (left) and 2 (right).

    The paintings keep their size; if their widths differ, the wider one is shrunk.
    """
    width = min(left.shape[1], right.shape[1])
    top = [_of_width(picture, width // SMALL) for picture in (content, style)]
    below = [_of_width(picture, width) for picture in (left, right)]
    heights = [max(tile.height for tile in row) for row in (top, below)]
    whole = Image.new("RGB", (2 * width + 3 * GAP, sum(heights) + 3 * GAP + TEXT), "white")
    draw = ImageDraw.Draw(whole)
    for i in range(2):
        x = GAP + i * (width + GAP)
        whole.paste(top[i], (x + (width - top[i].width) // 2, GAP))
        whole.paste(below[i], (x, heights[0] + 2 * GAP))
        place = (x + width // 2, sum(heights) + 2 * GAP + 2)
        draw.text(place, str(i + 1), "black", ImageFont.load_default(TEXT), anchor="ma")
    return whole


def _of_width(picture: Bytes, width: int) -> Image.Image:
    image = Image.fromarray(picture)
    if image.width == width:
        return image
    return image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)


def read_votes(paths: Iterable[Path]) -> list[dict[str, str]]:
    """Read votes from CSV files with the columns sheet, vote and judge, or JSON lists of such objects.

    Raises:
        NStyleError: a file is neither, or a vote is incomplete.

    """
    votes: list[dict[str, str]] = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
            rows: list[Any] = json.loads(text) if path.suffix == ".json" else list(csv.DictReader(text.splitlines()))
            votes += [{name: str(row[name]).strip() for name in ("sheet", "vote", "judge")} for row in rows]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise NStyleError(
                f"{path} contains no votes: give sheet, vote and judge, as CSV or a JSON list", path=path
            ) from error
    return votes


def tally(key: Path, votes: Sequence[Mapping[str, str]]) -> Tally:
    """Count votes with the key of the sheets.

    Raises:
        NStyleError: the key is not valid, there are no votes, a vote or its sheet is unknown, or a judge voted
            twice on one sheet.

    """
    try:
        sheets = json.loads(key.read_text())["sheets"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise NStyleError(
            f"{key} is not a key of sheets: give the JSON file that sheets wrote",
            flag="--key",
            path=key,
            kind=Kind.UNREADABLE,
        ) from error
    if not votes:
        raise NStyleError("there are no votes: add some to the files", kind=Kind.MISSING)
    total: Counter[str] = Counter()
    by_pair: defaultdict[str, Counter[str]] = defaultdict(Counter)
    by_judge: defaultdict[str, Counter[str]] = defaultdict(Counter)
    seen = set()
    for vote in votes:
        name, choice, judge = vote["sheet"], vote["vote"], vote["judge"]
        if name not in sheets or choice not in VOTES:
            raise NStyleError(
                f"{judge}'s vote {choice} on {name} is not valid: give a sheet of the key, and {' or '.join(VOTES)}"
            )
        if (judge, name) in seen:
            raise NStyleError(f"{judge} voted twice on {name}: remove one vote", kind=Kind.CONFLICT)
        seen.add((judge, name))
        winner = "same" if choice == "same" else sheets[name][choice]
        for counter in (total, by_pair[sheets[name]["pair"]], by_judge[judge]):
            counter[winner] += 1
    painters = sorted({entry[side] for entry in sheets.values() for side in ("left", "right")})
    return Tally(painters, total, by_pair, by_judge)

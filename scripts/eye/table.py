"""The table of measures, with a row for each painting and the means of each painter."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eye.distances import Target
from eye.dots import dots
from eye.measures import Bytes, borders, clipped, new_colors
from eye.painters import read_note
from eye.pairs import Pair, read
from nstyle.networks.features import Features

PHOTO = "photo"
"""Name in the painter column for rows that measure the content pictures themselves."""

MEAN = "mean"
"""Name in the pair column for rows with a painter's means."""


@dataclass(frozen=True)
class Row:
    """Measures of a painting, or means of a painter. NaN means not measured."""

    painter: str
    pair: str
    values: Mapping[str, float]


def measure_pair(pair: Pair, painters: Sequence[str], output: Path, network: Features) -> list[Row]:
    """Measure the existing paintings of a pair. The first row measures the photo, in the first painting's size.

    Args:
        pair: the pair to measure.
        painters: names of the painters.
        output: the folder of all painters.
        network: VGG-19.

    """
    files = {name: file for name in painters if (file := output / name / f"{pair.name}.png").exists()}
    paintings = {name: read(file) for name, file in files.items()}
    style = read(pair.style)
    rows: list[Row] = []
    contents: dict[tuple[int, int], Bytes] = {}
    targets: dict[tuple[int, int], Target] = {}
    for name, painting in paintings.items():
        size = painting.shape[0], painting.shape[1]
        if size not in targets:
            contents[size] = read(pair.content, size)
            targets[size] = Target.of(network, contents[size], style)
        if not rows:
            rows.append(Row(PHOTO, pair.name, measures(contents[size], contents[size], style, targets[size])))
        seconds = read_note(files[name].with_suffix(".json")).get("seconds", math.nan)
        values = measures(painting, contents[size], style, targets[size]) | {"seconds": float(str(seconds))}
        rows.append(Row(name, pair.name, values))
    return rows


def measures(painting: Bytes, content: Bytes, style: Bytes, target: Target) -> dict[str, float]:
    """Return all measures of a painting except its seconds. `content` has the size of the painting."""
    distances, seen = target.distances(painting), dots(painting, content)
    return {
        **{f"gram {layer}": value for layer, value in distances.gram.items()},
        **{f"gaussian {layer}": value for layer, value in distances.gaussian.items()},
        "content relu4_2": distances.content,
        **{f"border {side}": value for side, value in borders(painting)._asdict().items()},
        "dots": seen.strength,
        "dots' period": seen.period,
        "new colors": new_colors(painting, content, style),
        "clipped": clipped(painting),
    }


def means(rows: Sequence[Row]) -> list[Row]:
    """Return the means of each painter over its pairs, ignoring NaN."""
    found = []
    for painter in dict.fromkeys(row.painter for row in rows):
        own = [row.values for row in rows if row.painter == painter]
        values = {
            name: float(np.mean(numbers)) if numbers else math.nan
            for name in dict.fromkeys(name for measured in own for name in measured)
            for numbers in [[m[name] for m in own if not math.isnan(m.get(name, math.nan))]]
        }
        found.append(Row(painter, MEAN, values))
    return found


def write_table(rows: Sequence[Row], output: Path) -> tuple[Path, Path]:
    """Write the means and the rows to looks.csv and looks.md in a folder, and return both paths."""
    whole = [*means(rows), *rows]
    names = list(dict.fromkeys(name for row in whole for name in row.values))
    plain = [[row.painter, row.pair, *(_short(row.values.get(name, math.nan)) for name in names)] for row in whole]
    heads = ["painter", "pair", *names]
    spreadsheet, page = output / "looks.csv", output / "looks.md"
    with spreadsheet.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([heads, *plain])
    lines = [heads, ["---"] * len(heads), *plain]
    page.write_text("".join(f"| {' | '.join(line)} |\n" for line in lines), encoding="utf-8")
    return spreadsheet, page


def _short(value: float) -> str:
    """Format a number with three digits; an empty string for NaN."""
    return "" if math.isnan(value) else f"{value:.3g}"

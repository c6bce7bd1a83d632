"""Reads the epochs of a run from a file that anybody may have written, or that is damaged.

Reading takes bounded time and memory, and follows no links. What a number or a name cannot be, is missing.
"""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from nstyle.escaping import visible
from nstyle.files import open_regular

T = TypeVar("T")

MOST_EPOCHS = 10**12
"""Highest number of epochs that is believed."""

_MOST_BYTES_OF_EPOCHS = 2**28  # a million epochs have 200 MB
_MOST_COLUMNS = 64
_MOST_ROWS = 10_000  # a page shows a tenth of them


def read_epochs(path: Path) -> dict[str, list[float]]:
    """Read the columns of `epochs.csv` by name; of more than 10,000 lines, evenly spaced ones.

    Skips incomplete lines and columns beyond the 64th; a cell that is not a number becomes NaN. A column without a
    name is called "column N"; of columns with the same name, the later ones get a number.

    Epochs count from 1 here and from 0 in the file. If the file's epochs are not whole numbers, or do not strictly
    increase, "epoch" is the line number. Returns {} if the file cannot be read, is a link, or has more than 268 MB.
    """
    try:
        with open_regular(path, _MOST_BYTES_OF_EPOCHS, follow=False) as file:
            content = file.read()
    except (OSError, ValueError):
        return {}
    complete = content[: max(content.rfind(b"\n"), content.rfind(b"\r")) + 1]  # a run may be writing the last line
    header, *lines = [line for line in complete.replace(b"\0", b"").splitlines() if line.strip()] or [b""]
    width, names = len(_cells(header)), _column_names(_cells(header))
    numbered = evenly(range(len(lines)), _MOST_ROWS)
    rows = [(number, _cells(lines[number])) for number in numbered]
    rows = [(number, cells) for number, cells in rows if names and len(cells) == width]
    curves = {name: [_number(cells[column]) for _, cells in rows] for column, name in enumerate(names)}
    epochs = [epoch + 1 for epoch in curves.get("epoch", [])]
    if not epochs or epochs != sorted(set(epochs)) or not all(0 < n < MOST_EPOCHS and n % 1 == 0 for n in epochs):
        epochs = [float(number + 1) for number, _ in rows]
    return {"epoch": epochs} | {name: column for name, column in curves.items() if name != "epoch"}


def _cells(line: bytes) -> list[str]:
    """Return the cells of a line; [] if it is damaged. A quotation mark without its pair ends with the line."""
    try:
        return next(csv.reader([line.decode("utf-8-sig", errors="replace")]), [])
    except csv.Error:  # a cell of more than 131,072 characters
        return []


def _column_names(header: list[str]) -> list[str]:
    """Return a name for each of the first columns: visible, not empty, and no two equal."""
    names: list[str] = []
    for number, cell in enumerate(header[:_MOST_COLUMNS], 1):
        name = visible(cell.strip()[:60]) or f"column {number}"
        names.append(name if name not in names else f"{name} (column {number})")
    return names


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def evenly(things: Sequence[T], limit: int) -> list[T]:
    """Return at most `limit` (two or more) evenly spaced items, including the first and the last."""
    if len(things) <= limit:
        return list(things)
    return [things[round(index * (len(things) - 1) / (limit - 1))] for index in range(limit)]

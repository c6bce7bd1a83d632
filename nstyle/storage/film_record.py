"""Reads the record of a film, `film.json`, and the table of its painted frames, `frames.csv`, whoever wrote them."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nstyle.errors import Kind, RecordError
from nstyle.files import open_regular
from nstyle.pictures.limits import LONGEST_EDGE
from nstyle.storage.layout import FILM_RECORD, FRAME_LOG
from nstyle.storage.reading import record_to_show, whole

MOST_FRAMES = 100_000
"""Most frames of a film: more than an hour at 24 frames a second. A page holds three numbers for each."""

_MOST_BYTES_OF_FRAMES = 2**26  # 100,000 frames have 8 MB a pass
_MOST_NUMBER = 10**9  # of a pass, or of the epochs of a frame
_HIGHEST_RATE = 1000


@dataclass(frozen=True)
class FilmRecord:
    """A film, as `film.json` describes it.

    Attributes:
        source: path of the video, or of the frames, that is painted.
        files: names of the finished films.
        settings: settings of the film, besides those of its frames, which are in the recipe.
        frames: number of frames of the film.
        frame_rate: frames per second.
        size: height and width of the frames in pixels.
        shots: number of the first and the last frame of each shot, in order. Frames count from 1.
        stop_reason: why painting stopped; one of `layout.StopReason`, unless a stranger wrote it.
        recipe: settings, inputs and machine, as in a run's record.

    """

    source: str
    files: tuple[str, ...]
    settings: Mapping[str, Any]
    frames: int
    frame_rate: float
    size: tuple[int, int]
    shots: tuple[tuple[int, int], ...]
    stop_reason: str
    recipe: Mapping[str, Any]


@dataclass(frozen=True)
class FrameLine:
    """A line of `frames.csv`: a frame as one pass painted it.

    Attributes:
        frame: its number, from 1.
        shot: number of its shot, from 1.
        number_of_pass: number of the pass, from 1.
        epochs: number of epochs that it took.
        loss: content loss plus style loss.
        content_loss: the content loss.
        style_loss: the style loss.
        temporal_error: mean squared difference from the warped previous painting, in grey levels, where that is seen;
            None for the first frame of a shot.
        seconds: time that it took.

    A number that is not finite, or missing, is None.

    """

    frame: int
    shot: int
    number_of_pass: int
    epochs: int
    loss: float | None
    content_loss: float | None
    style_loss: float | None
    temporal_error: float | None
    seconds: float | None


def read_film(folder: Path) -> FilmRecord:
    """Read `film.json` in a film's folder.

    Raises:
        RecordError: the file is missing or unreadable, or a value has a type or size that no film has.

    """
    path = folder / FILM_RECORD
    record = record_to_show(path, "film")
    film, recipe = record.get("film"), record.get("recipe")
    if record.get("kind") != "film" or not isinstance(film, dict) or not isinstance(recipe, dict):
        raise RecordError(
            f"{path} is not the record of a film; name a folder that nstyle painted into",
            path=path,
            kind=Kind.DAMAGED,
        )
    frames = whole(film.get("frames"), 1, MOST_FRAMES)
    found: dict[str, Any] = {
        "source": _text(film.get("source")),
        "files": _texts(film.get("files")),
        "settings": settings if isinstance(settings := film.get("settings"), dict) else None,
        "frames": frames,
        "frame_rate": _rate(film.get("frame_rate")),
        "size": _size(film.get("size")),
        "shots": _shots(film.get("shots"), frames or 0),
        "stop_reason": _text(record.get("stop_reason")),
    }
    wrong = [name for name, value in found.items() if value is None]
    if wrong:
        raise RecordError(
            f"{path} is damaged (no film has this {' or '.join(wrong)}); paint again, or name another folder",
            path=path,
            kind=Kind.DAMAGED,
        )
    return FilmRecord(**found, recipe=recipe)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> tuple[str, ...] | None:
    return tuple(value) if isinstance(value, list) and all(isinstance(each, str) for each in value) else None


def _rate(value: Any) -> float | None:
    return value if type(value) in (int, float) and 0 < value <= _HIGHEST_RATE else None


def _size(value: Any) -> tuple[int, int] | None:
    is_size = isinstance(value, list) and len(value) == 2 and all(whole(edge, 1, LONGEST_EDGE) for edge in value)
    return (value[0], value[1]) if is_size else None


def _shots(listed: Any, frames: int) -> tuple[tuple[int, int], ...] | None:
    """Return the shots if they are pairs of frame numbers, first and last, in order; else None."""
    if not isinstance(listed, list):
        return None
    shots, before = [], 0
    for shot in listed:
        if not isinstance(shot, list) or len(shot) != 2:
            return None
        first = whole(shot[0], before + 1, frames)
        last = None if first is None else whole(shot[1], first, frames)
        if first is None or last is None:
            return None
        shots.append((first, last))
        before = last
    return tuple(shots)


def read_frames(folder: Path, frames: int) -> list[FrameLine]:
    """Read `frames.csv` in a film's folder, in the order in which the frames were painted.

    Skips lines that are damaged, incomplete, or of a frame above `frames`. Returns [] if the file cannot be read, is
    a link, or has more than 67 MB.
    """
    try:
        with open_regular(folder / FRAME_LOG, _MOST_BYTES_OF_FRAMES, follow=False) as file:
            content = file.read()
    except (OSError, ValueError):
        return []
    complete = content[: content.rfind(b"\n") + 1].replace(b"\0", b"")  # a run may be writing the last line
    cells = map(_cells, complete.decode("utf-8-sig", errors="replace").split("\n"))
    header = next(cells)
    lines = (_line(dict(zip(header, row, strict=True)), frames) for row in cells if len(row) == len(header))
    return [line for line in lines if line is not None]


def _cells(line: str) -> list[str]:
    """Return the cells of a line; [] if it is damaged. A quotation mark without its pair ends with the line."""
    try:
        return next(csv.reader([line]), [])
    except csv.Error:  # a cell of more than 131,072 characters
        return []


def _line(cells: Mapping[str, str], frames: int) -> FrameLine | None:
    """Return the line's values; None if a column of whole numbers is missing, or has a value that no film has."""
    limits = {"frame": (1, frames), "shot": (1, frames), "pass": (1, _MOST_NUMBER), "epochs": (0, _MOST_NUMBER)}
    numbers = {name: _whole(cells.get(name, ""), *between) for name, between in limits.items()}
    frame, shot, number_of_pass, epochs = numbers.values()
    if frame is None or shot is None or number_of_pass is None or epochs is None:
        return None
    names = ("loss", "content_loss", "style_loss", "temporal_error", "seconds")
    values = {name: _finite(cells.get(name, "")) for name in names}
    return FrameLine(frame=frame, shot=shot, number_of_pass=number_of_pass, epochs=epochs, **values)


def _whole(cell: str, least: int, most: int) -> int | None:
    is_number = cell.isascii() and cell.isdigit() and len(cell) <= len(str(most))
    return int(cell) if is_number and least <= int(cell) <= most else None


def _finite(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None

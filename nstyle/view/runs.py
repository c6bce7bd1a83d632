"""Reads the folder of a run or a film: record, epochs, pictures. All may be missing, damaged, or made to mislead.

Links in the folder that the user names are not followed, so that a stranger's folder shows nothing but itself.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nstyle.errors import Kind, RecordError
from nstyle.settings.paths import name_of
from nstyle.storage.earlier import PICTURES
from nstyle.storage.film_record import FilmRecord, FrameLine, read_film, read_frames
from nstyle.storage.layout import (
    EPOCHS,
    FILM_RECORD,
    FRAMES,
    RECORD,
    SOURCE_FRAMES,
    StopReason,
    frame_name,
    parse_picture_name,
    source_frame_name,
)
from nstyle.storage.lock import is_abandoned
from nstyle.storage.reading import record_to_show, whole
from nstyle.view.run_files import MOST_EPOCHS, read_epochs

_FILM_PATHS = ("film", "flow")  # settings of a film that are paths

_MOST_INPUTS = 100
_MOST_SCALES = 100

_LEVELS = 2
"""Levels of sub-folders that may hold runs: a batch's, and those of a sweep, `sweep/<values>`."""


@dataclass(frozen=True)
class Snapshot:
    """A picture that a run wrote.

    Attributes:
        path: the picture file.
        epoch: number of epochs that led to it; of stages, if a stage painted it.
        is_final: whether it is the finished picture.
        is_of_stage: whether a stage of a painter's chain painted it.

    """

    path: Path
    epoch: int
    is_final: bool = False
    is_of_stage: bool = False


@dataclass(frozen=True)
class Input:
    """An input picture of a run: its role (such as "content"), path, and SHA-256 at the time of the run."""

    label: str
    path: Path
    sha256: str


@dataclass(frozen=True, eq=False)
class Run:
    """A run, as read from its folder.

    Attributes:
        folder: the run folder.
        name: the folder's name, or its path from the folder that the user named.
        record: contents of `run.json`.
        curves: columns of `epochs.csv`, all of equal length. "epoch" counts from 1 here and strictly increases.
        snapshots: its pictures, oldest first; the finished one is last.

    """

    folder: Path
    name: str
    record: dict[str, Any]
    curves: dict[str, list[float]]
    snapshots: tuple[Snapshot, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings in the record."""
        return _mapping(self.record.get("settings"))

    @property
    def is_running(self) -> bool:
        """Whether the run is going on: according to its record, and to the lock on its folder if there is one."""
        return self.record.get("stop_reason") == StopReason.RUNNING and not is_abandoned(self.folder)

    @property
    def newest(self) -> Path | None:
        """The picture that stands for the run on a contact sheet: its newest, or a film's first; None if none."""
        return self.snapshots[-1].path if self.snapshots else None

    @property
    def epochs(self) -> int:
        """Number of epochs done."""
        return _epochs_done(self.record, self.curves)

    @property
    def scale(self) -> tuple[int, int] | None:
        """The current scale (1 is the coarsest) and the number of scales; None if not recorded."""
        scales = whole(self.record.get("scales"), 1, _MOST_SCALES)
        scale = whole(self.record.get("scale"), 1, scales or 0)
        return (scale, scales) if scale is not None and scales is not None else None

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The input pictures, in the order of the record; at most 100."""
        found = []
        for label, entry in _mapping(self.record.get("inputs")).items():
            for one in entry if isinstance(entry, list) else [entry]:
                path = _mapping(one).get("path")
                if isinstance(path, str) and path:
                    words = label.removesuffix("_image").replace("_", " ")
                    found.append(Input(words, Path(path), str(_mapping(one).get("sha256"))))
        return tuple(found[:_MOST_INPUTS])


@dataclass(frozen=True, eq=False)
class Film(Run):
    """A film, as read from its folder. It has frames instead of snapshots. `record` is its recipe and stop reason.

    Attributes:
        film: contents of `film.json`.
        lines: the newest line of each painted frame in `frames.csv`, in the order in which they were painted.
        painted: numbers of the frames that have a painted picture, in order.
        sources: numbers of the frames whose source is there, in order.
        videos: the files of the finished film.

    """

    film: FilmRecord
    lines: tuple[FrameLine, ...]
    painted: tuple[int, ...]
    sources: tuple[int, ...]
    videos: tuple[Path, ...]

    @property
    def newest(self) -> Path | None:
        """The first painted frame."""
        return self.painted_frame(self.painted[0]) if self.painted else None

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The input pictures; the content is the film, which is none."""
        return tuple(source for source in super().inputs if source.label != "content")

    def painted_frame(self, number: int) -> Path:
        """Return the path of a painted frame."""
        return self.folder / FRAMES / frame_name(number)

    def source_frame(self, number: int) -> Path:
        """Return the path of a frame that was painted."""
        return self.folder / SOURCE_FRAMES / source_frame_name(number)


def read_folder(folder: Path) -> tuple[Run | None, tuple[Run, ...]]:
    """Return the run in `folder`, or None, and the runs in its sub-folders (a batch, a sweep), sorted by name.

    Numbers in names sort by value. Damaged records in sub-folders are skipped, if there is any other.

    Raises:
        RecordError: there is no run in the folder or its sub-folders.

    """
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise RecordError(
            f"{folder} is not a folder; name one that nstyle painted into", path=folder, kind=Kind.UNREADABLE
        )
    others, refused = [], None
    for subfolder in subfolders(folder):
        try:
            if _has_record(subfolder):
                others.append(read_run(subfolder, str(subfolder.relative_to(folder))))
        except RecordError as error:  # may be another program's run.json
            refused = refused or error
    if not _has_record(folder):
        if others:
            return None, tuple(sorted(others, key=_natural))
        raise refused or _no_run(folder)
    return read_run(folder), tuple(sorted(others, key=_natural))


def _has_record(folder: Path) -> bool:
    return os.path.lexists(folder / RECORD) or os.path.lexists(folder / FILM_RECORD)


def _no_run(folder: Path) -> RecordError:
    """Return the error that says what was looked for in a folder without runs."""
    way_out = "name a folder that nstyle painted into"
    if not os.path.exists(folder):
        message = f"{folder} does not exist; {way_out}"
    else:
        message = f"{folder} contains no run: no {RECORD}, neither in it nor in its sub-folders, two levels deep"
        is_linked = any(os.path.islink(path) and os.path.isdir(path) for path in _listed(folder))
        message += f"; {'links are not followed: ' if is_linked else ''}{way_out}"
    return RecordError(message, path=folder, kind=Kind.MISSING)


def _listed(folder: Path) -> list[Path]:
    """Return the files and folders in a folder; none if it cannot be listed."""
    try:
        return [Path(entry) for entry in os.scandir(folder)]
    except OSError:  # it was just deleted, or is not readable
        return []


def subfolders(folder: Path, levels: int = _LEVELS) -> Iterator[Path]:
    """Yield the sub-folders, two levels deep, that may hold runs: neither hidden nor links, and readable."""
    for path in _listed(folder):
        if not path.name.startswith(".") and os.path.isdir(path) and not os.path.islink(path):
            yield path
            if levels > 1:
                yield from subfolders(path, levels - 1)


def _natural(run: Run) -> list[str | int]:
    """Return a key that sorts names as people do: numbers in them by value."""
    return [int(part) if number % 2 else part for number, part in enumerate(re.split(r"([0-9]+)", run.name))]


def read_run(folder: Path, name: str | None = None) -> Run:
    """Read the files that a run, or a film, has written to its folder so far.

    Skips pictures of an earlier, longer run in the same folder. If the folder has both records, it is a film's.

    Args:
        folder: the run folder.
        name: how to call the run; None: as the folder.

    Raises:
        RecordError: the record is missing, unreadable or damaged.

    """
    name = os.path.basename(os.path.realpath(folder)) if name is None else name
    if os.path.lexists(folder / FILM_RECORD):
        return _read_film(folder, name)
    record = record_to_show(folder / RECORD)
    curves = read_epochs(folder / EPOCHS)
    return Run(folder, name, record, curves, _find_snapshots(folder, record, _epochs_done(record, curves)))


def _read_film(folder: Path, name: str) -> Film:
    """Read the files of a film. Its settings are those of its frames and its own, with names instead of paths."""
    film = read_film(folder)
    own = {
        key: name_of(value) if key in _FILM_PATHS and isinstance(value, str) else value
        for key, value in film.settings.items()
    }
    settings = _mapping(film.recipe.get("settings")) | own
    newest: dict[int, FrameLine] = {}
    for line in read_frames(folder, film.frames):
        newest.pop(line.frame, None)
        newest[line.frame] = line  # the last place, as the last one painted
    painted = _find_frames(folder / FRAMES, ".png", film.frames)
    if newest:  # skip those of an earlier film
        painted = [number for number in painted if number in newest]
    return Film(
        folder,
        name,
        {**film.recipe, "settings": settings, "stop_reason": film.stop_reason},
        curves={},
        snapshots=(),
        film=film,
        lines=tuple(newest.values()),
        painted=tuple(painted),
        sources=tuple(_find_frames(folder / SOURCE_FRAMES, ".jpg", film.frames)),
        videos=tuple(sorted(path for path in _listed(folder) if path.name in film.files and is_plain_file(path))),
    )


def _find_frames(folder: Path, ending: str, frames: int) -> list[int]:
    """Return the numbers, in order, of the frames that are files in the folder; none if the folder is a link."""
    if folder.is_symlink():
        return []
    names = {path.name for path in _listed(folder) if path.suffix == ending and is_plain_file(path)}
    return [number for number in range(1, frames + 1) if f"{number:06d}{ending}" in names]


def is_plain_file(path: Path) -> bool:
    """Tell whether a path names a regular file, and no link to one."""
    return path.is_file() and not path.is_symlink()


def _find_snapshots(folder: Path, record: dict[str, Any], done: int) -> tuple[Snapshot, ...]:
    """Return the pictures that this run can have written: in its format, not later than `done`.

    They are at its epochs, or its record names them. A run without epochs has those of a painter's stages.
    """
    settings = _mapping(record.get("settings"))
    reason, named = record.get("stop_reason"), record.get(PICTURES)
    named = named if isinstance(named, list) else []
    image_format, every = settings.get("image_format"), whole(settings.get("save_epochs"), 1, MOST_EPOCHS)
    snapshots, finals = [], []
    for path in _listed(folder):
        name = parse_picture_name(path.name)
        if name is None or image_format not in (name[1], None) or path.is_symlink():
            continue
        epoch = name[0]
        if epoch is None:
            finals.append(Snapshot(path, done, is_final=True))
        elif reason == StopReason.ONE_PASS and path.name in named:
            snapshots.append(Snapshot(path, epoch, is_of_stage=True))
        elif 0 < epoch <= done and (every is None or epoch % every == 0 or path.name in named):
            snapshots.append(Snapshot(path, epoch))
    has_ended = reason == StopReason.ONE_PASS or (reason != StopReason.RUNNING and done > 0)
    return (*sorted(snapshots, key=lambda snapshot: snapshot.epoch), *(finals[:1] if has_ended else ()))


def _epochs_done(record: dict[str, Any], curves: dict[str, list[float]]) -> int:
    told = whole(record.get("epochs"), 0, MOST_EPOCHS)
    followed = curves.get("epoch")
    return max(told or 0, int(followed[-1]) if followed else 0)


def _mapping(value: Any) -> dict[str, Any]:
    """Return the value if it is a dictionary, else an empty one."""
    return value if isinstance(value, dict) else {}

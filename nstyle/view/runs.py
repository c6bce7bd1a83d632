"""Reads a run folder: record, epochs, pictures. Any of them may be missing or damaged."""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nstyle.errors import Kind, RecordError
from nstyle.storage.layout import EPOCHS, RECORD, StopReason, is_staging, parse_picture_name
from nstyle.storage.lock import is_abandoned

T = TypeVar("T")


@dataclass(frozen=True)
class Snapshot:
    """A picture that a run wrote.

    Attributes:
        path: the picture file.
        epoch: number of epochs that led to it.
        is_final: whether it is the finished picture.

    """

    path: Path
    epoch: int
    is_final: bool = False


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
        record: contents of `run.json`.
        curves: columns of `epochs.csv`, all of equal length. "epoch" counts from 1 here and strictly increases.
        snapshots: its pictures, oldest first; the finished one is last.

    """

    folder: Path
    record: dict[str, Any]
    curves: dict[str, list[float]]
    snapshots: tuple[Snapshot, ...]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def settings(self) -> dict[str, Any]:
        """The settings in the record."""
        return _mapping(self.record.get("settings"))

    @property
    def is_running(self) -> bool:
        """Whether the run is going on: according to its record, and to the lock on its folder if there is one."""
        return self.record.get("stop_reason") == StopReason.RUNNING and not is_abandoned(self.folder)

    @property
    def epochs(self) -> int:
        """Number of epochs done."""
        return _epochs_done(self.record, self.curves)

    @property
    def scale(self) -> tuple[int, int] | None:
        """The current scale (1 is the coarsest) and the number of scales; None if not recorded."""
        scale, scales = self.record.get("scale"), self.record.get("scales")
        return (scale, scales) if isinstance(scale, int) and isinstance(scales, int) else None

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The input pictures, in the order of the record."""
        found = []
        for label, entry in _mapping(self.record.get("inputs")).items():
            for one in entry if isinstance(entry, list) else [entry]:
                path = _mapping(one).get("path")
                if isinstance(path, str) and path:
                    words = label.removesuffix("_image").replace("_", " ")
                    found.append(Input(words, Path(path), str(_mapping(one).get("sha256"))))
        return tuple(found)


def read_folder(folder: Path) -> tuple[Run | None, tuple[Run, ...]]:
    """Return the run in `folder`, or None, and the runs in its sub-folders (a batch).

    Raises:
        RecordError: there is no run in the folder or its sub-folders.

    """
    if folder.exists() and not folder.is_dir():
        raise RecordError(
            f"{folder} is not a folder; name one that nstyle painted into", path=folder, kind=Kind.UNREADABLE
        )
    others = []
    for record in sorted(folder.glob(f"*/{RECORD}")):
        if is_staging(record.parent.name):
            continue
        try:
            others.append(read_run(record.parent))
        except RecordError:  # may be another program's run.json
            continue
    if others and not (folder / RECORD).exists():
        return None, tuple(others)
    return read_run(folder), tuple(others)


def read_run(folder: Path) -> Run:
    """Read the files that a run has written to its folder so far.

    Skips pictures of an earlier, longer run in the same folder.

    Raises:
        RecordError: the record is missing, unreadable or damaged.

    """
    record = _read_record(folder / RECORD)
    curves = read_epochs(folder / EPOCHS)
    return Run(folder, record, curves, _find_snapshots(folder, record, _epochs_done(record, curves)))


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RecordError(
            f"{path.parent} contains no run (no {RECORD}); name a folder that nstyle painted into",
            path=path.parent,
            kind=Kind.MISSING,
        ) from error
    except OSError as error:
        raise RecordError(
            f"{path} cannot be read: {error.strerror}; check its permissions and those of its folder",
            path=path,
            kind=Kind.UNREADABLE,
        ) from error
    except (ValueError, RecursionError) as error:
        raise RecordError(
            f"{path} is damaged ({error}); paint again, or name another folder", path=path, kind=Kind.DAMAGED
        ) from error
    if not isinstance(record, dict):
        raise RecordError(
            f"{path} is not a record of a run; name a folder that nstyle painted into", path=path, kind=Kind.DAMAGED
        )
    return record


def read_epochs(path: Path) -> dict[str, list[float]]:
    """Read the columns of `epochs.csv` by name. Skips incomplete lines; a cell that is not a number becomes NaN.

    Epochs count from 1 here and from 0 in the file. If the file's epochs do not strictly increase, "epoch" is the
    line number. Returns {} if the file cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return {}
    whole = text[: text.rfind("\n") + 1]  # the last line may be incomplete during a run
    header, *lines = list(csv.reader(whole.replace("\0", "").splitlines())) or [[]]
    rows = [[_number(cell) for cell in line] for line in lines if header and len(line) == len(header)]
    curves = {name: [row[column] for row in rows] for column, name in enumerate(header)}
    epochs = [epoch + 1 for epoch in curves.get("epoch", [])]
    if not all(map(math.isfinite, epochs)) or epochs != sorted(set(epochs)) or not epochs:
        epochs = [float(line) for line in range(1, len(rows) + 1)]
    return {"epoch": epochs} | {name: column for name, column in curves.items() if name != "epoch"}


def _find_snapshots(folder: Path, record: dict[str, Any], done: int) -> tuple[Snapshot, ...]:
    """Return the pictures that this run can have written: in its format, at its epochs, not later than `done`."""
    settings = _mapping(record.get("settings"))
    image_format, every = settings.get("image_format"), settings.get("save_epochs")
    snapshots, finals = [], []
    for path in folder.iterdir():
        name = parse_picture_name(path.name)
        if name is None or image_format not in (name[1], None):
            continue
        epoch = name[0]
        if epoch is None:
            finals.append(Snapshot(path, done, is_final=True))
        elif 0 < epoch <= done and (not isinstance(every, int) or every < 1 or epoch % every == 0):
            snapshots.append(Snapshot(path, epoch))
    has_ended = record.get("stop_reason") != StopReason.RUNNING and done > 0
    return (*sorted(snapshots, key=lambda snapshot: snapshot.epoch), *(finals[:1] if has_ended else ()))


def _epochs_done(record: dict[str, Any], curves: dict[str, list[float]]) -> int:
    told = record.get("epochs")
    followed = curves.get("epoch")
    return max(told if isinstance(told, int) else 0, int(followed[-1]) if followed else 0)


def _mapping(value: Any) -> dict[str, Any]:
    """Return the value if it is a dictionary, else an empty one."""
    return value if isinstance(value, dict) else {}


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def evenly(things: Sequence[T], limit: int) -> list[T]:
    """Return at most `limit` (two or more) evenly spaced items, including the first and the last."""
    if len(things) <= limit:
        return list(things)
    return [things[round(index * (len(things) - 1) / (limit - 1))] for index in range(limit)]

"""The folder of a film: its files, and what a new film may replace.

Only files that the film's record, `film.json`, names are nstyle's: the frames by their numbers, the films by their
names. No other file is ever replaced or deleted.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from nstyle.errors import Kind, OutputError, RecipeError
from nstyle.files import delete_leftovers, make_folder, open_regular, replacing, unwritable
from nstyle.film.pass_files import PaintingsFolder
from nstyle.film.writing import FILM_CODECS
from nstyle.losses.tiles import Tiling
from nstyle.painting.ways import Way
from nstyle.settings.film import FILM_SETTINGS
from nstyle.storage.layout import (
    FILM_RECORD,
    FRAME_LOG,
    FRAMES,
    SHOTS,
    SOURCE_FRAMES,
    StopReason,
    frame_name,
    shot_name,
    source_frame_name,
)
from nstyle.storage.lock import locked
from nstyle.storage.recipe import Recipe, recipe_of

KIND = "film"
"""What a film's record says about itself under "kind"."""

_MOST_BYTES = 4_000_000
"""Size in bytes of the largest record that is read; it lists the shots."""

_OF_THE_SOURCE = {"film", "from_", "to", "flow"}
"""Settings that make sense for one film only."""

_ENDINGS = {codec.ending for codec in FILM_CODECS.values()}
_NUMBERED = re.compile(r"([0-9]{4,9})\.(png|jpg|npz)")


@dataclass(frozen=True)
class FrameRow:
    """What is known about a painted frame; a line of `frames.csv`.

    Attributes:
        frame: its number, counted from 1.
        shot: the number of its shot, counted from 1.
        pass_: the number of the pass over the shot, counted from 1.
        epochs: the number of epochs.
        loss: content and style loss together, and what draws it to the last painting; None, like the next two, if
            all of the frame is at rest, so that no epoch was needed.
        content_loss: the content loss.
        style_loss: the style loss of all layers.
        temporal_error: mean squared difference to the last painting, carried along the motion, in grey levels; None
            if nothing of it is seen.
        seconds: how long it took.

    """

    frame: int
    shot: int
    pass_: int
    epochs: int
    loss: float | None
    content_loss: float | None
    style_loss: float | None
    temporal_error: float | None
    seconds: float

    @classmethod
    def columns(cls) -> list[str]:
        """Return the names of the columns."""
        return [field.name.rstrip("_") for field in fields(cls)]

    def values(self) -> list[Any]:
        """Return the cells."""
        return [getattr(self, field.name) for field in fields(self)]


@dataclass(frozen=True)
class EarlierFilm:
    """What the record of an earlier film in a folder says.

    Attributes:
        recipe: the recipe of its frames; None: this nstyle cannot use it.
        settings: the settings of the film, as JSON values.
        identity: a random token that the states of its shots have, too. A state with another one is that of a film
            that was replaced.
        frames: the number of its frames.
        shots: the first and the last frame of each shot.
        extent: the number of the last frame in the folder. It is larger than `frames` if a longer film was continued
            with an earlier end, or is being replaced by a shorter one.
        file: the name of the film that is written at the end.
        files: the names of the finished films.
        replaces: the names of the finished films that it replaces; None: it replaces no film, or has done so.
        stop_reason: why it stopped.
        ways: how each scale of a frame was painted in little memory.
        painter_way: how a painter painted, as a JSON value (see `painter.one_pass.way_facts`); None: it is not known.

    """

    recipe: Recipe | None
    settings: Mapping[str, Any]
    identity: str
    frames: int
    shots: tuple[range, ...]
    extent: int
    file: str
    files: tuple[str, ...]
    replaces: tuple[str, ...] | None
    stop_reason: str
    ways: tuple[Way, ...]
    painter_way: Any = None


class FilmFolder:
    """The files of a film.

    Args:
        path: the folder.
        film_name: the name of the finished film.
        inputs: the user's files, which nstyle never overwrites.

    """

    def __init__(self, path: Path, film_name: str, inputs: Iterable[Path]) -> None:
        self.path = path
        self.film = path / film_name
        self._inputs = {Path(input_).resolve() for input_ in inputs}

    @property
    def record(self) -> Path:
        """The path of `film.json`."""
        return self.path / FILM_RECORD

    @property
    def log(self) -> Path:
        """The path of `frames.csv`."""
        return self.path / FRAME_LOG

    def frame(self, number: int) -> Path:
        """Return the path of a painted frame."""
        return self.path / FRAMES / frame_name(number)

    def source_frame(self, number: int) -> Path:
        """Return the path of the picture of a source's frame."""
        return self.path / SOURCE_FRAMES / source_frame_name(number)

    def shot(self, number: int) -> Path:
        """Return the path of the state of a shot, counted from 1."""
        return self.path / SHOTS / shot_name(number)

    def passes(self, number: int) -> Path:
        """Return the folder for the paintings of the passes over a shot, counted from 1."""
        return self.shot(number).with_suffix("")

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Create the folder, and own it during the block.

        Raises:
            OutputError: the folder is not writable, or another run owns it.

        """
        make_folder(self.path)
        with locked(self.path):
            yield

    def check(self, earlier: EarlierFilm | None, frames: int) -> None:
        """Check that a film of so many frames would replace no file that is not nstyle's, and no input.

        Raises:
            OutputError: a file is in the way; `--overwrite` does not change that.

        """
        if earlier is None and (self.record.is_symlink() or self.record.exists()):
            raise self._in_the_way(self.record, "is damaged, or not nstyle's")
        for folder in (FRAMES, SOURCE_FRAMES, SHOTS):
            path = self.path / folder
            if path.is_symlink() or (path.exists() and not path.is_dir()):
                raise self._in_the_way(path, "is a link or a file, but the film needs a folder of this name")
            if any(input_.parent == path.resolve() for input_ in self._inputs):
                raise self._in_the_way(path, "has inputs in it, and the film would write beside them")
        ours = range(0) if earlier is None else range(1, earlier.extent + 1)
        films = () if earlier is None else (*earlier.files, *(earlier.replaces or ()))
        for path in self._written(frames):
            if path.resolve() in self._inputs:
                raise self._in_the_way(path, "is an input, and the film would overwrite it")
            if path.is_symlink() or path.is_dir():
                raise self._in_the_way(path, "is a link or a folder, but the film needs this name")
            known = path.name in films if path == self.film else path.parent != self.path and int(path.stem) in ours
            if path.exists() and not known and not (earlier is not None and path in (self.record, self.log)):
                raise self._in_the_way(path, "is not from a film that a film.json here records")

        for number in range(1, frames + 1) if (self.path / SHOTS).is_dir() else ():
            path = self.passes(number)
            if path.is_symlink() or (path.exists() and not (path.is_dir() and number in ours)):
                raise self._in_the_way(path, "is not from a film that a film.json here records")

    def _written(self, frames: int) -> Iterator[Path]:
        """Yield all files that a film of so many frames writes and that may exist."""
        yield from (self.record, self.log, self.film)
        for folder, file in ((FRAMES, frame_name), (SOURCE_FRAMES, source_frame_name), (SHOTS, shot_name)):
            if (self.path / folder).is_dir():
                yield from (self.path / folder / file(number) for number in range(1, frames + 1))

    def _in_the_way(self, path: Path, what: str) -> OutputError:
        return OutputError(
            f"{path} {what}; move it away, or choose another --output-dir",
            flag="--output-dir",
            path=path,
            kind=Kind.IN_THE_WAY,
        )

    def begin(self) -> None:
        """Create the folders; delete what killed runs left half-written.

        Raises:
            OutputError: a folder cannot be written.

        """
        for folder in (FRAMES, SOURCE_FRAMES, SHOTS):
            make_folder(self.path / folder)
        for folder in (FRAMES, SOURCE_FRAMES, SHOTS):
            delete_leftovers(self.path / folder)
        for path in (self.record, self.log, self.film):
            delete_leftovers(self.path, path.name)

    def write_log(self, rows: Iterable[FrameRow]) -> None:
        """Write `frames.csv` anew, atomically."""
        text = io.StringIO(newline="")
        csv.writer(text).writerows([FrameRow.columns(), *(row.values() for row in rows)])
        with replacing(self.log) as file:
            file.write(text.getvalue().encode())

    def add_to_log(self, row: FrameRow) -> None:
        """Append a line to `frames.csv`."""
        try:
            with self.log.open("a", encoding="utf-8", newline="") as file:
                csv.writer(file).writerow(row.values())
        except OSError as error:
            raise unwritable(self.log, error) from error

    def write_record(self, recipe: Recipe, facts: Mapping[str, Any], stop_reason: StopReason) -> None:
        """Write `film.json` atomically: the recipe of the frames, and the facts about the film.

        Raises:
            OutputError: the file cannot be written.

        """
        about = {"kind": KIND, "stop_reason": stop_reason, KIND: dict(facts), "recipe": recipe.facts()}
        with replacing(self.record) as file:
            file.write((json.dumps(about, indent=2) + "\n").encode())

    def clear_passes(self) -> None:
        """Delete the paintings of all passes, which runs that were killed or replaced may have left."""
        for path in sorted((self.path / SHOTS).iterdir()):
            if path.name.isdecimal() and path.is_dir() and not path.is_symlink():
                PaintingsFolder(path).clear()

    def remove(self, films: Iterable[str], frames: range, shots: range) -> None:
        """Delete films, frames and shots, which a film that was replaced has left; no file that is none of these."""
        for name in films:
            path = self.path / name
            is_film = path.parent == self.path and path.suffix in _ENDINGS and path.is_file()
            if is_film and path.resolve() not in self._inputs:
                path.unlink(missing_ok=True)
        for folder, numbers in ((FRAMES, frames), (SOURCE_FRAMES, frames), (SHOTS, shots)):
            for path in sorted((self.path / folder).iterdir()):
                match = _NUMBERED.fullmatch(path.name)
                if match and int(match[1]) in numbers and path.is_file() and not path.is_symlink():
                    path.unlink(missing_ok=True)


def read_earlier_film(folder: Path) -> EarlierFilm | None:
    """Return the film that a folder's record names; None if there is no record, or it is damaged or a stranger's."""
    return _read_film(folder / FILM_RECORD)


def followed_settings(own: Mapping[str, Any], recipe: Path | None) -> dict[str, Any]:
    """Return the settings of a film that follows a recipe: the given ones, and those of the recipe.

    Args:
        own: settings of `FilmSettings` that are given. If they name another film, the recipe's parts of the film and
            its motion do not count.
        recipe: the file with the recipe. Only the record of a film has settings of films.

    Raises:
        RecipeError: it is the record of a film, but damaged.

    """
    earlier = None if recipe is None else _read_film(recipe)
    if recipe is not None and earlier is None and read_film_facts(recipe) is not None:
        raise RecipeError(
            f"--recipe {recipe} is a film's record, but damaged; copy it again, or give the settings as flags",
            flag="--recipe",
            path=recipe,
            kind=Kind.DAMAGED,
        )
    recorded = {} if earlier is None else earlier.settings
    left_out = _OF_THE_SOURCE if "film" in own else ()
    found = {name: recorded.get(name) for name in FILM_SETTINGS if name not in left_out}
    return {name: value for name, value in found.items() if value is not None} | dict(own)


def source_digest(recipe: Recipe) -> str:
    """Return the SHA-256 of a film's source from the recipe of its frames; see `FilmPlan.digest`."""
    return recipe.inputs.get("content_image", {}).get("sha256", "")


def _read_film(record: Path) -> EarlierFilm | None:
    """Return the film that a record describes; None if there is no record, or it is damaged or a stranger's."""
    facts = read_film_facts(record)
    if facts is None:
        return None
    try:
        about = facts[KIND]
        shots = tuple(range(int(first), int(last) + 1) for first, last in about["shots"])
        found = EarlierFilm(
            recipe=None,
            settings=dict(about["settings"]),
            identity=str(about["identity"]),
            frames=int(about["frames"]),
            shots=shots,
            extent=int(about["extent"]),
            file=str(about["file"]),
            files=tuple(str(name) for name in about["files"]),
            replaces=None if about["replaces"] is None else tuple(str(name) for name in about["replaces"]),
            stop_reason=str(facts["stop_reason"]),
            ways=tuple(map(_way, about["ways"])),
            painter_way=about.get("painter_way"),
        )
        if [number for shot in shots for number in (shot.start, shot.stop)] != _borders(shots, found.frames):
            return None
    except (ValueError, LookupError, TypeError, OverflowError):
        return None
    try:
        return replace(found, recipe=recipe_of(facts.get("recipe"), record))
    except RecipeError:
        return found


def _way(facts: Mapping[str, Any]) -> Way:
    """Return a way from a record."""
    tiling, history = facts["tiling"], facts["history"]
    return Way(None if tiling is None else Tiling(**tiling), None if history is None else int(history))


def _borders(shots: Sequence[range], frames: int) -> list[int]:
    """Return first frame and end of each shot as they are if the shots are the whole film, without gaps."""
    stops = [shot.stop for shot in shots]
    return [number for pair in zip([1, *stops[:-1]], [*stops[:-1], frames + 1], strict=True) for number in pair]


def read_film_facts(path: Path) -> dict[str, Any] | None:
    """Return a film's record as JSON values; None if it is none, or damaged."""
    try:
        with open_regular(path, _MOST_BYTES) as file:
            facts = json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) and facts.get("kind") == KIND else None

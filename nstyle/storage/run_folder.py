"""The folder of a run: what stands in it, what an earlier run left there, and what may become of that."""

import json
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from nstyle.errors import Kind, OutputError, RecipeError
from nstyle.files import make_folder
from nstyle.storage.layout import (
    CHECKPOINT,
    EPOCHS,
    FINISHED,
    RECORD,
    final_name,
    parse_picture_name,
    snapshot_name,
    writer_of_leftover,
)
from nstyle.storage.recipe import OF_THE_END, Recipe, parse_recipe, read_recipe


class RunFolder:
    """The files of one run: pictures, record, a line for each epoch, checkpoint.

    Args:
        path: the folder.
        image_format: the pictures' ending.
        sources: the user's pictures, which are never written over or removed.

    """

    def __init__(self, path: Path, image_format: str, sources: Collection[Path]) -> None:
        self.path = path
        self.image_format = image_format
        self.sources = sources
        self.final = path / final_name(image_format)
        self.record = path / RECORD
        self.epochs = path / EPOCHS
        self.checkpoint = path / CHECKPOINT

    def snapshot(self, epochs: int) -> Path:
        """Return the file of the picture after so many epochs."""
        return self.path / snapshot_name(epochs, self.image_format)

    def pictures(self) -> list[Path]:
        """List the pictures that are there under the names that a run gives, but for the user's own."""
        sources = {source.resolve() for source in self.sources}
        named = (path for path in self.path.iterdir() if parse_picture_name(path.name))
        return sorted(path for path in named if path.resolve() not in sources)

    def open(self) -> None:
        """Make the folder, and make sure that the result can be written, over none of the user's pictures.

        What a run that was killed has left half-written goes.

        Raises:
            OutputError: it may not be written to, or a folder stands where the picture is to go, or a source.

        """
        make_folder(self.path)
        if self.final.is_dir():
            raise OutputError(
                f"{self.final} is a folder, where the picture is to go; choose another --output-dir",
                flag="--output-dir",
                path=self.final,
                kind=Kind.IN_THE_WAY,
            )
        for source in self.sources:
            name = parse_picture_name(source.name)
            if name and name[1] == self.image_format and source.resolve().parent == self.path.resolve():
                raise OutputError(
                    f"{source} would be painted over; choose another --output-dir",
                    flag="--output-dir",
                    path=source,
                    kind=Kind.IN_THE_WAY,
                )
        for path in self.path.iterdir():
            process = writer_of_leftover(path.name)
            if process is not None and not _is_running(process):
                with suppress(OSError):
                    path.unlink()

    def earlier_run(self) -> Recipe | None:
        """Return the recipe of the run whose record is there.

        Raises:
            RecipeError: the record is damaged.

        """
        try:
            return parse_recipe(self.record.read_bytes(), self.record)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RecipeError(
                f"{self.record} cannot be read: {error.strerror}; choose another --output-dir",
                path=self.record,
                kind=Kind.UNREADABLE,
            ) from error

    def finished_run(self) -> Recipe | None:
        """Return the recipe of the run that came to its own end here, and whose picture is there; or None."""
        try:
            record = self.record.read_bytes()
            recipe = parse_recipe(record, self.record)
            picture = read_recipe(self.final)
        except (OSError, RecipeError):
            return None
        ended = json.loads(record).get("stop_reason") in FINISHED and not picture.differences(recipe)
        return recipe if ended else None

    def make_way_for(self, recipe: Recipe, *, overwrite: bool, resume: bool = False) -> None:
        """Make sure that the pictures of this recipe's run will replace none of another run's, unless they may.

        If they may, that run's files go: nothing of it is left to be taken for the new run's.

        Args:
            recipe: of the run that is about to begin.
            overwrite: whether they may.
            resume: whether the run takes up an earlier one, which may end elsewhere.

        Raises:
            OutputError: there are pictures of another run, and they may not be overwritten.

        """
        earlier, pictures, reason = None, self.pictures(), ""
        try:
            earlier = self.earlier_run()
        except RecipeError as error:
            reason = f"a record that is not of this nstyle ({error})"
        if earlier is None and pictures and not reason:
            reason = f"{pictures[0].name}, of which no run.json says how it was made"
        may_differ = OF_THE_END if resume else ()
        if earlier is not None and (differences := earlier.differences(recipe, may_differ=may_differ)):
            reason = "a run with other settings: " + ", ".join(differences[:3])
        if not reason:
            return
        if not overwrite and (pictures or earlier is None):
            raise OutputError(
                f"{self.path} holds {reason}; choose another --output-dir, or say --overwrite",
                flag="--output-dir",
                path=self.path,
                kind=Kind.IN_THE_WAY,
            )
        for path in (*pictures, self.checkpoint, self.epochs, self.record):
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    """Tell whether there is a process of that number; "yes" where the system has no harmless way to ask."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True

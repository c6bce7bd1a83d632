"""The folder of a run: its files, and how a new run treats the files of an earlier one."""

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
    """The files of one run: pictures, record, epochs, checkpoint.

    Args:
        path: the folder.
        image_format: extension of the pictures, without the dot.
        sources: the user's pictures, which nstyle never overwrites or deletes.

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
        """Return the path of the snapshot after `epochs` epochs."""
        return self.path / snapshot_name(epochs, self.image_format)

    def pictures(self) -> list[Path]:
        """List the existing files named like a run's pictures, without the user's own, sorted by path."""
        sources = {source.resolve() for source in self.sources}
        named = (path for path in self.path.iterdir() if parse_picture_name(path.name))
        return sorted(path for path in named if path.resolve() not in sources)

    def open(self) -> None:
        """Create the folder, and check that the run can write its picture without overwriting the user's.

        Also deletes half-written files of runs that were killed.

        Raises:
            OutputError: the folder is not writable, the picture's name is taken by a folder, or the run would
                overwrite a source.

        """
        make_folder(self.path)
        if self.final.is_dir():
            raise OutputError(
                f"{self.final} is a folder, so the picture cannot be written there; choose another --output-dir",
                flag="--output-dir",
                path=self.final,
                kind=Kind.IN_THE_WAY,
            )
        for source in self.sources:
            name = parse_picture_name(source.name)
            if name and name[1] == self.image_format and source.resolve().parent == self.path.resolve():
                raise OutputError(
                    f"the run would overwrite its input {source}; choose another --output-dir",
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
        """Return the recipe in the folder's record, or None if there is no record.

        Raises:
            RecipeError: the record cannot be read, or is damaged.

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
        """Return the recipe of the run in the folder if it is complete and its picture exists, else None."""
        try:
            record = self.record.read_bytes()
            recipe = parse_recipe(record, self.record)
            # With --no-recipe, the picture does not tell which run made it: the record alone must do.
            picture = recipe if recipe.settings["no_recipe"] and self.final.is_file() else read_recipe(self.final)
        except (OSError, RecipeError):
            return None
        ended = json.loads(record).get("stop_reason") in FINISHED and not picture.differences(recipe)
        return recipe if ended else None

    def make_way_for(self, recipe: Recipe, *, overwrite: bool, resume: bool = False) -> None:
        """Check that a new run will not overwrite a different run's pictures; with `overwrite`, delete that run.

        Deleting all its files ensures that none is mistaken for the new run's.

        Args:
            recipe: the recipe of the run that is about to start.
            overwrite: whether the new run may replace a different one.
            resume: whether the new run resumes an earlier one; then the settings in `OF_THE_END` may differ.

        Raises:
            OutputError: there are pictures of a different run, and `overwrite` is false.

        """
        earlier, pictures, reason = None, self.pictures(), ""
        try:
            earlier = self.earlier_run()
        except RecipeError as error:
            reason = f"a record that this nstyle cannot use ({error})"
        if earlier is None and pictures and not reason:
            reason = f"{pictures[0].name} without the run.json that says how it was made"
        may_differ = OF_THE_END if resume else ()
        if earlier is not None and (differences := earlier.differences(recipe, may_differ=may_differ)):
            reason = "a run with different settings: " + ", ".join(differences[:3])
        if not reason:
            return
        if not overwrite and (pictures or earlier is None):
            raise OutputError(
                f"{self.path} contains {reason}; choose another --output-dir, or add --overwrite",
                flag="--output-dir",
                path=self.path,
                kind=Kind.IN_THE_WAY,
            )
        for path in (*pictures, self.checkpoint, self.epochs, self.record):
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    """Tell whether a process with this ID exists; True on systems without a safe way to check (not POSIX)."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True

"""The folder of a run: its files, and how a new run treats the files of an earlier one.

Only files that a record of nstyle names are nstyle's. A run never replaces or deletes any other file.

A run that replaces an earlier one writes into a hidden folder inside of the run folder, until a picture of its own is
complete there. Then it takes over:

1. It moves its record over the earlier one, in one step. This record lists the earlier files, under `REPLACES`.
2. It moves its other files to their places, and deletes the earlier files that are left.
3. It writes its record again, without the list.

A process that is killed before step 1 leaves the earlier run whole, and the next run deletes the hidden folder. After
step 1, the next run does steps 2 and 3.
"""

import json
import os
import secrets
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nstyle.errors import ImageError, Kind, OutputError, RecipeError
from nstyle.files import known_sha256, make_folder, replacing, unwritable
from nstyle.pictures.embedded_text import read_recipe_text
from nstyle.storage.earlier import REPLACES, EarlierRun, read_earlier_run
from nstyle.storage.layout import (
    CHECKPOINT,
    EPOCHS,
    FINISHED,
    OF_A_RUN,
    RECORD,
    STAGING,
    final_name,
    is_leftover,
    is_staging,
    is_written,
    parse_picture_name,
    snapshot_name,
)
from nstyle.storage.lock import locked
from nstyle.storage.recipe import OF_THE_END, Recipe, read_recipe


class RunFolder:
    """The files of one run: pictures, record, epochs, checkpoint.

    Args:
        path: the folder.
        image_format: extension of the pictures, without the dot.
        sources: the user's pictures, which nstyle never overwrites or deletes.

    Attributes:
        staging: the hidden folder into which the run writes until it replaces the earlier run; else None.
        epochs_to_beat: an unfinished run does not replace the earlier one before it has that many epochs.

    """

    def __init__(self, path: Path, image_format: str, sources: Collection[Path]) -> None:
        self.path = path
        self.image_format = image_format
        self.sources = sources
        self.staging: Path | None = None
        self.epochs_to_beat = 0

    @property
    def _where(self) -> Path:
        return self.staging or self.path

    @property
    def final(self) -> Path:
        """The path of the finished picture."""
        return self._where / final_name(self.image_format)

    @property
    def record(self) -> Path:
        """The path of `run.json`."""
        return self._where / RECORD

    @property
    def epochs(self) -> Path:
        """The path of `epochs.csv`."""
        return self._where / EPOCHS

    @property
    def checkpoint(self) -> Path:
        """The path of `state.npz`."""
        return self._where / CHECKPOINT

    def snapshot(self, epochs: int) -> Path:
        """Return the path of the snapshot after `epochs` epochs."""
        return self._where / snapshot_name(epochs, self.image_format)

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Create the folder, and own it during the block: no other run can (see `storage.lock`).

        First deletes what killed runs left half-written, and ends a replacement that was killed. A folder that this
        creates and that is still empty at the end is removed.

        Raises:
            OutputError: the folder is not writable, another run owns it, or the run would overwrite a source.

        """
        is_new = not os.path.lexists(self.path)
        make_folder(self.path)
        try:
            yield from self._owned()
        finally:
            if is_new:
                with suppress(OSError):  # it is not empty
                    self.path.rmdir()

    def _owned(self) -> Iterator[None]:
        """Own the folder, which exists, until the next step of this iterator."""
        for source in self.sources:
            places = (source.resolve(), source.parent.resolve() / source.name)
            if any(self._writes(place.name) and place.parent == self.path.resolve() for place in places):
                raise OutputError(
                    f"the run would overwrite its input {source}; choose another --output-dir",
                    flag="--output-dir",
                    path=source,
                    kind=Kind.IN_THE_WAY,
                )
        with locked(self.path):
            try:
                self._clean_up()
            except OSError as error:
                raise unwritable(self.path, error) from error
            yield

    def _clean_up(self) -> None:
        """End a replacement that was killed, and delete half-written files."""
        earlier = read_earlier_run(self.path)
        if earlier is not None and earlier.replaces is not None:
            staging = self.path / earlier.replaces.staging
            self._move_in(staging, earlier.replaces.files)
            facts = {name: fact for name, fact in earlier.facts.items() if name != REPLACES}
            with replacing(self.record) as file:
                file.write((json.dumps(facts, indent=2) + "\n").encode())
        for path in list(self.path.iterdir()):
            if is_leftover(path.name) and not path.is_dir():
                path.unlink(missing_ok=True)
            elif is_staging(path.name) and path.is_dir() and not path.is_symlink():
                _discard(path)

    def earlier_run(self) -> EarlierRun | None:
        """Return the run that the folder's record names, or None."""
        return read_earlier_run(self.path)

    def finished_run(self) -> Recipe | None:
        """Return the recipe of the run in the folder if it is complete and its picture exists, else None."""
        earlier = read_earlier_run(self.path)
        if earlier is None or earlier.recipe is None or earlier.stop_reason not in FINISHED:
            return None
        recipe, path = earlier.recipe, self.path / final_name(self.image_format)
        try:
            # With --no-recipe, the picture does not tell which run made it: the record alone must do.
            picture = recipe if recipe.settings["no_recipe"] and path.is_file() else read_recipe(path)
        except RecipeError:
            return None
        return None if picture.differences(recipe) else recipe

    def former_pictures(self) -> frozenset[str]:
        """Return the SHA-256 of the finished pictures without a recipe that runs left here until now.

        A batch's copy of such a picture proves by nothing else that it is nstyle's.
        """
        earlier, path = read_earlier_run(self.path), self.path / final_name(self.image_format)
        if earlier is None:
            return frozenset()
        has_none = earlier.recipe is not None and earlier.recipe.settings["no_recipe"]
        return earlier.former | {known_sha256(path)} if has_none and path.is_file() else earlier.former

    def check_is_not_retouched(self) -> None:
        """Check that another program has not saved the finished picture again: that usually removes the recipe.

        Raises:
            OutputError: the picture has no recipe, though a run that is recorded writes one.

        """
        earlier, path = read_earlier_run(self.path), self.path / final_name(self.image_format)
        if earlier is None or earlier.recipe is None or path.name not in earlier.pictures or not path.is_file():
            return
        if earlier.recipe.settings["no_recipe"] or known_sha256(path) in earlier.former:
            return
        try:
            retouched = read_recipe_text(path) is None
        except ImageError:  # it is damaged: nothing is lost
            return
        if retouched:
            raise OutputError(
                f"{path} was saved by another program since the run; move it away, choose another --output-dir, "
                "or add --overwrite",
                flag="--output-dir",
                path=path,
                kind=Kind.IN_THE_WAY,
            )

    def check(self, recipe: Recipe, *, continues: bool) -> frozenset[str]:
        """Check that the run would replace no file that is not nstyle's.

        Returns the names of the earlier run's pictures.

        Args:
            recipe: the recipe of the run that is about to start.
            continues: whether it continues from the folder's checkpoint. Then, if there is no record, the checkpoint
                vouches for itself and for the pictures with this recipe.

        Raises:
            OutputError: a file is in the way; `--overwrite` does not change that.

        """
        earlier = read_earlier_run(self.path)
        pictures: frozenset[str] = frozenset()
        if earlier is not None:
            pictures = earlier.pictures
        elif continues:
            pictures = EarlierRun(self.path, recipe.facts(), recipe).pictures
        ours = {RECORD, EPOCHS, CHECKPOINT, *pictures} if earlier is not None or continues else pictures
        paths = [path for path in sorted(self.path.iterdir()) if self._writes(path.name)]
        for path in paths:
            if path.is_symlink() or not path.is_file():
                raise self._in_the_way(path, "is a link, a folder or a device, but the run needs this name")
        if earlier is None and self.record in paths:
            raise self._in_the_way(self.record, "is damaged, or not nstyle's")
        for path in paths:
            if path.name not in ours:
                raise self._in_the_way(path, "is not from a run that a run.json beside it records")
        return pictures

    def _writes(self, name: str) -> bool:
        """Tell whether the run may write a file of this name."""
        picture = parse_picture_name(name)
        return name in OF_A_RUN or (picture is not None and picture[1] == self.image_format)

    def _in_the_way(self, path: Path, what: str) -> OutputError:
        return OutputError(
            f"{path} {what}; move it away, or choose another --output-dir",
            flag="--output-dir",
            path=path,
            kind=Kind.IN_THE_WAY,
        )

    def make_way_for(self, recipe: Recipe, *, overwrite: bool, resume: bool = False) -> None:
        """Check that a new run may replace the run in the folder; then let it write into a hidden folder.

        If the earlier run has no picture and no checkpoint, there is nothing to keep, and no hidden folder.

        Args:
            recipe: the recipe of the run that is about to start.
            overwrite: whether the new run may replace a different one.
            resume: whether the new run resumes an earlier one; then the settings in `OF_THE_END` may differ.

        Raises:
            OutputError: there are pictures or epochs of a different run, and `overwrite` is false.

        """
        earlier = self.earlier_run()
        if earlier is None:
            return
        kept = self._files_of(earlier) - {RECORD, EPOCHS}
        reason = earlier.reason
        may_differ = OF_THE_END if resume else ()
        if earlier.recipe is not None and (differences := earlier.recipe.differences(recipe, may_differ=may_differ)):
            reason = "a run with different settings: " + ", ".join(differences[:3])
        if reason and not overwrite and (kept - {CHECKPOINT} or earlier.epochs > 0):
            raise OutputError(
                f"{self.path} contains {reason}; choose another --output-dir, or add --overwrite",
                flag="--output-dir",
                path=self.path,
                kind=Kind.IN_THE_WAY,
            )
        if not kept:
            return
        self.epochs_to_beat = 0 if reason else earlier.epochs
        try:
            staging = self.path / f"{STAGING}{secrets.token_hex(8)}"
            staging.mkdir(mode=0o700)
        except OSError as error:
            raise unwritable(self.path, error) from error
        self.staging = staging

    def _files_of(self, earlier: EarlierRun) -> set[str]:
        """Return the names of the existing files of an earlier run, without the user's own pictures."""
        sources = {source.resolve() for source in self.sources}
        paths = (self.path / name for name in OF_A_RUN | earlier.pictures)
        return {path.name for path in paths if path.is_file() and path.resolve() not in sources}

    def replace_earlier_run(self, write_record: Callable[[dict[str, object]], None]) -> None:
        """Replace the earlier run by the files in the hidden folder, as the module describes; else do nothing.

        Args:
            write_record: writes the record to `self.record`, with additional facts.

        Raises:
            OutputError: a file cannot be moved or deleted.

        """
        staging = self.staging
        if staging is None:
            return
        earlier = self.earlier_run()
        old = set() if earlier is None else self._files_of(earlier)
        old -= {path.name for path in staging.iterdir()}
        write_record({REPLACES: {"staging": staging.name, "files": sorted(old)}})
        try:
            (staging / RECORD).replace(self.path / RECORD)
            self.staging = None
            self._move_in(staging, old)
        except OSError as error:
            raise unwritable(self.path, error) from error
        write_record({})

    def _move_in(self, staging: Path, old: Collection[str]) -> None:
        """Move the files of a hidden folder, if it is there, to their places, and delete `old` ones."""
        if staging.is_dir() and not staging.is_symlink():
            for path in sorted(staging.iterdir()):
                if is_written(path.name) and path.is_file() and not path.is_symlink():
                    path.replace(self._free(path.name))
            _discard(staging)
        for name in old:
            self._free(name).unlink(missing_ok=True)

    def _free(self, name: str) -> Path:
        """Return the path of a file that will be replaced or deleted.

        Raises:
            OutputError: a folder has this name.

        """
        path = self.path / name
        if path.is_dir() and not path.is_symlink():
            raise self._in_the_way(path, "is a folder, but the run needs this name")
        return path

    def keep_earlier_run(self) -> bool:
        """Delete the hidden folder, if there is one. Return whether there was one: then the earlier run stays."""
        if self.staging is None:
            return False
        with suppress(OSError):  # the next run deletes it
            _discard(self.staging)
        self.staging = None
        return True


def _discard(staging: Path) -> None:
    """Delete the files of a run in a hidden folder; then the folder, unless it holds anything else."""
    for path in list(staging.iterdir()):
        if (is_written(path.name) or is_leftover(path.name)) and (path.is_symlink() or not path.is_dir()):
            path.unlink()
    if not any(staging.iterdir()):
        staging.rmdir()

"""Observers of a painting: they write its files and log messages, and call the user's function."""

import contextlib
import csv
import io
import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from torch import Tensor

from nstyle.errors import Kind, OutputError
from nstyle.files import replacing, unwritable
from nstyle.painting.interrupts import Interrupts
from nstyle.painting.steps import Callback, Ending, PaintingStep
from nstyle.pictures.encode import write_picture
from nstyle.pictures.formats import WRITTEN
from nstyle.pictures.metadata import NOTHING, Metadata
from nstyle.pictures.picture import Picture
from nstyle.settings.config import Config
from nstyle.storage.checkpoint import Checkpoint, write_checkpoint
from nstyle.storage.layout import FINISHED, StopReason
from nstyle.storage.recipe import Recipe
from nstyle.storage.record import RunRecord
from nstyle.storage.run_folder import RunFolder

_log = logging.getLogger(__name__)


def is_due(step: PaintingStep, save_epochs: int) -> bool:
    """Tell whether to save a step: every `save_epochs` epochs, but not the last step, which `FinalPicture` saves."""
    return not step.stopped and (step.epoch + 1) % save_epochs == 0


def refuse_long_recipe(recipe: Recipe, config: Config) -> None:
    """Refuse a recipe that the run's pictures cannot hold, such as one with thousands of numbers of epochs.

    Raises:
        OutputError: it is longer than the format's `longest_text`.

    """
    form, length = WRITTEN[config.image_format], len(recipe.published().text())
    if config.no_recipe or length <= form.longest_text:
        return
    able = [f"--image-format {name}" for name, other in WRITTEN.items() if length <= other.longest_text]
    raise OutputError(
        f"the recipe has {length} bytes, but the limit of {form.title} is {form.longest_text}; "
        f"choose {' or '.join([*able, '--no-recipe'])}, or shorter settings",
        flag="--image-format",
        kind=Kind.OUT_OF_RANGE,
    )


def embedded_text(recipe: Recipe, config: Config, checkpoint: Checkpoint, scales: int, *, cut: bool) -> str | None:
    """Return the recipe for a picture of the run, or None if pictures are to have none.

    Args:
        recipe: the run's recipe.
        config: the run's settings.
        checkpoint: the state that the picture shows.
        scales: the number of scales of the run.
        cut: whether the run goes on after the picture. Then the recipe ends there, so it makes this picture again.

    """
    if config.no_recipe:
        return None
    until = {"max_num_epochs" if scales == 1 else "stop_after": checkpoint.epoch} if cut and checkpoint.epoch else {}
    return recipe.published().text(**until)


class Snapshots:
    """Writer of a denoised snapshot, `e_<epoch + 1>.<format>`, every `save_epochs` epochs.

    A snapshot has the size of its scale. Its path is stored in `step.snapshot`, except in a hidden folder. The record
    names it before it exists.

    A painter that is a chain of generators has a snapshot of each of its `stages`, `e_1.<format>` and so on. Each has
    the whole recipe, which makes all of them again.
    """

    def __init__(
        self,
        folder: RunFolder,
        recipe: Recipe,
        config: Config,
        record: RunRecord,
        metadata: Metadata = NOTHING,
        stages: Sequence[Tensor] = (),
    ) -> None:
        self.folder = folder
        self.recipe = recipe
        self.config = config
        self.record = record
        self.metadata = metadata
        self.stages = stages

    def __call__(self, step: PaintingStep) -> None:
        """Write a snapshot if it is due. The epoch in which a run stops has no snapshot, as in the reference."""
        if not is_due(step, self.config.save_epochs):
            return
        path = self.folder.snapshot(step.epoch + 1)
        picture = step.finish(step.image, self.config.remove_noise)
        text = embedded_text(self.recipe, self.config, step.checkpoint, step.scales, cut=True)
        self._write(path, picture, text, step.checkpoint)
        if self.folder.staging is None:  # else it may vanish with the hidden folder
            step.snapshot = path
        _log.debug("wrote %s", path)

    def close(self, ending: Ending) -> None:
        """Write the pictures of a painter's stages. `FinalPicture` writes the last picture."""
        if ending.stop_reason != StopReason.ONE_PASS:
            return
        text = embedded_text(self.recipe, self.config, ending.checkpoint, ending.scales, cut=False)
        for number, image in enumerate(self.stages, start=1):
            self._write(self.folder.snapshot(number), ending.finish(image, 0), text, ending.checkpoint)

    def _write(self, path: Path, picture: Picture, text: str | None, checkpoint: Checkpoint) -> None:
        self.record.add_picture(path.name, checkpoint)
        write_picture(path, picture, bit_depth=self.config.bit_depth, recipe=text, metadata=self.metadata)


class Checkpoints:
    """Writer of the checkpoint, every `save_epochs` epochs and at the end; it replaces the previous one."""

    def __init__(self, folder: RunFolder, recipe: Recipe, *, save_epochs: int) -> None:
        self.folder = folder
        self.recipe = recipe
        self.save_epochs = save_epochs

    def __call__(self, step: PaintingStep) -> None:
        """Write the checkpoint if it is due."""
        if is_due(step, self.save_epochs):
            write_checkpoint(self.folder.checkpoint, step.checkpoint, self.recipe)

    def close(self, ending: Ending) -> None:
        """Write the last checkpoint, unless no epoch is done."""
        if ending.checkpoint.epoch > 0:
            write_checkpoint(self.folder.checkpoint, ending.checkpoint, self.recipe)


class Record:
    """Writer of `run.json`: when the run begins (with the status "running"), when a scale begins, and at the end."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self.scale = 0

    def begin(self, checkpoint: Checkpoint) -> None:
        """Write that the run continues from this checkpoint."""
        self.scale = checkpoint.scale
        self.record.write(StopReason.RUNNING, checkpoint)

    def __call__(self, step: PaintingStep) -> None:
        """Write the record if this is the first step of its scale."""
        if step.scale != self.scale:
            self.begin(step.checkpoint)

    def close(self, ending: Ending) -> None:
        """Write how the run ended."""
        self.record.write(ending.stop_reason, ending.checkpoint)


class Takeover:
    """Replaces the earlier run in the folder, if there is one, as soon as this run has a picture.

    An unfinished run of the same recipe as the earlier one waits until it has as many epochs. A run that diverges or
    fails before it has a picture, or is interrupted before it has as many epochs, leaves the earlier run as it was.
    """

    def __init__(self, folder: RunFolder, record: RunRecord, *, save_epochs: int) -> None:
        self.folder = folder
        self.record = record
        self.save_epochs = save_epochs
        self.has_kept_earlier_run = False

    def __call__(self, step: PaintingStep) -> None:
        """Replace the earlier run if this step has a snapshot, and name the snapshot."""
        if is_due(step, self.save_epochs) and self.folder.staging and step.epoch + 1 >= self.folder.epochs_to_beat:
            with Interrupts() as interrupts:
                interrupts.hold()  # a half-done replacement could not be closed
                self._replace(StopReason.RUNNING, step.checkpoint)
            step.snapshot = self.folder.snapshot(step.epoch + 1)

    def close(self, ending: Ending) -> None:
        """Replace the earlier run, or keep it."""
        if self.folder.staging is None:
            return
        epochs = ending.checkpoint.epoch
        has_more = ending.stop_reason == StopReason.INTERRUPTED and 0 < epochs >= self.folder.epochs_to_beat
        if ending.stop_reason in FINISHED or has_more:
            self._replace(ending.stop_reason, ending.checkpoint)
        else:
            self.has_kept_earlier_run = self.folder.keep_earlier_run()

    def _replace(self, stop_reason: StopReason, checkpoint: Checkpoint) -> None:
        def write(more: Mapping[str, object]) -> None:
            self.record.path = self.folder.record
            self.record.write(stop_reason, checkpoint, more)

        self.folder.replace_earlier_run(write)


class FinalPicture:
    """Writer of `final.<format>` at the end of a run: the finished picture, or the last good one.

    It never replaces an older picture with the start.

    Attributes:
        epochs: the number of epochs of the picture that was written; None: no picture was written.

    """

    def __init__(self, folder: RunFolder, recipe: Recipe, config: Config, metadata: Metadata = NOTHING) -> None:
        self.folder = folder
        self.recipe = recipe
        self.config = config
        self.metadata = metadata
        self.epochs: int | None = None

    def __call__(self, step: PaintingStep) -> None:
        """Do nothing: the picture is written at the end."""

    def close(self, ending: Ending) -> None:
        """Write the picture, unless no epoch is done and no painter painted it.

        A run that diverges in its first epoch writes its start, if the folder has no picture yet.
        """
        checkpoint, path = ending.checkpoint, self.folder.final
        diverged_at_once = ending.stop_reason == StopReason.DIVERGED and not path.exists()
        is_painted = checkpoint.epoch > 0 or ending.stop_reason == StopReason.ONE_PASS
        if not is_painted and not diverged_at_once and self.epochs is None:
            return
        self.epochs = checkpoint.epoch
        cut = ending.stop_reason not in FINISHED
        text = embedded_text(self.recipe, self.config, checkpoint, ending.scales, cut=cut)
        picture = ending.finish(checkpoint.descent.image, 0)
        write_picture(path, picture, bit_depth=self.config.bit_depth, recipe=text, metadata=self.metadata)


class BackoffNotice:
    """Observer that warns if an epoch diverged and was undone."""

    def __init__(self, start: Checkpoint) -> None:
        self.scale = start.scale
        self.rate_factor = start.descent.rate_factor

    def __call__(self, step: PaintingStep) -> None:
        """Warn if the rate factor was lowered; it is 1 when a scale begins."""
        if step.scale != self.scale:
            self.scale, self.rate_factor = step.scale, 1.0
        if step.state.rate_factor < self.rate_factor:
            _log.warning(
                "epoch %d diverged: back to the last good state, learning rate lowered to %.3g",
                *(step.epoch + 1, step.learning_rate),
            )
        self.rate_factor = step.state.rate_factor

    def close(self, ending: Ending) -> None:
        """Do nothing."""


class ScaleNotice:
    """Observer that logs the beginning of each scale, if there are several."""

    def __init__(self) -> None:
        self.scale = 0

    def __call__(self, step: PaintingStep) -> None:
        """Log the number and size of the scale at its first step."""
        if step.scales > 1 and step.scale != self.scale:
            self.scale = step.scale
            (height, width), shown = step.image.shape[2:], step.finish.content.size
            shrunk = "" if shown == (height, width) else f", shrunk to {shown[1]}x{shown[0]}"
            _log.info("scale %d of %d: %dx%d pixels%s", step.scale, step.scales, width, height, shrunk)

    def close(self, ending: Ending) -> None:
        """Do nothing."""


class EpochLog:
    """Writer of `epochs.csv`, one line per epoch, which can be read while the run continues.

    Columns: epoch (from 0, counted through all scales), scale (1 is the coarsest), relative_change, learning_rate,
    gradient_norm (before clipping), loss (content + style), content_loss, one loss for each style layer, seconds
    (since the painting began).
    """

    def __init__(self, path: Path, *, done: int = 0) -> None:
        self.path = path
        self.columns: list[str] = []
        lines = self._lines_of_earlier_run(done)
        seconds = float(lines[-1][-1]) if lines else 0.0
        self.started = time.monotonic() - seconds
        if lines:
            text = io.StringIO(newline="")
            csv.writer(text).writerows([self.columns, *lines])
            with replacing(path) as file:
                file.write(text.getvalue().encode())
        try:
            self.file = path.open("a" if lines else "w", encoding="utf-8", newline="")
        except OSError as error:
            raise unwritable(path, error) from error

    def _lines_of_earlier_run(self, done: int) -> list[list[str]]:
        """Return the lines of the epochs before the run was resumed, and set `columns` to theirs."""
        if done == 0:
            return []
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
            columns, *lines = (line.split(",") for line in text.splitlines())  # no cell needs quotes
        except (OSError, ValueError):  # the file is gone or empty: start a new one
            return []
        if columns[:1] != ["epoch"] or columns[-1] != "seconds":
            _log.warning("%s is damaged: it begins again after epoch %d", self.path, done)
            return []
        self.columns = columns
        kept: list[list[str]] = []
        for number, line in enumerate(lines, start=1):
            if not self._is_whole(line, after=int(kept[-1][0]) if kept else -1):
                if number < len(lines):  # a killed run may have left the last line unfinished
                    _log.warning("%s has a damaged line, which is left out: line %d", self.path, number + 1)
            elif int(line[0]) < done:
                kept.append(line)
        return kept

    def _is_whole(self, line: Sequence[str], *, after: int) -> bool:
        """Tell whether a line has a number in each cell that is not empty, and a later epoch than `after`."""
        try:
            for cell in filter(None, line):
                float(cell)
            return len(line) == len(self.columns) and int(line[0]) > after and math.isfinite(float(line[-1]))
        except (ValueError, LookupError):
            return False

    def _write(self, line: Sequence[object]) -> None:
        """Append a line and flush the file, so that a reader sees the whole line."""
        try:
            csv.writer(self.file).writerow(line)
            self.file.flush()
        except OSError as error:
            raise unwritable(self.path, error) from error

    def __call__(self, step: PaintingStep) -> None:
        """Append the line of a step."""
        self.add(
            {
                "epoch": step.epoch,
                "scale": step.scale,
                "relative_change": step.relative_change,
                "learning_rate": step.learning_rate,
                "gradient_norm": float(step.evaluation.gradient_norm),
                "loss": float(step.evaluation.loss),
                "content_loss": float(step.evaluation.content_loss),
                **{f"style_loss_{layer}": float(loss) for layer, loss in step.evaluation.style_losses.items()},
            }
        )

    def add(self, numbers: Mapping[str, float | str]) -> None:
        """Append a line: numbers by their columns, and the seconds. The first one also writes the column names."""
        row = {**numbers, "seconds": round(time.monotonic() - self.started, 3)}
        if not self.columns:
            self.columns = list(row)
            self._write(self.columns)
        self._write([row.get(name, "") for name in self.columns])  # a file by an older nstyle has fewer columns

    def close(self, ending: Ending) -> None:
        """Close the file and ignore errors: each line was flushed, so a full disk has already been reported."""
        with contextlib.suppress(OSError):
            self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, as `close` does."""
        with contextlib.suppress(OSError):
            self.file.close()


class CallbackObserver:
    """Observer that passes each step to the user's function."""

    def __init__(self, callback: Callback) -> None:
        self.callback = callback

    def __call__(self, step: PaintingStep) -> None:
        """Call the function."""
        self.callback(step)

    def close(self, ending: Ending) -> None:
        """Do nothing."""

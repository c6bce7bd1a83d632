"""The observers of a painting that write files, speak in the log, or call a function of the user's."""

import contextlib
import csv
import io
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from nstyle.files import replacing, unwritable
from nstyle.painting.steps import Callback, Ending, PaintingStep
from nstyle.pictures.encode import write_picture
from nstyle.settings.config import Config
from nstyle.storage.checkpoint import Checkpoint, write_checkpoint
from nstyle.storage.layout import FINISHED, StopReason
from nstyle.storage.recipe import Recipe
from nstyle.storage.record import RunRecord
from nstyle.storage.run_folder import RunFolder

_log = logging.getLogger(__name__)


def is_due(step: PaintingStep, save_epochs: int) -> bool:
    """Tell whether a step is saved: each `save_epochs`, except the last one, whose picture is the final one."""
    return not step.stopped and (step.epoch + 1) % save_epochs == 0


class Snapshots:
    """Writes `e_<epoch + 1>.<format>` every `save_epochs` epochs, denoised, and notes the file in the step.

    A snapshot has the size of its scale.
    """

    def __init__(self, folder: RunFolder, recipe: Recipe, config: Config) -> None:
        self.folder = folder
        self.recipe = recipe.text()
        self.config = config

    def __call__(self, step: PaintingStep) -> None:
        """Write the picture if it is due; a run that stops in this epoch writes none, as the reference."""
        if not is_due(step, self.config.save_epochs):
            return
        path = self.folder.snapshot(step.epoch + 1)
        picture = step.finish(step.image, self.config.remove_noise)
        write_picture(path, picture, bit_depth=self.config.bit_depth, recipe=self.recipe)
        step.snapshot = path
        _log.debug("wrote %s", path)

    def close(self, ending: Ending) -> None:
        """Do nothing: the last picture is `FinalPicture`'s."""


class Checkpoints:
    """Writes the checkpoint over the one before, every `save_epochs` epochs and at the end."""

    def __init__(self, path: Path, recipe: Recipe, *, save_epochs: int) -> None:
        self.path = path
        self.recipe = recipe
        self.save_epochs = save_epochs

    def __call__(self, step: PaintingStep) -> None:
        """Write the checkpoint if it is due."""
        if is_due(step, self.save_epochs):
            write_checkpoint(self.path, step.checkpoint, self.recipe)

    def close(self, ending: Ending) -> None:
        """Write the last checkpoint; the start is worth none."""
        if ending.checkpoint.epoch > 0:
            write_checkpoint(self.path, ending.checkpoint, self.recipe)


class Record:
    """Writes `run.json` when the run begins ("running"), when a scale begins, and when the run ends."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self.scale = 0

    def begin(self, checkpoint: Checkpoint) -> None:
        """Write that the run is under way, from this checkpoint on."""
        self.scale = checkpoint.scale
        self.record.write(StopReason.RUNNING, checkpoint)

    def __call__(self, step: PaintingStep) -> None:
        """Write the record if this is the first step at its scale."""
        if step.scale != self.scale:
            self.begin(step.checkpoint)

    def close(self, ending: Ending) -> None:
        """Write how the run ended."""
        self.record.write(ending.stop_reason, ending.checkpoint)


class FinalPicture:
    """Writes `final.<format>` at the end: the finished picture, or the last good one.

    Attributes:
        epochs: that the written picture has; None: none was written. The start is not worth an older picture.

    """

    def __init__(self, folder: RunFolder, recipe: Recipe, config: Config) -> None:
        self.folder = folder
        self.recipe = recipe
        self.config = config
        self.epochs: int | None = None

    def __call__(self, step: PaintingStep) -> None:
        """Do nothing: the picture is not finished."""

    def close(self, ending: Ending) -> None:
        """Write the picture."""
        checkpoint, path = ending.checkpoint, self.folder.final
        diverged_at_once = ending.stop_reason == StopReason.DIVERGED and not path.exists()
        if checkpoint.epoch == 0 and not diverged_at_once and self.epochs is None:
            return
        self.epochs = checkpoint.epoch
        # A picture that was not finished is made again by as many epochs as it had; of several scales, by no setting.
        cut = ending.scales == 1 and ending.stop_reason not in FINISHED
        settings = {"max_num_epochs": checkpoint.epoch} if cut else {}
        picture = ending.finish(checkpoint.descent.image, 0)
        write_picture(path, picture, bit_depth=self.config.bit_depth, recipe=self.recipe.text(**settings))


class BackoffNotice:
    """Warns when an epoch was taken back because it left the range of pictures."""

    def __init__(self, start: Checkpoint) -> None:
        self.scale = start.scale
        self.rate_factor = start.descent.rate_factor

    def __call__(self, step: PaintingStep) -> None:
        """Warn if the learning rate was lowered out of turn; each scale begins with the whole rate."""
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
    """Says in the log which scale begins, if there are several."""

    def __init__(self) -> None:
        self.scale = 0

    def __call__(self, step: PaintingStep) -> None:
        """Say it at the first step of each scale."""
        if step.scales > 1 and step.scale != self.scale:
            self.scale = step.scale
            _, _, height, width = step.image.shape
            _log.info("scale %d of %d: %dx%d pixels", step.scale, step.scales, width, height)

    def close(self, ending: Ending) -> None:
        """Do nothing."""


class EpochLog:
    """Writes `epochs.csv`: a line for each epoch, there to be read while the run goes on.

    The columns: epoch (from 0, through all scales), scale (1 is the coarsest), relative_change, learning_rate,
    gradient_norm (before clipping), loss (content + style), content_loss, a loss for each style layer, seconds (since
    the painting began).
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
        """Return the lines of the epochs that the run had done before it was resumed, and note the columns."""
        if done == 0:
            return []
        try:
            with self.path.open(encoding="utf-8", newline="") as file:
                self.columns, *lines = csv.reader(file)
            return [line for line in lines if len(line) == len(self.columns) and int(line[0]) < done]
        except (OSError, ValueError, csv.Error):  # it is gone or damaged: the lines begin where this run does
            self.columns = []
            return []

    def _write(self, line: Sequence[object]) -> None:
        """Append a line, so that a reader sees it whole."""
        try:
            csv.writer(self.file).writerow(line)
            self.file.flush()
        except OSError as error:
            raise unwritable(self.path, error) from error

    def __call__(self, step: PaintingStep) -> None:
        """Append the step's line."""
        row = {
            "epoch": step.epoch,
            "scale": step.scale,
            "relative_change": step.relative_change,
            "learning_rate": step.learning_rate,
            "gradient_norm": float(step.evaluation.gradient_norm),
            "loss": float(step.evaluation.loss),
            "content_loss": float(step.evaluation.content_loss),
            **{f"style_loss_{layer}": float(loss) for layer, loss in step.evaluation.style_losses.items()},
            "seconds": round(time.monotonic() - self.started, 3),
        }
        if not self.columns:
            self.columns = list(row)
            self._write(self.columns)
        self._write([row.get(name, "") for name in self.columns])  # an older nstyle had fewer columns

    def close(self, ending: Ending) -> None:
        """Close the file. What a full disk kept from being written was an error at its step."""
        with contextlib.suppress(OSError):
            self.file.close()


class CallbackObserver:
    """Hands each step to a function of the user's."""

    def __init__(self, callback: Callback) -> None:
        self.callback = callback

    def __call__(self, step: PaintingStep) -> None:
        """Call the function."""
        self.callback(step)

    def close(self, ending: Ending) -> None:
        """Do nothing."""

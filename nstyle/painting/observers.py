"""What watches a run: each sink is shown every step, in the order in which the pipeline lists them."""

import contextlib
import csv
import io
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from nstyle.files import replacing, unwritable
from nstyle.optim.descent import Step
from nstyle.pictures.encode import write_picture
from nstyle.pictures.picture import Picture
from nstyle.settings.config import Config
from nstyle.storage.checkpoint import write_state
from nstyle.storage.recipe import Recipe
from nstyle.storage.run_folder import RunFolder

if TYPE_CHECKING:
    from torch import Tensor

    from nstyle.losses.objective import Evaluation

_log = logging.getLogger(__name__)

PaintingStep: TypeAlias = "Step[Evaluation]"
Callback: TypeAlias = Callable[["Step[Evaluation]"], object]


class Sink(Protocol):
    """Something that watches a run."""

    def __call__(self, step: PaintingStep) -> None:
        """Take notice of a step. The image is the live tensor: read it now, don't keep it."""

    def close(self) -> None:
        """Take notice that the run is over, however it ended."""


class Snapshots:
    """Writes `e_<epoch + 1>.<format>` every `save_epochs` epochs, denoised, and notes the file in the step."""

    def __init__(
        self, folder: RunFolder, finish: Callable[["Tensor", float], Picture], recipe: Recipe, config: Config
    ) -> None:
        self.folder = folder
        self.finish = finish
        self.recipe = recipe.text()
        self.config = config

    def __call__(self, step: PaintingStep) -> None:
        """Write the picture, if its turn has come; a run that stops in this epoch writes none, as the reference."""
        if not is_due(step, self.config.save_epochs):
            return
        path = self.folder.snapshot(step.epoch + 1)
        picture = self.finish(step.image, self.config.remove_noise)
        write_picture(path, picture, bit_depth=self.config.bit_depth, recipe=self.recipe)
        step.snapshot = path
        _log.debug("wrote %s", path)

    def close(self) -> None:
        """Nothing is left to do."""


def is_due(step: PaintingStep, save_epochs: int) -> bool:
    """Tell whether a step is to be saved; the last one is not a snapshot's: its picture is the final one."""
    return not step.stopped and (step.epoch + 1) % save_epochs == 0


class SavedStates:
    """Writes the descent's state, every `save_epochs` epochs, over the one before."""

    def __init__(self, path: Path, recipe: Recipe, *, save_epochs: int) -> None:
        self.path = path
        self.recipe = recipe
        self.save_epochs = save_epochs

    def __call__(self, step: PaintingStep) -> None:
        """Write the state, if its turn has come."""
        if is_due(step, self.save_epochs):
            write_state(self.path, step.state, self.recipe)

    def close(self) -> None:
        """Nothing is left to do: the run writes the last state itself."""


class BackoffNotice:
    """Says when an epoch was taken back because it left the range of pictures."""

    def __init__(self, rate_factor: float) -> None:
        self.rate_factor = rate_factor

    def __call__(self, step: PaintingStep) -> None:
        """Warn, if the learning rate has been lowered out of turn."""
        if step.state.rate_factor != self.rate_factor:
            self.rate_factor = step.state.rate_factor
            _log.warning(
                "epoch %d diverged: back to the last good state, learning rate lowered to %.3g",
                *(step.epoch + 1, step.learning_rate),
            )

    def close(self) -> None:
        """Nothing is left to do."""


class EpochLog:
    """Writes `epochs.csv`: a line an epoch, there to be read while the run goes on.

    The columns: epoch (from 0), relative_change, learning_rate, gradient_norm (before clipping), loss (content +
    style), content_loss, a loss for each style layer, seconds (since the descent began).
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
        """Return the lines of the epochs that the run had done before it was taken up, and note the columns."""
        if done == 0:
            return []
        try:
            with self.path.open(encoding="utf-8", newline="") as file:
                self.columns, *lines = csv.reader(file)
            return [line for line in lines if len(line) == len(self.columns) and int(line[0]) < done]
        except (OSError, ValueError, csv.Error):  # it is gone or damaged: the lines begin where this run does
            self.columns = []
            return []

    def _write(self, *lines: Sequence[object]) -> None:
        """Append lines, so that a reader sees them whole."""
        try:
            csv.writer(self.file).writerows(lines)
            self.file.flush()
        except OSError as error:
            raise unwritable(self.path, error) from error

    def __call__(self, step: PaintingStep) -> None:
        """Append the step's line."""
        row = {
            "epoch": step.epoch,
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
        self._write(list(row.values()))

    def close(self) -> None:
        """Close the file. What a full disk kept from being written has been an error at its step."""
        with contextlib.suppress(OSError):
            self.file.close()


class CallbackSink:
    """Hands each step to a function of the user's."""

    def __init__(self, callback: Callback) -> None:
        self.callback = callback

    def __call__(self, step: PaintingStep) -> None:
        """Call the function."""
        self.callback(step)

    def close(self) -> None:
        """Nothing is left to do."""

"""What watches a run: each sink is shown every step, in the order in which the pipeline lists them."""

import contextlib
import csv
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from tqdm import tqdm

from nstyle.descent import Step
from nstyle.files import unwritable
from nstyle.images import Picture
from nstyle.picture_files import write_picture

if TYPE_CHECKING:
    from torch import Tensor

    from nstyle.objective import Evaluation

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
        self,
        folder: Path,
        finish: Callable[["Tensor", float], Picture],
        *,
        save_epochs: int,
        remove_noise: float,
        image_format: str,
    ) -> None:
        self.folder = folder
        self.finish = finish
        self.save_epochs = save_epochs
        self.remove_noise = remove_noise
        self.image_format = image_format

    def __call__(self, step: PaintingStep) -> None:
        """Write the picture, if its turn has come; a run that stops in this epoch writes none, as the reference."""
        if step.stopped or (step.epoch + 1) % self.save_epochs != 0:
            return
        path = self.folder / f"e_{step.epoch + 1}.{self.image_format}"
        write_picture(path, self.finish(step.image, self.remove_noise))
        step.snapshot = path
        _log.debug("wrote %s", path)

    def close(self) -> None:
        """Nothing is left to do."""


class EpochLog:
    """Writes `epochs.csv`: a line an epoch, there to be read while the run goes on.

    The columns: epoch (from 0), relative_change, learning_rate, gradient_norm (before clipping), loss (content +
    style), content_loss, a loss for each style layer, seconds (since the descent began).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started = time.monotonic()
        self.columns: list[str] = []
        try:
            self.file = path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise unwritable(path, error) from error

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
        try:
            if not self.columns:
                self.columns = list(row)
                csv.writer(self.file).writerow(self.columns)
            csv.writer(self.file).writerow(row.values())
            self.file.flush()
        except OSError as error:
            raise unwritable(self.path, error) from error

    def close(self) -> None:
        """Close the file. What a full disk kept from being written has been an error at its step."""
        with contextlib.suppress(OSError):
            self.file.close()


class ProgressBar:
    """A bar on a terminal: epoch, time left, relative change, loss, learning rate."""

    def __init__(self, max_num_epochs: int) -> None:
        self.bar = tqdm(total=max_num_epochs, unit="epoch", file=sys.stdout, dynamic_ncols=True, smoothing=0.1)

    def __call__(self, step: PaintingStep) -> None:
        """Move on by one epoch."""
        self.bar.set_postfix(
            change=f"{step.relative_change:.4f}",
            loss=f"{float(step.evaluation.loss):.3g}",
            lr=f"{step.learning_rate:.2g}",
            refresh=False,
        )
        self.bar.update()

    def close(self) -> None:
        """Leave the bar as it stands."""
        self.bar.close()


class ProgressLines:
    """A log line for the first epoch and then each tenth, where nobody watches a bar; for each with `--verbose`."""

    EVERY = 10

    def __init__(self, max_num_epochs: int) -> None:
        self.max_num_epochs = max_num_epochs

    def __call__(self, step: PaintingStep) -> None:
        """Log the step."""
        due = step.epoch == 0 or (step.epoch + 1) % self.EVERY == 0 or step.stopped
        _log.log(
            logging.INFO if due else logging.DEBUG,
            "epoch %d of at most %d: relative change %.5f, loss %.4g, learning rate %.3g",
            step.epoch + 1,
            self.max_num_epochs,
            step.relative_change,
            float(step.evaluation.loss),
            step.learning_rate,
        )

    def close(self) -> None:
        """Nothing is left to do."""


class CallbackSink:
    """Hands each step to a function of the user's."""

    def __init__(self, callback: Callback) -> None:
        self.callback = callback

    def __call__(self, step: PaintingStep) -> None:
        """Call the function."""
        self.callback(step)

    def close(self) -> None:
        """Nothing is left to do."""

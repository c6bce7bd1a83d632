"""Progress of a painting: a bar on a terminal, or lines of a log."""

import logging
import sys

from tqdm import tqdm

from nstyle.painting.observers import PaintingStep

_log = logging.getLogger(__name__)


class ProgressBar:
    """A bar on a terminal: epoch, time left, relative change, loss, learning rate.

    Args:
        max_num_epochs: the bar's length.
        done: of them before this run.
        below: stand below another bar, and go when the run is over.

    """

    def __init__(self, max_num_epochs: int, done: int, *, below: bool = False) -> None:
        self.bar = tqdm(
            total=max_num_epochs,
            initial=done,
            unit="epoch",
            file=sys.stdout,
            dynamic_ncols=True,
            smoothing=0.1,
            position=int(below),
            leave=not below,
        )

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
    """A log line for the first epoch and then each tenth, where nobody watches a bar; for each with `--verbose`.

    Args:
        max_num_epochs: at most so many.
        done: of them before this run.
        name: of the run, if there are several.

    """

    EVERY = 10

    def __init__(self, max_num_epochs: int, done: int, *, name: str = "") -> None:
        self.first = done
        self.max_num_epochs = max_num_epochs
        self.name = f"{name}: " if name else ""

    def __call__(self, step: PaintingStep) -> None:
        """Log the step."""
        due = step.epoch == self.first or (step.epoch + 1) % self.EVERY == 0 or step.stopped
        _log.log(
            logging.INFO if due else logging.DEBUG,
            "%sepoch %d of at most %d: relative change %.5f, loss %.4g, learning rate %.3g",
            self.name,
            step.epoch + 1,
            self.max_num_epochs,
            step.relative_change,
            float(step.evaluation.loss),
            step.learning_rate,
        )

    def close(self) -> None:
        """Nothing is left to do."""

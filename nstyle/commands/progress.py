"""Progress of a painting: a bar on a terminal, or lines of a log."""

import logging
import sys

from tqdm import tqdm

from nstyle.painting.steps import Ending, PaintingStep

_log = logging.getLogger(__name__)


class ProgressBar:
    """A bar on a terminal: scale, epoch, time left, relative change, loss, learning rate.

    Args:
        most_epochs: how many epochs the painting takes at most, in all scales.
        done: how many were done before this run.
        below: whether the bar stands below another one, and goes when the run is over.

    """

    def __init__(self, most_epochs: int, done: int, *, below: bool = False) -> None:
        self.bar = tqdm(
            total=most_epochs,
            initial=done,
            unit="epoch",
            file=sys.stdout,
            dynamic_ncols=True,
            smoothing=0.1,
            position=int(below),
            leave=not below,
        )

    def __call__(self, step: PaintingStep) -> None:
        """Move on by one epoch; a scale that stopped early makes the bar shorter."""
        self.bar.total = step.most_epochs
        if step.scales > 1:
            self.bar.set_description(f"scale {step.scale} of {step.scales}", refresh=False)
        self.bar.set_postfix(
            change=f"{step.relative_change:.4f}",
            loss=f"{float(step.evaluation.loss):.3g}",
            lr=f"{step.learning_rate:.2g}",
            refresh=False,
        )
        self.bar.update()

    def close(self, ending: Ending) -> None:
        """Leave the bar as it stands."""
        self.bar.close()


class ProgressLines:
    """A log line for the first epoch and then each tenth, where nobody watches a bar; for each with `--verbose`.

    Args:
        most_epochs: how many epochs the painting takes at most, in all scales.
        done: how many were done before this run.
        name: of the run, if there are several.

    """

    EVERY = 10

    def __init__(self, most_epochs: int, done: int, *, name: str = "") -> None:
        self.first = done
        self.name = f"{name}: " if name else ""

    def __call__(self, step: PaintingStep) -> None:
        """Log the step."""
        due = step.epoch == self.first or (step.epoch + 1) % self.EVERY == 0 or step.stopped
        _log.log(
            logging.INFO if due else logging.DEBUG,
            "%s%sepoch %d of at most %d: relative change %.5f, loss %.4g, learning rate %.3g",
            self.name,
            f"scale {step.scale} of {step.scales}, " if step.scales > 1 else "",
            step.epoch + 1,
            step.most_epochs,
            step.relative_change,
            float(step.evaluation.loss),
            step.learning_rate,
        )

    def close(self, ending: Ending) -> None:
        """Do nothing."""

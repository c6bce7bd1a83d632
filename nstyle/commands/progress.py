"""Progress of a painting or a training, shown as a terminal bar or as log lines."""

import logging
import sys
import time

from tqdm import tqdm

from nstyle.commands.terminal import until_the_terminal_closes
from nstyle.painter.training import TrainingStep
from nstyle.painting.steps import Ending, PaintingStep

_log = logging.getLogger(__name__)


class ProgressBar:
    """A terminal bar that shows scale, epoch, time left, relative change, loss and learning rate.

    Args:
        most_epochs: maximum number of epochs of the painting, over all scales.
        done: number of epochs done before this run.
        below: show the bar below another one, and remove it when the run ends.

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
        """Advance by one epoch. If a scale stopped early, the bar's total shrinks."""
        self.bar.total = step.most_epochs
        if step.scales > 1:
            self.bar.set_description(f"scale {step.scale} of {step.scales}", refresh=False)
        self.bar.set_postfix(
            change=f"{step.relative_change:.4f}",
            loss=f"{float(step.evaluation.loss):.3g}",
            lr=f"{step.learning_rate:.2g}",
            refresh=False,
        )
        with until_the_terminal_closes():
            self.bar.update()

    def close(self, ending: Ending) -> None:
        """Stop updating the bar."""
        with until_the_terminal_closes():
            self.bar.close()


class ProgressLines:
    """Log lines for output that is not a terminal.

    Logs the first epoch, every tenth and an early stop at level INFO, and all others at DEBUG (`--verbose`).

    Args:
        most_epochs: unused; `ProgressBar` takes the same arguments.
        done: number of epochs done before this run.
        name: name of the run, if there are several.

    """

    EVERY = 10
    """Epochs between two lines."""

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
        """Do nothing: each line is already complete."""


class TrainingBar:
    """A terminal bar that shows the steps of a training, the time left, losses and learning rate.

    Args:
        done: number of steps done before this run.
        steps: number of all steps.

    """

    def __init__(self, done: int, steps: int) -> None:
        self.bar = tqdm(
            total=steps,
            initial=done,
            unit="step",
            file=sys.stdout,
            dynamic_ncols=True,
            smoothing=0.05,
            mininterval=0.5,
        )

    def __call__(self, step: TrainingStep) -> None:
        """Advance by one step."""
        self.bar.set_postfix(
            loss=f"{step.loss:.3g}",
            content=f"{step.content_loss:.3g}",
            lr=f"{step.learning_rate:.2g}",
            refresh=False,
        )
        with until_the_terminal_closes():
            self.bar.update()

    def close(self) -> None:
        """Stop updating the bar."""
        with until_the_terminal_closes():
            self.bar.close()


class TrainingLines:
    """Log lines for output that is not a terminal: for the first step, every 50th and the last one.

    All others are logged at level DEBUG (`--verbose`).

    Args:
        done: number of steps done before this run.
        steps: number of all steps.

    """

    EVERY = 50
    """Steps between two lines."""

    def __init__(self, done: int, steps: int) -> None:
        self.first = done
        self.started = time.monotonic()

    def __call__(self, step: TrainingStep) -> None:
        """Log the step."""
        due = step.number == self.first + 1 or step.number % self.EVERY == 0 or step.number == step.steps
        seconds = (time.monotonic() - self.started) / (step.number - self.first) * (step.steps - step.number)
        _log.log(
            logging.INFO if due else logging.DEBUG,
            "step %d of %d: loss %.4g (content %.4g), learning rate %.3g, %s left",
            step.number,
            step.steps,
            step.loss,
            step.content_loss,
            step.learning_rate,
            tqdm.format_interval(seconds),
        )

    def close(self) -> None:
        """Do nothing: each line is already complete."""

"""What the observers of a painting see: each step, and the end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from nstyle.losses.objective import Evaluation
from nstyle.optim.descent import Step
from nstyle.painting.finish import Finish
from nstyle.storage.checkpoint import Checkpoint
from nstyle.storage.layout import StopReason


@dataclass
class PaintingStep(Step[Evaluation]):
    """One epoch of a painting: a step of the descent at one of its scales.

    Attributes:
        epoch: from 0, counted through all scales.
        stopped: whether the painting stops after this step because the image hardly changed.
        scale: the current scale; 1 is the coarsest.
        scales: the number of scales.
        most_epochs: the largest number of epochs of the whole painting, including the finished ones.
        checkpoint: the state after this step, from which the painting can be resumed.
        finish: converts the image of this scale to the picture for display.
        snapshot: the file with this step's picture; None: there is none. The observer that writes it sets this.

    """

    scale: int
    scales: int
    most_epochs: int
    checkpoint: Checkpoint
    finish: Finish
    snapshot: Path | None = None


@dataclass(frozen=True)
class Ending:
    """How a painting ended.

    Attributes:
        stop_reason: why it ended.
        checkpoint: the state from which the painting can be resumed, with the last good image. If the painting ended
            before the first epoch of a scale was done, it is that at the end of the scale before.
        scales: the number of scales.
        finish: converts that image to the picture for display.

    """

    stop_reason: StopReason
    checkpoint: Checkpoint
    scales: int
    finish: Finish


class Observer(Protocol):
    """A watcher of a painting: it is called after each step, and closed at the end."""

    def __call__(self, step: PaintingStep) -> None:
        """Handle a step. `step.image` is the live tensor of the descent: copy it to keep it or to change it."""

    def close(self, ending: Ending) -> None:
        """Handle the end of the painting, whatever the reason. An interrupt can cause a second call."""


Callback: TypeAlias = Callable[[PaintingStep], object]
ProgressMaker: TypeAlias = Callable[[int, int], Observer]
"""Function that makes an observer for progress from the largest number of epochs and the number already done."""

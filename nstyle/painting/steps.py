"""What is shown of a painting while it goes on, and when it ends."""

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
        stopped: whether this is the painting's last step because the image hardly changed.
        scale: the current scale; 1 is the coarsest.
        scales: how many there are.
        most_epochs: how many epochs the painting takes at most, those that are done included.
        checkpoint: what the painting can go on from after this step.
        finish: makes the picture for display of this scale's image.
        snapshot: the file that this step's picture was written to, if it was; set by the observer that writes it.

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
        stop_reason: why.
        checkpoint: what it can go on from; its image is the last good one.
        scales: how many scales the painting has.
        finish: makes the picture for display of that image.

    """

    stop_reason: StopReason
    checkpoint: Checkpoint
    scales: int
    finish: Finish


class Observer(Protocol):
    """Something that watches a painting."""

    def __call__(self, step: PaintingStep) -> None:
        """Take notice of a step. Its image is the live tensor: an observer that keeps it copies it."""

    def close(self, ending: Ending) -> None:
        """Take notice that the painting is over, however it ended; after an interrupt this may be called twice."""


Callback: TypeAlias = Callable[[PaintingStep], object]
ProgressMaker: TypeAlias = Callable[[int, int], Observer]
"""Makes an observer that shows progress, from the largest number of epochs and the number already done."""

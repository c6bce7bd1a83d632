"""Descent along a gradient: update rule, learning-rate schedule, stopping. Knows nothing of pictures or networks."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from nstyle.errors import DivergenceError
from nstyle.functional import euclidean_norm, relative_change

LOWEST_LEARNING_RATE = 1e-8
"""The schedule goes no lower: MXNet's `FactorScheduler(stop_factor_lr=1e-8)`."""

DIVERGED_RMS = 255.0
"""Root mean square beyond which an image is lost: nothing that can be displayed has more than 141 in model space."""


class HasGradient(Protocol):
    """What an evaluation of an objective has to offer to be descended."""

    @property
    def gradient(self) -> Tensor:
        """The direction of steepest ascent, of the image's shape."""


EvaluationT = TypeVar("EvaluationT", bound=HasGradient, covariant=True)


class DifferentiableObjective(Protocol[EvaluationT]):
    """Anything that tells its gradient at an image."""

    def gradient(self, image: Tensor) -> EvaluationT:
        """Evaluate the objective at an image."""


@dataclass
class Step(Generic[EvaluationT]):
    """One epoch of a descent.

    Attributes:
        epoch: from 0.
        image: after the update; the live tensor, on the descent's device: copy it to change it.
        relative_change: ||old - new|| / ||new||.
        learning_rate: the one used.
        evaluation: of the objective, *before* the update.
        stopped: whether the change was below `stop_eps`, which makes this the last step.
        snapshot: the file that this step's picture was written to, if it was; set by who writes it.

    """

    epoch: int
    image: Tensor
    relative_change: float
    learning_rate: float
    evaluation: EvaluationT
    stopped: bool
    snapshot: Path | None = None


class UpdateRule(Protocol):
    """What makes a new image of an old one. It may remember; one rule serves one descent."""

    def __call__(self, image: Tensor, gradient: Tensor, learning_rate: float) -> Tensor:
        """Return the new image, as a new tensor."""


class Nesterov:
    """Nesterov's accelerated gradient with weight decay, as MXNet's `nag` and `torch.optim.SGD(nesterov=True)`.

    d = g + weight_decay * x;  v = momentum * v + d;  x = x - learning_rate * (d + momentum * v)
    """

    def __init__(self, momentum: float, weight_decay: float) -> None:
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.velocity: Tensor | None = None

    def __call__(self, image: Tensor, gradient: Tensor, learning_rate: float) -> Tensor:
        """Return the new image, as a new tensor."""
        direction = gradient + self.weight_decay * image
        velocity = direction if self.velocity is None else self.momentum * self.velocity + direction
        self.velocity = velocity
        return image - learning_rate * (direction + self.momentum * velocity)


OPTIMIZERS: dict[str, Callable[[float, float], UpdateRule]] = {"nag": Nesterov}
"""Update rules by name; each is made with momentum and weight decay."""


def scheduled_learning_rate(epoch: int, lr: float, delay: int, factor: float) -> float:
    """Return lr * factor^max(0, floor((epoch - 1) / delay)), never below 1e-8; epochs count from 0."""
    return max(LOWEST_LEARNING_RATE, lr * factor ** max(0, (epoch - 1) // delay))


def descend(
    objective: DifferentiableObjective[EvaluationT],
    image: Tensor,
    *,
    optimizer: str = "nag",
    lr: float = 1e-3,
    momentum: float = 0.95,
    weight_decay: float = 1e-4,
    lr_sched_delay: int = 75,
    lr_sched_factor: float = 0.9,
    stop_eps: float = 0.005,
    max_num_epochs: int = 1000,
) -> Iterator[Step[EvaluationT]]:
    """Descend from `image`, yielding each epoch; ends after `max_num_epochs`, or when the change is below `stop_eps`.

    Raises:
        DivergenceError: an epoch's image is not finite, or its root mean square is beyond 255. The step
            yielded before it holds the last good one.

    """
    update = OPTIMIZERS[optimizer](momentum, weight_decay)
    for epoch in range(max_num_epochs):
        learning_rate = scheduled_learning_rate(epoch, lr, lr_sched_delay, lr_sched_factor)
        evaluation = objective.gradient(image)
        with torch.no_grad():
            new = update(image, evaluation.gradient, learning_rate)
            change = float(relative_change(image, new))
            rms = float(euclidean_norm(new)) / math.sqrt(new.numel())
        if not (math.isfinite(change) and rms < DIVERGED_RMS):
            raise DivergenceError(f"the picture diverged in epoch {epoch}: lower --lr (now {lr:g}) or the weights")
        image = new
        stopped = change < stop_eps
        yield Step(epoch, image, change, learning_rate, evaluation, stopped)
        if stopped:
            return

"""Descent along a gradient: update rule, learning-rate schedule, stopping. Knows nothing of pictures or networks."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from nstyle.errors import DivergenceError, Kind
from nstyle.numerics import relative_change, root_mean_square
from nstyle.optim.catalog import OPTIMIZERS
from nstyle.optim.rules import UpdateRule

LOWEST_LEARNING_RATE = 1e-8
"""The schedule goes no lower: MXNet's `FactorScheduler(stop_factor_lr=1e-8)`."""

DIVERGED_RMS = 255.0
"""Root mean square beyond which an image is lost: nothing that can be displayed has more than 141 in model space."""

RECOVERY_RMS = 8.0
"""Root mean square by which an update may move the image after one that diverged: an update that only just stays in
the range of pictures goes on to oscillate there."""

SMALLEST_RATE_FACTOR = 2.0**-40
"""Where going back with half the rate ends: a descent that still diverges does not do so for its rate."""


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


@dataclass(frozen=True)
class DescentState:
    """Where a descent stands between two epochs: all that it needs to go on as if nothing had happened.

    Attributes:
        image: the current one.
        epoch: the next one's number; so many are done.
        memory: what the update rule remembers, by name; each of the image's shape, or a scalar.
        rate_factor: what the scheduled learning rate is multiplied by: 1, halved each time that an epoch was taken
            back.
        relative_change: the last epoch's.

    """

    image: Tensor
    epoch: int = 0
    memory: Mapping[str, Tensor] = field(default_factory=dict)
    rate_factor: float = 1.0
    relative_change: float = math.inf


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
        state: what the descent can go on from after this step.

    """

    epoch: int
    image: Tensor
    relative_change: float
    learning_rate: float
    evaluation: EvaluationT
    stopped: bool
    state: DescentState


def make_rule(optimizer: str, settings: Mapping[str, float]) -> UpdateRule:
    """Make the update rule of an optimizer, with these settings of its own.

    Raises:
        TypeError: it has no such setting.

    """
    declared = OPTIMIZERS[optimizer]
    if unknown := set(settings) - set(declared.settings):
        raise TypeError(f"the optimizer {optimizer} has no setting {', '.join(sorted(unknown))}")
    rule: UpdateRule = resolve_name(declared.rule)(**{**declared.settings, **settings})
    return rule


def scheduled_learning_rate(epoch: int, lr: float, delay: int, factor: float) -> float:
    """Return lr * factor^max(0, floor((epoch - 1) / delay)), never below 1e-8; epochs count from 0."""
    return max(LOWEST_LEARNING_RATE, lr * factor ** max(0, (epoch - 1) // delay))


def descend(
    objective: DifferentiableObjective[EvaluationT],
    start: Tensor | DescentState,
    *,
    optimizer: str = "nag",
    lr: float | None = None,
    lr_sched_delay: int = 75,
    lr_sched_factor: float = 0.9,
    stop_eps: float = 0.005,
    max_num_epochs: int = 1000,
    on_divergence: str = "stop",
    bounds: tuple[Tensor, Tensor] | None = None,
    **settings: float,
) -> Iterator[Step[EvaluationT]]:
    """Descend, yielding each epoch; ends after `max_num_epochs`, or when the change is below `stop_eps`.

    An epoch is one evaluation of the objective.

    Args:
        objective: what is descended. An optimizer that follows the unclipped gradient needs `Objective(clip=False)`;
            see `catalog.OPTIMIZERS`.
        start: an image, or an earlier descent's state to go on from: with the same settings as if it had never ended.
        optimizer: one of `catalog.OPTIMIZERS`.
        lr: learning rate; None: the optimizer's own.
        lr_sched_delay: epochs after which the learning rate is lowered.
        lr_sched_factor: by what.
        stop_eps: relative change that ends the descent.
        max_num_epochs: counted from the start of the earlier descent, if there was one.
        on_divergence: "stop", or "backoff": when an update leaves the range of pictures, take it back, forget the
            momentum, and update again with half the learning rate from now on; with a half of that, until the update
            moves the image by no more than 8 grey levels.
        bounds: the least and the greatest image; after each update, what is beyond them is set to them (projected
            gradient descent). None: no limits.
        settings: the optimizer's own, by name: `momentum` and `weight_decay` of "nag".

    Raises:
        DivergenceError: an epoch's image is not finite, or its root mean square is beyond 255. The step
            yielded before it holds the last good one.

    """
    state = start if isinstance(start, DescentState) else DescentState(start)
    rule = make_rule(optimizer, settings)
    lr = OPTIMIZERS[optimizer].learning_rate if lr is None else lr
    rule.remember(state.memory)
    while state.epoch < max_num_epochs and state.relative_change >= stop_eps:
        scheduled = scheduled_learning_rate(state.epoch, lr, lr_sched_delay, lr_sched_factor)
        evaluation = objective.gradient(state.image)
        with torch.no_grad():
            new, rate_factor = _update(
                rule, state, evaluation.gradient, scheduled, may_back_off=on_divergence != "stop"
            )
            if new is None:
                raise diverged(state.epoch, lr)
            if bounds is not None:
                new = new.clamp(*bounds)
            change = float(relative_change(state.image, new))
        epoch, learning_rate = state.epoch, scheduled * rate_factor
        state = DescentState(new, epoch + 1, rule.memory(), rate_factor, change)
        yield Step(epoch, new, change, learning_rate, evaluation, change < stop_eps, state)


def diverged(epoch: int, lr: float, where: str = "") -> DivergenceError:
    """Return the error that says that this epoch left the range of pictures."""
    return DivergenceError(
        f"the picture diverged in epoch {epoch}{where}: lower --lr (now {lr:g}) or the weights",
        flag="--lr",
        kind=Kind.OUT_OF_RANGE,
    )


def _update(
    rule: UpdateRule, state: DescentState, gradient: Tensor, learning_rate: float, *, may_back_off: bool
) -> tuple[Tensor | None, float]:
    """Return the new image and the factor on the learning rate that led to it; None if each one is out of range."""
    rate_factor, furthest = state.rate_factor, math.inf
    while rate_factor >= SMALLEST_RATE_FACTOR:
        new = rule(state.image, gradient, learning_rate * rate_factor)
        moved = root_mean_square(new - state.image)
        if root_mean_square(new) < DIVERGED_RMS and moved <= furthest:
            return new, rate_factor
        if not may_back_off:
            break
        rule.remember({})
        rate_factor, furthest = rate_factor / 2, RECOVERY_RMS
    return None, rate_factor

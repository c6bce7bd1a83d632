"""Descent along a gradient: update rule, learning-rate schedule, stopping.

It knows images only as tensors in grey levels.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from nstyle.errors import DivergenceError, Kind
from nstyle.numerics import distance, relative_change, root_mean_square
from nstyle.optim.catalog import OPTIMIZERS
from nstyle.optim.rules import UpdateRule

LOWEST_LEARNING_RATE = 1e-8
"""Lower limit of the schedule, as in MXNet's `FactorScheduler(stop_factor_lr=1e-8)`."""

DIVERGED_RMS = 255.0
"""Root mean square, in grey levels, from which an image counts as diverged. Images for display reach at most 141."""

RECOVERY_RMS = 8.0
"""Limit on the root mean square of an update, in grey levels, after one that diverged. An update that only just stays
in the range of pictures would start to oscillate there."""

SLOWDOWN = 0.5
"""`slowdown` of a descent that starts from a picture. There the first steps are small, because the momentum 0.95 sums
over about 1 / (1 - 0.95) = 20 epochs; half of the largest change says that it slows down again."""

SMALLEST_RATE_FACTOR = 2.0**-40
"""Limit on halving the learning rate: a descent that still diverges here has another cause than its rate."""


class HasGradient(Protocol):
    """What the descent needs from an evaluation of the objective."""

    @property
    def gradient(self) -> Tensor:
        """The objective's gradient, of the image's shape."""


EvaluationT = TypeVar("EvaluationT", bound=HasGradient, covariant=True)


class DifferentiableObjective(Protocol[EvaluationT]):
    """Anything that has a gradient at an image."""

    def gradient(self, image: Tensor) -> EvaluationT:
        """Evaluate the objective at an image."""


@dataclass(frozen=True)
class DescentState:
    """State of a descent between two epochs: all that it needs to continue as if it had not stopped.

    Attributes:
        image: the current image.
        epoch: number of the next epoch, which is also how many are done.
        memory: the update rule's state by name; each tensor has the image's shape or is a scalar.
        rate_factor: factor on the scheduled learning rate: 1 at first, halved each time that an update is undone.
        relative_change: that of the last epoch, see `Step`.
        largest_change: the largest relative change of all epochs.

    """

    image: Tensor
    epoch: int = 0
    memory: Mapping[str, Tensor] = field(default_factory=dict)
    rate_factor: float = 1.0
    relative_change: float = math.inf
    largest_change: float = 0.0


@dataclass
class Step(Generic[EvaluationT]):
    """One epoch of a descent.

    Attributes:
        epoch: its number, from 0.
        image: the image after the update. It is the live tensor on the descent's device: copy it before changing it.
        relative_change: ||old - new|| / ||new||; of several parts of the image, the largest.
        learning_rate: the learning rate used.
        evaluation: the objective *before* the update.
        stopped: whether the change was so small that this is the last step; see `descend`.
        state: the state from which the descent can continue after this step.

    """

    epoch: int
    image: Tensor
    relative_change: float
    learning_rate: float
    evaluation: EvaluationT
    stopped: bool
    state: DescentState


def make_rule(optimizer: str, settings: Mapping[str, float]) -> UpdateRule:
    """Make the update rule of an optimizer; `settings` override its defaults.

    Raises:
        TypeError: the optimizer has no such setting.
        ValueError: it cannot use the value of a setting.

    """
    declared = OPTIMIZERS[optimizer]
    defaults = dict(declared.settings)
    if declared.histories:
        defaults["history"] = declared.histories[0]
    if unknown := set(settings) - set(defaults):
        known = ", ".join(defaults) or "none"
        raise TypeError(f"the optimizer {optimizer} has no setting {', '.join(sorted(unknown))}; it has {known}")
    rule: UpdateRule = resolve_name(declared.rule)(**{**defaults, **settings})
    return rule


def scheduled_learning_rate(epoch: int, lr: float, delay: int, factor: float) -> float:
    """Return lr * factor^max(0, floor((epoch - 1) / delay)), but at least 1e-8; epochs count from 0."""
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
    slowdown: float = 1.0,
    parts: Sequence[Tensor | None] = (None,),
    max_num_epochs: int = 1000,
    on_divergence: str = "stop",
    bounds: tuple[Tensor, Tensor] | None = None,
    held: Tensor | None = None,
    **settings: float,
) -> Iterator[Step[EvaluationT]]:
    """Descend, yielding a step after each epoch, until `max_num_epochs` or a change below `stop_eps`.

    An epoch is one evaluation of the objective and one update of the image.

    Args:
        objective: the objective to descend. An optimizer that follows the unclipped gradient needs
            `Objective(clip=False)`; see `catalog.OPTIMIZERS`.
        start: an image, or the state of an earlier descent to continue. With the same settings, a continued descent
            gives the same steps as an uninterrupted one.
        optimizer: one of `catalog.OPTIMIZERS`.
        lr: learning rate; None means the optimizer's default.
        lr_sched_delay: number of epochs between two reductions of the learning rate.
        lr_sched_factor: factor of each reduction.
        stop_eps: relative change below which the descent ends.
        slowdown: as long as every change has been below `stop_eps`, the descent ends only if the change falls to this
            share of the largest one. 1 means that any change below `stop_eps` ends it, as in the reference.
        parts: the parts of the image whose relative changes count; the largest must be below `stop_eps`. Each is a
            weight, 0..1, that broadcasts to the image's shape. None is the whole image, as in the reference.
        max_num_epochs: maximum number of epochs, including those of an earlier descent.
        on_divergence: "stop" to raise an error, or "backoff": if an update leaves the range of pictures, undo it,
            clear the rule's memory, and repeat it with half the learning rate, for good. Halve again until the update
            moves the image by at most 8 grey levels (root mean square).
        bounds: lower and upper limit of the image's values; each update is clamped to them (projected gradient
            descent). None means no limits.
        held: which values of the image stay as they are: true or false, broadcasts to the image's shape. None: none.
        settings: the optimizer's own settings by name, such as `momentum` and `weight_decay` for "nag".

    Raises:
        DivergenceError: an update gives an image that is not finite or has a root mean square of at least 255. The
            previous step holds the last good image.
        TypeError: the optimizer has no such setting.
        ValueError: the optimizer cannot use the value of a setting.

    """
    state = start if isinstance(start, DescentState) else DescentState(start)
    del start  # otherwise its image would take memory until the end
    rule = make_rule(optimizer, settings)
    lr = OPTIMIZERS[optimizer].learning_rate if lr is None else lr
    rule.remember(state.memory)
    while state.epoch < max_num_epochs and not has_converged(state, stop_eps, slowdown):
        scheduled = scheduled_learning_rate(state.epoch, lr, lr_sched_delay, lr_sched_factor)
        evaluation = objective.gradient(state.image)
        with torch.no_grad():
            new, rate_factor = _update(
                rule, state, evaluation.gradient, scheduled, may_back_off=on_divergence != "stop"
            )
            if new is None:
                raise diverged(state.epoch, lr)
            if bounds is not None:
                new.clamp_(*bounds)  # rules return new tensors
            if held is not None:
                torch.where(held, state.image, new, out=new)
            change = largest_change(state.image, new, parts)
        epoch, learning_rate = state.epoch, scheduled * rate_factor
        state = DescentState(new, epoch + 1, rule.memory(), rate_factor, change, max(change, state.largest_change))
        stopped = has_converged(state, stop_eps, slowdown)
        yield Step(epoch, new, change, learning_rate, evaluation, stopped, state)
        del evaluation  # while the next one is computed, its gradient would take the memory of an image


def has_converged(state: DescentState, stop_eps: float, slowdown: float = 1.0) -> bool:
    """Tell whether a descent is finished because the image hardly changes; `descend` describes the arguments."""
    has_begun = state.largest_change >= stop_eps or state.relative_change <= slowdown * state.largest_change
    return has_begun and state.relative_change < stop_eps


def largest_change(old: Tensor, new: Tensor, parts: Sequence[Tensor | None] = (None,)) -> float:
    """Return the largest relative change of the image's parts; `descend` describes them."""
    return max(float(relative_change(old, new, part)) for part in parts)


def diverged(epoch: int, lr: float, where: str = "") -> DivergenceError:
    """Make the error for an epoch that left the range of pictures; `where` says where it was, such as a scale."""
    return DivergenceError(
        f"the picture diverged in epoch {epoch}{where}: lower --lr (now {lr:g}) or the weights",
        flag="--lr",
        kind=Kind.OUT_OF_RANGE,
    )


def _update(
    rule: UpdateRule, state: DescentState, gradient: Tensor, learning_rate: float, *, may_back_off: bool
) -> tuple[Tensor | None, float]:
    """Return the new image and its factor on the learning rate; None for the image if every attempt diverged."""
    rate_factor, furthest = state.rate_factor, math.inf
    while rate_factor >= SMALLEST_RATE_FACTOR:
        new = rule(state.image, gradient, learning_rate * rate_factor)
        moved = distance(new, state.image) / math.sqrt(new.numel())
        if root_mean_square(new) < DIVERGED_RMS and moved <= furthest:
            return new, rate_factor
        if not may_back_off:
            break
        rule.remember({})
        rate_factor, furthest = rate_factor / 2, RECOVERY_RMS
    return None, rate_factor

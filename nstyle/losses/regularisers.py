"""Regularisers: terms on the pixels themselves, whose gradient the reference adds after it has clipped the rest."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nstyle.losses.functional import (
    bounded_range,
    bounded_range_gradient,
    total_variation,
    total_variation_gradient,
)
from nstyle.losses.terms import Maps, Statistic
from nstyle.networks.model_space import MEAN_RGB

MID_GREY = 127.5
"""In 0..255."""


class _KnownGradient(torch.autograd.Function):
    """A loss whose gradient is known in closed form: autograd's own would be rounded in another way."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, loss: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return upstream * gradient, None, None


def _with_gradient(image: Tensor, loss: Tensor, gradient: Tensor) -> Tensor:
    known: Tensor = _KnownGradient.apply(image, loss, gradient)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return known


@dataclass(frozen=True)
class TotalVariationTerm:
    """weight * total variation of the image: see `functional.total_variation`."""

    weight: float
    layers: ClassVar[tuple[str, ...]] = ()
    is_local: ClassVar[bool] = True
    is_clipped: ClassVar[bool] = False

    def statistic(self, image: Tensor, maps: Maps) -> Statistic:
        """Return the image's total variation."""
        pixels = image.detach()
        return Statistic(_with_gradient(image, total_variation(pixels), total_variation_gradient(pixels)))

    def loss(self, statistic: Statistic) -> Tensor:
        """Return the weighted loss."""
        return self.weight * statistic.sums


@dataclass(frozen=True)
class BoundedRangeTerm:
    """weight * bounded-range prior: it pulls black and white values towards mid-grey, see `functional`."""

    weight: float
    layers: ClassVar[tuple[str, ...]] = ()
    is_local: ClassVar[bool] = True
    is_clipped: ClassVar[bool] = False

    def statistic(self, image: Tensor, maps: Maps) -> Statistic:
        """Return the image's prior."""
        pixels = image.detach()
        centred = pixels + (pixels.new_tensor(MEAN_RGB) - MID_GREY).reshape(1, 3, 1, 1)
        return Statistic(
            _with_gradient(image, bounded_range(centred, MID_GREY), bounded_range_gradient(centred, MID_GREY))
        )

    def loss(self, statistic: Statistic) -> Tensor:
        """Return the weighted loss."""
        return self.weight * statistic.sums

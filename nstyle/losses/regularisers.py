"""Regularizers: terms on the pixels. The reference adds their gradient after it clips the rest."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nstyle.losses.functional import bounded_range, bounded_range_gradient, total_variation_gradient
from nstyle.losses.parts import PIXELS, Part
from nstyle.losses.terms import Statistic
from nstyle.networks.model_space import MEAN_RGB
from nstyle.networks.padding import PADDINGS
from nstyle.numerics import inner_product

MID_GREY = 127.5
"""Middle of the range 0..255."""


class _KnownGradient(torch.autograd.Function):
    """A loss with a gradient in closed form, because autograd would round it differently."""

    @staticmethod
    def forward(ctx: Any, pixels: Tensor, loss: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return upstream * gradient, None, None


def _with_gradient(pixels: Tensor, loss: Tensor, gradient: Tensor) -> Statistic:
    return Statistic(_KnownGradient.apply(pixels, loss, gradient))  # type: ignore[no-untyped-call]  # torch leaves it untyped


@dataclass(frozen=True)
class Regulariser:
    """Base class of the terms on the pixels."""

    weight: float
    layers: ClassVar[tuple[str, ...]] = ()
    is_local: ClassVar[bool] = True
    is_clipped: ClassVar[bool] = False

    def loss(self, statistic: Statistic) -> Tensor:
        """Return the weighted loss."""
        return self.weight * statistic.sums


@dataclass(frozen=True)
class TotalVariationTerm(Regulariser):
    """weight * total variation of the image; see `functional.total_variation_gradient`.

    A part needs a margin of one pixel; "wrap" needs the whole picture.

    Attributes:
        padding: what lies beyond the image's edges: "zero", or one of `networks.padding.PADDINGS`.

    """

    padding: str = "zero"

    def statistic(self, part: Part) -> Statistic:
        """Return the total variation of the owned pixels; each pixel counts half of each of its differences."""
        pixels = part.owned(PIXELS)
        with torch.no_grad():
            gradient = Part(self._gradient(part.image), {}, part.windows).owned(PIXELS)
            loss = inner_product(pixels, gradient) / 2
        return _with_gradient(pixels, loss, gradient)

    def _gradient(self, image: Tensor) -> Tensor:
        if self.padding == "zero":
            return total_variation_gradient(image)
        return total_variation_gradient(PADDINGS[self.padding](image, 1))[..., 1:-1, 1:-1]


@dataclass(frozen=True)
class BoundedRangeTerm(Regulariser):
    """weight * bounded-range prior, which pulls black and white values towards mid-grey; see `functional`."""

    def statistic(self, part: Part) -> Statistic:
        """Return the prior of the owned pixels."""
        pixels = part.owned(PIXELS)
        with torch.no_grad():
            centred = pixels + (pixels.new_tensor(MEAN_RGB) - MID_GREY).reshape(1, 3, 1, 1)
            loss, gradient = bounded_range(centred, MID_GREY), bounded_range_gradient(centred, MID_GREY)
        return _with_gradient(pixels, loss, gradient)

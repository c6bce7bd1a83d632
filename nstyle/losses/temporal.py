"""The temporal term: draws a film's frame towards an earlier painted frame, carried along the optical flow."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

from nstyle.losses.parts import PIXELS, Part
from nstyle.losses.terms import Statistic
from nstyle.numerics import sum_of_squares


@dataclass(frozen=True)
class TemporalTerm:
    """weight / D * sum(c (x - target)^2), where D is the number of the image's values.

    It is the temporal loss of Ruder, Dosovitskiy and Brox (GCPR 2016), section 4.2; several of them, with the weights
    of section 4.3, are the long-term loss. Its gradient is clipped together with those of content and style, because
    it is a part of that sum in the paper. A relative objective multiplies it like those.

    At a scale of another size, target and c are resized to the image.

    Attributes:
        target: the earlier painting, warped to this frame; 1 x 3 x H x W, model space.
        c: how much each pixel can rely on it, 1 x 1 x H x W, 0..1.
        weight: factor on the loss.

    """

    target: Tensor
    c: Tensor
    weight: float
    layers: ClassVar[tuple[str, ...]] = ()
    is_local: ClassVar[bool] = True
    is_clipped: ClassVar[bool] = True

    def statistic(self, part: Part) -> Statistic:
        """Return the sum over the owned pixels, divided by the number of all values."""
        size = part.size(PIXELS)
        target, c = part.remembered((id(self), PIXELS), lambda: (_resized(self.target, size), _resized(self.c, size)))
        difference = part.owned(PIXELS) - part.cut(PIXELS, target)
        values = target.shape[1] * size[0] * size[1]
        return Statistic(sum_of_squares(part.cut(PIXELS, c).sqrt() * difference) / values)

    def loss(self, statistic: Statistic) -> Tensor:
        """Return the weighted loss."""
        return self.weight * statistic.sums


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Return an image of this height and width: itself if it has them; shrinking averages."""
    if image.shape[-2:] == size:
        return image
    return F.interpolate(image, size=size, mode="bilinear", align_corners=False, antialias=True)

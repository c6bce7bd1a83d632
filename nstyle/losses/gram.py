"""Likeness of Gram matrices."""

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from nstyle.losses.functional import gram_matrix, gram_scale
from nstyle.losses.parts import Part
from nstyle.losses.terms import AtLayer, Statistic, guidance_of_part, guidance_of_style, share_of
from nstyle.numerics import sum_of_squares


@dataclass(frozen=True)
class GramTerm(AtLayer):
    """weight / (C^2 M) * sum((G - A)^2), A being the style's Gram matrix (Gatys et al., CVPR 2016, eq. 4).

    M counts the positions of the *image's* map. There is no 1/4, and M is not squared: the reference's choice.

    Attributes:
        layer: whose maps are compared.
        target: A, C x C.
        weight: of the term.
        positions: how many of them A was summed over; where the image has another number M, A is scaled to that.
            None: as many as the image has.
        is_relative: divide by sum(A^2), the loss of an image without features, in place of C^2 M.
        region: 1 x 1 x H x W, 0..1, of the image's size: G is guided by it (`functional.guidance_at`), and the loss
            is multiplied by its share of the image. So each pixel in it is pulled towards the style, against the
            content, as strongly as were the region a picture of its own. None: everywhere.

    """

    target: Tensor
    weight: float
    positions: int | None = None
    is_relative: bool = False
    region: Tensor | None = None
    is_local: ClassVar[bool] = False

    @classmethod
    def towards(
        cls, layer: str, style_map: Tensor, weight: float, mask: Tensor | None = None, region: Tensor | None = None
    ) -> "GramTerm":
        """Make the term for a style by its feature map.

        Args:
            layer: whose map it is.
            style_map: 1 x C x h' x w'.
            weight: of the term.
            mask: 1 x 1 x H' x W', 0..1, of the style picture's size: which part of it counts; None: all.
            region: see the class.

        """
        guidance, weight = guidance_of_style(style_map, mask, weight)
        return cls(layer, gram_matrix(style_map, guidance), weight, style_map.shape[-2:].numel(), region=region)

    @property
    def bytes_held(self) -> int:
        """How much memory the target takes."""
        return self.target.nbytes

    def placed(self, weight: float, region: Tensor | None) -> "GramTerm":
        """Return the term with its weight multiplied by this, for a region of the image."""
        return replace(self, weight=self.weight * weight, region=region)

    def relative(self) -> "GramTerm":
        """Return the term with its loss as a share of that of an image without features."""
        return replace(self, is_relative=True)

    def statistic(self, part: Part) -> Statistic:
        """Return the part's Gram matrix, guided by the region, and the number of positions."""
        feature_map = part.owned(self.layer)
        guidance, share = guidance_of_part(part, self.layer, self.region)
        return Statistic(gram_matrix(feature_map, guidance), feature_map.shape[-2:].numel(), share)

    def loss(self, statistic: Statistic) -> Tensor:
        """Return the weighted loss."""
        target = self.target
        if self.positions is not None and self.positions != statistic.positions:
            target = target * (statistic.positions / self.positions)
        distance = sum_of_squares(statistic.sums - target)
        weight: Tensor | float = self.weight
        if self.is_relative:
            distance = share_of(distance, sum_of_squares(target))
        else:
            weight = weight / gram_scale(len(target), statistic.positions)
        if statistic.share is not None:
            weight = weight * statistic.share
        return weight * distance

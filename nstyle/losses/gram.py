"""Style loss on Gram matrices."""

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from nstyle.losses.functional import gram_gradient, gram_matrix, gram_scale
from nstyle.losses.parts import Part
from nstyle.losses.terms import AtLayer, Statistic, guidance_of_part, guidance_of_style, share_of
from nstyle.numerics import sum_of_squares


@dataclass(frozen=True)
class GramTerm(AtLayer):
    """weight / (C^2 M) * sum((G - A)^2), where A is the style's Gram matrix (Gatys et al., CVPR 2016, eq. 4).

    M is the number of positions of the *image's* map. As in the reference, there is no 1/4 and M is not squared.

    Attributes:
        layer: the layer whose maps are compared.
        target: A, C x C.
        weight: factor on the loss.
        positions: the number of positions that A was summed over; None means as many as the image has. If the image
            has another number, A is scaled to it.
        is_relative: whether to divide by sum(A^2), the loss of an image without features, instead of C^2 M.
        region: 1 x 1 x H x W, 0..1, of the image's size; None means everywhere. It guides G
            (`functional.guidance_at`), and its share of the image multiplies the loss. So style and content are
            balanced at its pixels as if the region were a picture of its own.

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
        """Make the term from a style's feature map.

        Args:
            layer: the layer of the map.
            style_map: 1 x C x h' x w'.
            weight: factor on the loss.
            mask: 1 x 1 x H' x W', 0..1, of the style picture's size: which part of it counts; None means all.
            region: see the class.

        """
        height, width = style_map.shape[-2:]
        guidance, weight = guidance_of_style((height, width), mask, weight)
        return cls.reaching(layer, cls.sums(style_map, guidance), height * width, weight, region)

    @staticmethod
    def sums(feature_map: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Return the Gram matrix; see `functional.gram_matrix`."""
        return gram_matrix(feature_map, guidance)

    @classmethod
    def reaching(
        cls, layer: str, sums: Tensor, positions: int, weight: float, region: Tensor | None = None
    ) -> "GramTerm":
        """Make the term from the style's Gram matrix and the number of positions that it was summed over."""
        return cls(layer, sums, weight, positions, region=region)

    @property
    def bytes_held(self) -> int:
        """Memory of the target, in bytes."""
        return self.target.nbytes

    def placed(self, weight: float, region: Tensor | None) -> "GramTerm":
        """Return a copy with its weight multiplied by `weight` and limited to a region of the image."""
        return replace(self, weight=self.weight * weight, region=region)

    def relative(self) -> "GramTerm":
        """Return a copy whose loss is relative to that of an image without features."""
        return replace(self, is_relative=True)

    def statistic(self, part: Part) -> Statistic:
        """Return the part's Gram matrix, guided by the region, and the number of positions."""
        feature_map = part.owned(self.layer)
        guidance, share = guidance_of_part(part, self.layer, self.region)
        return Statistic(self.sums(feature_map, guidance), feature_map.shape[-2:].numel(), share)

    def gradient_of(self, part: Part, gradient: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return the part's map with its gradient; see `terms.DirectTerm`."""
        if self.region is not None:
            own, (guidance, _) = part.owned(self.layer), guidance_of_part(part, self.layer, self.region)
            return [(own, gram_gradient(own.detach(), guidance, gradient))]
        # All of the map is a matrix already. What the part owns would have to be copied.
        feature_map = part.maps[self.layer]
        found = gram_gradient(feature_map.detach(), None, gradient)
        part.clear_halo(self.layer, found)
        return [(feature_map, found)]

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

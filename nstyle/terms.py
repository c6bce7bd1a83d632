"""The terms of the objective: each a scalar of an image's feature maps, with the target that it was made for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from nstyle.functional import at_least_float32, gram_matrix, gram_scale, sum_of_squares


class Term(Protocol):
    """Something that an image is to come near to, at one layer.

    Attributes:
        layer: whose feature map it looks at.

    """

    @property
    def layer(self) -> str:
        """Name the layer."""

    def loss(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted loss, a differentiable scalar in at least float32, for an image with these maps."""


@dataclass(frozen=True)
class ContentTerm:
    """weight * sum((F - P)^2), P being the content's feature map (Gatys et al., CVPR 2016, eq. 1, without 1/2)."""

    layer: str
    target: Tensor
    weight: float

    def loss(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted loss."""
        return self.weight * sum_of_squares(at_least_float32(maps[self.layer]) - self.target)


@dataclass(frozen=True)
class GramTerm:
    """weight / (C^2 M) * sum((G - A)^2), A being the style's Gram matrix (Gatys et al., CVPR 2016, eq. 4).

    M counts the positions of the *image's* map. There is no 1/4, and M is not squared: the reference's choice.
    """

    layer: str
    target: Tensor
    weight: float

    def loss(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted loss."""
        feature_map = maps[self.layer]
        return self.weight / gram_scale(feature_map) * sum_of_squares(gram_matrix(feature_map) - self.target)

"""The terms of the objective: each a scalar of an image's feature maps, with the target that it was made for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from nstyle.losses.gram import GramTerm
from nstyle.losses.mrf import MrfTerm
from nstyle.numerics import at_least_float32, sum_of_squares


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


class StyleTerm(Term, Protocol):
    """A term whose target is made of a style picture, and may serve in several objectives."""

    @property
    def bytes_held(self) -> int:
        """How much memory the target takes."""

    def placed(self, weight: float, region: Tensor | None) -> Term:
        """Return the term with its weight multiplied by this, for a region (1 x 1 x H x W; None: everywhere)."""


class StyleTermMaker(Protocol):
    """Makes a term for a style by its feature map: see `GramTerm.towards`."""

    def __call__(
        self, layer: str, style_map: Tensor, weight: float, mask: Tensor | None = None, region: Tensor | None = None
    ) -> StyleTerm:
        """Return the term."""


@dataclass(frozen=True)
class ContentTerm:
    """weight * sum((F - P)^2), P being the content's feature map (Gatys et al., CVPR 2016, eq. 1, without 1/2)."""

    layer: str
    target: Tensor
    weight: float

    def loss(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted loss."""
        return self.weight * sum_of_squares(at_least_float32(maps[self.layer]) - self.target)


STYLE_TERMS: dict[str, StyleTermMaker] = {
    "gram": GramTerm.towards,
    "mrf": MrfTerm.towards,
}
"""What makes a term of style by the name of the style loss."""

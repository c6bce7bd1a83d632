"""What a term of the objective is: a loss that adds up over the parts of a picture."""

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from nstyle.losses.functional import guidance_at
from nstyle.losses.parts import Part
from nstyle.numerics import at_least_float32, sum_of_squares


@dataclass(frozen=True)
class Statistic:
    """What a term keeps of a picture, or of a part of one. The sum of the parts' statistics is the whole picture's.

    Attributes:
        sums: summed over the positions that the part owns; differentiable in the part's image and maps.
        positions: how many positions those are; 0 if the term does not count them.
        share: the part of the whole picture that the term's region guides, 0..1; None if it has no region. It is a
            fact about the whole picture, and the same in each part.

    """

    sums: Tensor
    positions: int = 0
    share: Tensor | None = None

    def __add__(self, other: "Statistic") -> "Statistic":
        """Return the statistic of both parts together."""
        return Statistic(self.sums + other.sums, self.positions + other.positions, self.share)


class Term(Protocol):
    """One loss of the objective: a function of a statistic that adds up over the parts of the picture."""

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose feature maps it needs; a term that looks at pixels alone needs none."""

    @property
    def is_local(self) -> bool:
        """Whether the loss is linear in the statistic.

        Then the loss and its gradient at a part of the picture come from that part alone. Otherwise the gradient at
        a part needs the statistic of the whole picture (Gram matrices).
        """

    @property
    def is_clipped(self) -> bool:
        """Whether its gradient is part of what the reference clips. What is not clipped is added afterwards."""

    def statistic(self, part: Part) -> Statistic:
        """Return the statistic of a picture, or of a part of one."""

    def loss(self, statistic: Statistic) -> Tensor:
        """Return the weighted loss of a picture with this statistic: a scalar in at least float32."""


class StyleTerm(Term, Protocol):
    """A term at one layer whose target comes from a style picture; one target may serve several objectives."""

    @property
    def layer(self) -> str:
        """Name the layer."""

    @property
    def bytes_held(self) -> int:
        """How much memory the target takes."""

    def placed(self, weight: float, region: Tensor | None) -> "StyleTerm":
        """Return the term with its weight multiplied by this, for a region (1 x 1 x H x W; None: everywhere)."""

    def relative(self) -> "StyleTerm":
        """Return the term with its loss as a share of that of an image without features, whose maps are all 0."""


class StyleTermMaker(Protocol):
    """Makes a term for a style from its feature map: see `gram.GramTerm.towards`."""

    def __call__(
        self, layer: str, style_map: Tensor, weight: float, mask: Tensor | None = None, region: Tensor | None = None
    ) -> StyleTerm:
        """Return the term."""


def share_of(loss: Tensor, nothing: Tensor) -> Tensor:
    """Return a loss as a share of that of an image without features; 0 if that is 0: the target has no features."""
    return torch.where(nothing > 0, loss / nothing.clamp_min(torch.finfo(nothing.dtype).tiny), 0)


def guidance_of_style(style_map: Tensor, mask: Tensor | None, weight: float) -> tuple[Tensor | None, float]:
    """Return how a style's positions count (see `functional.guidance_at`; None: alike), and the term's weight.

    The weight is 0 where so small a part of the style counts that nothing of it is left at this layer.
    """
    if mask is None:
        return None, weight
    guidance, share = guidance_at(mask, *style_map.shape[-2:])
    return guidance, weight if share > 0 else 0.0


def guidance_of_part(part: Part, layer: str, region: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Return how a part's positions count in a region, and the region's share of the whole; None: everywhere."""
    if region is None:
        return None, None
    guidance, share = guidance_at(region, *part.size(layer))
    return part.cut(layer, guidance), share


@dataclass(frozen=True)
class AtLayer:
    """What the terms at one layer have in common: the reference clips them."""

    layer: str
    is_clipped: ClassVar[bool] = True

    @property
    def layers(self) -> tuple[str, ...]:
        """The one layer."""
        return (self.layer,)


@dataclass(frozen=True)
class ContentTerm(AtLayer):
    """weight * sum((F - P)^2), P being the content's feature map (Gatys et al., CVPR 2016, eq. 1, without 1/2)."""

    target: Tensor
    weight: float
    is_local: ClassVar[bool] = True

    def relative(self) -> "ContentTerm":
        """Return the term with its loss as a share of that of an image without features, whose maps are all 0."""
        weight = torch.full_like(nothing := sum_of_squares(self.target), self.weight)
        return replace(self, weight=float(share_of(weight, nothing)))

    def statistic(self, part: Part) -> Statistic:
        """Return the sum of squared differences."""
        own, target = part.owned(self.layer), part.cut(self.layer, self.target)
        return Statistic(sum_of_squares(at_least_float32(own) - target))

    def loss(self, statistic: Statistic) -> Tensor:
        """Return the weighted loss."""
        return self.weight * statistic.sums

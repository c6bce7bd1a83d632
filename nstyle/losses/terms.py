"""Terms of the objective: losses that add up over the parts of a picture."""

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from nstyle.losses.functional import guidance_at
from nstyle.losses.parts import Part
from nstyle.numerics import at_least_float32, sum_of_squares


@dataclass(frozen=True)
class Statistic:
    """What a term needs to know of a picture or a part of one. The parts' statistics add up to the picture's.

    Attributes:
        sums: sums over the positions that the part owns; differentiable with respect to the part's image and maps.
        positions: the number of those positions; 0 if the term does not count them.
        share: the share of the whole picture that the term's region guides, 0..1, the same in each part; None if the
            term has no region.

    """

    sums: Tensor
    positions: int = 0
    share: Tensor | None = None

    def __add__(self, other: "Statistic") -> "Statistic":
        """Return the joint statistic of two parts."""
        return Statistic(self.sums + other.sums, self.positions + other.positions, self.share)


class Term(Protocol):
    """One loss of the objective: a function of a statistic that adds up over the parts of a picture."""

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose feature maps it needs; none for a term on pixels."""

    @property
    def is_local(self) -> bool:
        """Whether the loss is linear in the statistic.

        If so, the loss and its gradient at a part of the picture depend on that part alone. If not (Gram matrices),
        the gradient at a part needs the statistic of the whole picture.
        """

    @property
    def is_clipped(self) -> bool:
        """Whether the reference clips its gradient. Gradients that are not clipped are added after clipping."""

    def statistic(self, part: Part) -> Statistic:
        """Return the statistic of a picture or a part of one."""

    def loss(self, statistic: Statistic) -> Tensor:
        """Return the weighted loss of a picture with this statistic: a scalar in at least float32."""


@runtime_checkable
class DirectTerm(Protocol):
    """A term that has the gradient at a part without computing the part's sums again."""

    def gradient_of(self, part: Part, gradient: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return maps of a part, or views of them, each with the gradient of a loss with respect to it.

        Args:
            part: the part, whose maps have a graph.
            gradient: that of the loss with respect to the sums of the whole picture.

        """


class StyleTerm(Term, Protocol):
    """A term at one layer with a target from a style picture. Several objectives may share one target."""

    @property
    def layer(self) -> str:
        """The layer's name."""

    @property
    def bytes_held(self) -> int:
        """Memory of the target, in bytes."""

    def placed(self, weight: float, region: Tensor | None) -> "StyleTerm":
        """Return a copy with its weight multiplied by `weight`, limited to a region (1 x 1 x H x W, or None)."""

    def relative(self) -> "StyleTerm":
        """Return a copy whose loss is relative to that of an image without features, whose maps are all 0."""


class StyleTermMaker(Protocol):
    """A function that makes a term from a style's feature map; see `gram.GramTerm.towards`."""

    def __call__(
        self, layer: str, style_map: Tensor, weight: float, mask: Tensor | None = None, region: Tensor | None = None
    ) -> StyleTerm:
        """Make the term."""


class SummedStyle(Protocol):
    """A class of terms whose target is made from sums over the positions of the style's feature map.

    With it, a style picture can be read in parts. See `gram.GramTerm`.
    """

    def sums(self, feature_map: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Return the sums over a map or a part of one (1 x C x h x w); a position counts by its guidance squared."""

    def reaching(self, layer: str, sums: Tensor, positions: int, weight: float) -> StyleTerm:
        """Make the term from the sums over all positions of the style's map, and their number."""


def share_of(loss: Tensor, nothing: Tensor) -> Tensor:
    """Return loss / nothing, where `nothing` is the loss of an image without features; 0 if that is 0."""
    return torch.where(nothing > 0, loss / nothing.clamp_min(torch.finfo(nothing.dtype).tiny), 0)


def guidance_of_style(size: tuple[int, int], mask: Tensor | None, weight: float) -> tuple[Tensor | None, float]:
    """Return the guidance of a style's map (see `functional.guidance_at`; None without a mask) and the term's weight.

    The map has this size (height, width).

    The weight becomes 0 if nothing of the masked part is left at this layer because it is too small.
    """
    if mask is None:
        return None, weight
    guidance, share = guidance_at(mask, *size)
    return guidance, weight if share > 0 else 0.0


def guidance_of_part(part: Part, layer: str, region: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Return a part's guidance in a region and the region's share of the picture; both None without a region."""
    if region is None:
        return None, None
    size = part.size(layer)
    guidance, share = part.remembered((id(region), layer), lambda: guidance_at(region, *size))
    return part.cut(layer, guidance), share


@dataclass(frozen=True)
class AtLayer:
    """Base class of the terms at one layer, whose gradients the reference clips."""

    layer: str
    is_clipped: ClassVar[bool] = True

    @property
    def layers(self) -> tuple[str, ...]:
        """The layer, as a tuple of one."""
        return (self.layer,)


@dataclass(frozen=True)
class ContentTerm(AtLayer):
    """weight * sum((F - P)^2), where P is the content's feature map (Gatys et al., CVPR 2016, eq. 1, without 1/2).

    Attributes:
        layer: the layer whose maps are compared.
        target: P, 1 x C x h x w, on any device; half precision is allowed. The sum is at least in float32.
        weight: factor on the loss.
        energy: sum(P^2), a scalar; None: `relative` computes it from P.

    """

    target: Tensor
    weight: float
    energy: Tensor | None = None
    is_local: ClassVar[bool] = True

    def relative(self) -> "ContentTerm":
        """Return a copy whose loss is relative to that of an image without features, whose maps are all 0."""
        nothing = self.energy
        if nothing is None:
            nothing = sum_of_squares(at_least_float32(self.target))
        weight = torch.full_like(nothing, self.weight)
        return replace(self, weight=float(share_of(weight, nothing)))

    def statistic(self, part: Part) -> Statistic:
        """Return the sum of squared differences."""
        own = part.owned(self.layer)
        target = part.cut(self.layer, self.target).to(own.device)
        return Statistic(sum_of_squares(at_least_float32(own) - target))

    def loss(self, statistic: Statistic) -> Tensor:
        """Return the weighted loss."""
        return self.weight * statistic.sums

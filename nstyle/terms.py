"""The terms of the objective: each a scalar of an image's feature maps, with the target that it was made for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from nstyle.errors import ImageError
from nstyle.functional import at_least_float32, gram_matrix, gram_scale, guidance_at, region_at, sum_of_squares
from nstyle.patches import EDGE, nearest_patches, patch_distance, rows_of

MRF_SCALE = 0.5
"""Chosen by eye: with it, style weight 1 and content weight 10 are in balance, as they are with Gram matrices."""


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


@dataclass(frozen=True)
class GramTerm:
    """weight / (C^2 M) * sum((G - A)^2), A being the style's Gram matrix (Gatys et al., CVPR 2016, eq. 4).

    M counts the positions of the *image's* map. There is no 1/4, and M is not squared: the reference's choice.

    Attributes:
        layer: whose maps are compared.
        target: A, C x C.
        weight: of the term.
        positions: how many of them A was summed over; where the image has another number M, A is scaled to that.
            None: as many as the image has.
        region: 1 x 1 x H x W, 0..1, of the image's size: G is guided by it (`functional.guidance_at`), and the loss
            is multiplied by its share of the image. So each pixel in it is pulled towards the style, against the
            content, as strongly as were the region a picture of its own. None: everywhere.

    """

    layer: str
    target: Tensor
    weight: float
    positions: int | None = None
    region: Tensor | None = None

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
        height, width = style_map.shape[-2:]
        guidance = None
        if mask is not None:
            guidance, share = guidance_at(mask, height, width)
            weight = weight if share > 0 else 0.0  # so small a part that nothing of it is left at this layer
        return cls(layer, gram_matrix(style_map, guidance), weight, height * width, region)

    @property
    def bytes_held(self) -> int:
        """How much memory the target takes."""
        return self.target.nbytes

    def placed(self, weight: float, region: Tensor | None) -> "GramTerm":
        """Return the term with its weight multiplied by this, for a region of the image."""
        return replace(self, weight=self.weight * weight, region=region)

    def loss(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted loss."""
        feature_map, target, guidance = maps[self.layer], self.target, None
        height, width = feature_map.shape[-2:]
        weight: Tensor | float = self.weight / gram_scale(feature_map)
        if self.positions is not None and self.positions != height * width:
            target = target * (height * width / self.positions)
        if self.region is not None:
            guidance, share = guidance_at(self.region, height, width)
            weight = weight * share
        return weight * sum_of_squares(gram_matrix(feature_map, guidance) - target)


@dataclass(frozen=True)
class MrfTerm:
    """weight * MRF_SCALE * sum over 3x3 patches p of ||p - q(p)||^2, q(p) being the style's most like p.

    The Markov random field of Li and Wand (CVPR 2016), eq. 2 and 3. Which patches are alike is found anew for each
    image, and held while its gradient is taken.

    Attributes:
        layer: whose feature map it looks at.
        style: the style's feature map, h' x w' x C, in at least float32.
        weight: of the term.
        allowed: (h' - 2) x (w' - 2), which of the style's patches count; None: all.
        region: 1 x 1 x H x W, 0..1, of the image's size: how much a patch counts is its mean below the middle of
            the patch. None: all do.

    """

    layer: str
    style: Tensor
    weight: float
    allowed: Tensor | None = None
    region: Tensor | None = None

    @classmethod
    def towards(
        cls, layer: str, style_map: Tensor, weight: float, mask: Tensor | None = None, region: Tensor | None = None
    ) -> "MrfTerm":
        """Make the term for a style by its feature map.

        Args:
            layer: whose map it is.
            style_map: 1 x C x h' x w'.
            weight: of the term.
            mask: 1 x 1 x H' x W', 0..1, of the style picture's size: patches count whose middle lies in it, or, where
                it is too thin for that, those that come nearest to it; None: all.
            region: see the class.

        Raises:
            ImageError: the map is smaller than a patch.

        """
        _check_for_patches(layer, style_map)
        allowed = None
        if mask is not None:
            middles = _at_middles(mask, style_map)
            allowed = middles >= middles.max().clamp(max=0.5)
        return cls(layer, rows_of(style_map).contiguous(), weight, allowed, region)

    @property
    def bytes_held(self) -> int:
        """How much memory the target takes."""
        return self.style.nbytes + (0 if self.allowed is None else self.allowed.nbytes)

    def placed(self, weight: float, region: Tensor | None) -> "MrfTerm":
        """Return the term with its weight multiplied by this, for a region of the image."""
        return replace(self, weight=self.weight * weight, region=region)

    def loss(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted loss.

        Raises:
            ImageError: the image's map is smaller than a patch.

        """
        feature_map = maps[self.layer]
        _check_for_patches(self.layer, feature_map)
        with torch.no_grad():
            nearest = nearest_patches(rows_of(feature_map), self.style, self.allowed)
            weights = None if self.region is None else _at_middles(self.region, feature_map)
        return self.weight * MRF_SCALE * patch_distance(feature_map, self.style, nearest, weights)


def _at_middles(mask: Tensor, feature_map: Tensor) -> Tensor:
    """Return what a 1 x 1 x H x W mask of a picture is at the middle of each patch of its map: (h - 2) x (w - 2)."""
    _, _, height, width = feature_map.shape
    return region_at(mask, height, width)[0, 0, 1:-1, 1:-1]


def _check_for_patches(layer: str, feature_map: Tensor) -> None:
    _, _, height, width = feature_map.shape
    if min(height, width) < EDGE:
        raise ImageError(
            f"{layer} has {width}x{height} positions for a picture so small, --style-loss mrf needs {EDGE} on each "
            "edge; raise --max-long-edge or --size, or name lower --style-layers"
        )


STYLE_TERMS: dict[str, StyleTermMaker] = {
    "gram": GramTerm.towards,
    "mrf": MrfTerm.towards,
}
"""What makes a term of style by the name of the style loss."""

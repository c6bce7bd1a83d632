"""Likeness of patches: a Markov random field."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from nstyle.errors import ImageError, Kind
from nstyle.losses.functional import region_at
from nstyle.losses.parts import Part
from nstyle.losses.patches import EDGE, nearest_patches, patch_distance, rows_of, squared_norms
from nstyle.losses.terms import AtLayer, Statistic, share_of
from nstyle.numerics import at_least_float32, inner_product, sum_of_squares

MRF_SCALE = 0.5
"""Chosen by eye: with it, style weight 1 and content weight 10 are in balance, as they are with Gram matrices."""


@dataclass(frozen=True)
class MrfTerm(AtLayer):
    """weight * MRF_SCALE * sum over 3x3 patches p of ||p - q(p)||^2, q(p) being the style's most like p.

    The Markov random field of Li and Wand (CVPR 2016), eq. 2 and 3. Which patches are alike is found anew for each
    image, and held while its gradient is taken.

    Attributes:
        layer: whose feature map it looks at.
        style: the style's feature map, h' x w' x C, in at least float32.
        weight: of the term.
        allowed: (h' - 2) x (w' - 2), which of the style's patches count; None: all.
        unit: the style's mean |q|^2, of its patches that count; the sum is divided by that, times the number of the
            image's patches, in place of 1 / MRF_SCALE. None: it is not relative.
        region: 1 x 1 x H x W, 0..1, of the image's size: how much a patch counts is its mean below the middle of
            the patch. None: all do.

    """

    style: Tensor
    weight: float
    allowed: Tensor | None = None
    unit: Tensor | None = None
    region: Tensor | None = None
    is_local: ClassVar[bool] = True

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
        _check_for_patches(layer, *style_map.shape[-2:])
        allowed = None
        if mask is not None:
            middles = _at_middles(mask, *style_map.shape[-2:])
            allowed = middles >= middles.max().clamp(max=0.5)
        return cls(layer, rows_of(style_map).contiguous(), weight, allowed, region=region)

    @property
    def bytes_held(self) -> int:
        """How much memory the target takes."""
        return self.style.nbytes + (0 if self.allowed is None else self.allowed.nbytes)

    def placed(self, weight: float, region: Tensor | None) -> "MrfTerm":
        """Return the term with its weight multiplied by this, for a region of the image."""
        return replace(self, weight=self.weight * weight, region=region)

    def relative(self) -> "MrfTerm":
        """Return the term with its loss as a share of that of an image without features, the style's mean patch."""
        norms = squared_norms(self.style)
        counting = torch.ones_like(norms) if self.allowed is None else self.allowed.to(norms.dtype)
        return replace(self, unit=inner_product(norms, counting) / sum_of_squares(counting))

    def statistic(self, part: Part) -> Statistic:
        """Return the sum of squared distances between patches and the style's.

        A patch belongs to the part that owns its upper left corner.

        Raises:
            ImageError: the whole picture's map is smaller than a patch.

        """
        height, width = part.size(self.layer)
        _check_for_patches(self.layer, height, width)
        feature_map = part.owned(self.layer, after=EDGE - 1)
        if min(feature_map.shape[-2:]) < EDGE:  # no patch fits into the last rows or columns
            return Statistic(0 * at_least_float32(feature_map).sum())
        with torch.no_grad():
            nearest = nearest_patches(rows_of(feature_map), self.style, self.allowed)
            weights = None
            if self.region is not None:
                weights = part.cut(self.layer, _at_middles(self.region, height, width))
        distance = patch_distance(feature_map, self.style, nearest, weights)
        if self.unit is None:
            return Statistic(MRF_SCALE * distance)
        return Statistic(share_of(distance, (height - EDGE + 1) * (width - EDGE + 1) * self.unit))

    def loss(self, statistic: Statistic) -> Tensor:
        """Return the weighted loss."""
        return self.weight * statistic.sums


def _at_middles(mask: Tensor, height: int, width: int) -> Tensor:
    """Return what a 1 x 1 x H x W mask of a picture is at the middle of each patch of its map: (h - 2) x (w - 2)."""
    return region_at(mask, height, width)[0, 0, 1:-1, 1:-1]


def _check_for_patches(layer: str, height: int, width: int) -> None:
    if min(height, width) < EDGE:
        raise ImageError(
            f"{layer} has {width}x{height} positions for a picture so small, --style-loss mrf needs {EDGE} on each "
            "edge; raise --max-long-edge or --size, or name lower --style-layers",
            flag="--max-long-edge",
            kind=Kind.OUT_OF_RANGE,
        )

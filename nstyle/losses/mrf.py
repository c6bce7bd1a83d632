"""Style loss on patches: a Markov random field."""

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
"""Factor chosen by eye so that style weight 1 balances content weight 10, as it does with Gram matrices."""


@dataclass(frozen=True)
class MrfTerm(AtLayer):
    """weight * MRF_SCALE * sum of ||p - q(p)||^2 over 3x3 patches p, where q(p) is the style's patch most like p.

    This is the Markov random field of Li and Wand (CVPR 2016), eq. 2 and 3. q(p) is found anew for each image and
    held fixed in the gradient.

    Attributes:
        layer: the layer whose maps are compared.
        style: the style's feature map, h' x w' x C, in at least float32.
        weight: factor on the loss.
        allowed: (h' - 2) x (w' - 2), which of the style's patches count; None means all.
        unit: the mean |q|^2 of the style's patches that count. The sum is then divided by `unit` times the number of
            the image's patches, instead of multiplied by MRF_SCALE. None means not relative.
        region: 1 x 1 x H x W, 0..1, of the image's size: each patch counts by the region's mean below the patch's
            middle position. None means that all patches count alike.

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
        """Make the term from a style's feature map.

        Args:
            layer: the layer of the map.
            style_map: 1 x C x h' x w'.
            weight: factor on the loss.
            mask: 1 x 1 x H' x W', 0..1, of the style picture's size. Patches count if the mask is at least 0.5 at
                their middle; if it is too thin for that, those with its largest value count. None means all.
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
        """Memory of the target, in bytes."""
        return self.style.nbytes + (0 if self.allowed is None else self.allowed.nbytes)

    def placed(self, weight: float, region: Tensor | None) -> "MrfTerm":
        """Return a copy with its weight multiplied by `weight` and limited to a region of the image."""
        return replace(self, weight=self.weight * weight, region=region)

    def relative(self) -> "MrfTerm":
        """Return a copy whose loss is relative to that of an image without features: mean |q|^2 for each patch."""
        norms = squared_norms(self.style)
        counting = torch.ones_like(norms) if self.allowed is None else self.allowed.to(norms.dtype)
        return replace(self, unit=inner_product(norms, counting) / sum_of_squares(counting))

    def statistic(self, part: Part) -> Statistic:
        """Return the sum of squared distances between the part's patches and the style's nearest ones.

        A patch belongs to the part that owns its upper left corner.

        Raises:
            ImageError: the whole picture's map is smaller than a patch.

        """
        height, width = part.size(self.layer)
        _check_for_patches(self.layer, height, width)
        feature_map = part.owned(self.layer, after=EDGE - 1)
        if min(feature_map.shape[-2:]) < EDGE:  # the part owns only last rows or columns: no patch begins there
            return Statistic(0 * at_least_float32(feature_map).sum())
        with torch.no_grad():
            window = part.windows.get(self.layer)
            place = None if window is None else (window.rows.start, window.columns.start)
            nearest = part.remembered(
                (id(self), place), lambda: nearest_patches(rows_of(feature_map), self.style, self.allowed)
            )
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
    """Return a mask's (1 x 1 x H x W) value at the middle of each patch of a map: (height - 2) x (width - 2)."""
    return region_at(mask, height, width)[0, 0, 1:-1, 1:-1]


def _check_for_patches(layer: str, height: int, width: int) -> None:
    if min(height, width) < EDGE:
        raise ImageError(
            f"the picture is too small: --style-loss mrf needs {EDGE}x{EDGE} positions at {layer}, which has "
            f"{width}x{height}; raise --max-long-edge or --size, or choose lower --style-layers",
            flag="--max-long-edge",
            kind=Kind.OUT_OF_RANGE,
        )

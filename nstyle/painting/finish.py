"""Turn an image of the descent into the picture that is shown: its size, smoothing, colors and the mask."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nstyle.networks.model_space import from_model_space
from nstyle.pictures.color_transfer import grey, luminance, recolor_painting
from nstyle.pictures.masks import Mask, composite
from nstyle.pictures.picture import Alpha, Picture, denoise, shrink
from nstyle.pictures.strips import in_strips
from nstyle.settings.config import Config

FINISHING_BYTES = {"none": 26, "luma": 38}
"""Bytes for each pixel of a picture while it is finished and written, by `preserve_colors`: the picture itself, and
what encoders make of it."""

COLORS_BYTES = 104
"""The same if all colors are matched, in float64; also for a start in the style's colors."""

SHRINKING_BYTES = 36
"""The same of an image while it is shrunk: its colors, the shrunk ones, and a channel of both in Pillow."""

DENOISE_BYTES = 60
"""The same of a snapshot, whose noise is removed."""


def bytes_of_finishing(config: Config, epochs: int) -> int:
    """Return the bytes for each pixel while pictures are finished or the start is made, at most.

    `epochs` is the number in all scales: a snapshot is due after each `save_epochs` of them.
    """
    most = FINISHING_BYTES.get(config.preserve_colors, COLORS_BYTES)
    if config.enlargement > 1:
        most = max(most, SHRINKING_BYTES)
    if config.init == "recolored":
        most = max(most, COLORS_BYTES)
    if config.remove_noise > 0 and epochs >= config.save_epochs:
        most = max(most, DENOISE_BYTES)
    return most


def where_visible(size: tuple[int, int], *levels: Mask | Alpha | None) -> NDArray[np.bool_]:
    """Return which pixels, H x W, are above 0 in all of the given masks and alphas; if none are, all pixels."""
    where = np.ones(size, dtype=bool)
    for each in levels:
        where &= True if each is None else each > 0
    return where if where.any() else ~where


@dataclass(frozen=True)
class Finish:
    """Converter from an image in model space (1 x 3 x H x W) to a picture for display.

    Attributes:
        content: the content picture in the size of the picture for display, which gets its alpha. A larger image is
            shrunk to that.
        preserve_colors: how the content's colors are kept; see `color_transfer`.
        mask: the part that is painted; the other pixels are copied from the content. None: everything is painted.
        grey: whether the picture is grey: R, G and B are equal to the bit.
        seamless: whether the picture tiles.

    """

    content: Picture
    preserve_colors: str = "none"
    mask: Mask | None = None
    grey: bool = False
    seamless: bool = False

    @property
    def where(self) -> NDArray[np.bool_]:
        """Which pixels are both painted and visible, H x W; if there are none, all pixels."""
        return where_visible(self.content.size, self.mask, self.content.alpha)

    def __call__(self, image: Tensor, remove_noise: float) -> Picture:
        """Return the picture. Once it has its size, it is smoothed with the weight `remove_noise` (see `denoise`)."""
        rgb = shrink(from_model_space(image), *self.content.size, wrap=self.seamless)
        rgb = denoise(rgb, remove_noise, seamless=self.seamless)
        rgb = recolor_painting(self.preserve_colors, rgb, self.content.rgb, self.where, self.content.alpha)
        if self.mask is not None:
            in_strips(composite, rgb, self.content.rgb, self.mask, out=rgb)
        if self.grey:
            in_strips(lambda part: grey(luminance(part)), rgb, out=rgb)
        return Picture(rgb, self.content.alpha)

"""From an image of the descent to the picture that is shown: smoothing, colours, and what the mask keeps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nstyle.networks.model_space import from_model_space
from nstyle.pictures.color_transfer import grey, luminance, recolor_painting
from nstyle.pictures.masks import Mask, composite
from nstyle.pictures.picture import Picture, denoise


@dataclass(frozen=True)
class Finish:
    """Makes the picture of an image in model space (1 x 3 x H x W).

    Attributes:
        content: the content picture in the painting's size; the painting is transparent where that is.
        preserve_colors: how its colours are kept, see `color_transfer`.
        mask: what is painted; elsewhere the picture's pixels are the content's. None: everything.
        grey: whether the picture is grey: R, G and B are the same to the bit.
        seamless: whether it tiles.

    """

    content: Picture
    preserve_colors: str = "none"
    mask: Mask | None = None
    grey: bool = False
    seamless: bool = False

    @property
    def where(self) -> NDArray[np.bool_]:
        """Tell of each pixel, H x W, whether it is painted and seen."""
        where = np.ones(self.content.size, dtype=bool)
        for levels in (self.mask, self.content.alpha):
            where &= True if levels is None else levels > 0
        return where if where.any() else ~where  # nothing is seen: then all is as good

    def __call__(self, image: Tensor, remove_noise: float) -> Picture:
        """Make the picture, smoothed by this weight (see `denoise`) before anything else is done with it."""
        rgb = denoise(from_model_space(image), remove_noise, seamless=self.seamless)
        rgb = recolor_painting(self.preserve_colors, rgb, self.content.rgb, self.where)
        if self.mask is not None:
            rgb = composite(rgb, self.content.rgb, self.mask)
        if self.grey:
            rgb = grey(luminance(rgb))
        return Picture(rgb, self.content.alpha)

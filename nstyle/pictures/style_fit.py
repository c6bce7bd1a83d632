"""The size to which a style picture is brought before it is used, and the part of it that is used."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nstyle.pictures.picture import Picture, resize, resize_picture


@dataclass(frozen=True)
class Frame:
    """A size to which a picture is resized, and the size of the window in its middle that is kept.

    Both are (height, width).
    """

    resized: tuple[int, int]
    window: tuple[int, int]

    def picture(self, picture: Picture) -> Picture:
        """Resize a picture and crop it to the window."""
        resized = resize_picture(picture, *self.resized)
        return Picture(self._crop(resized.rgb), None if resized.alpha is None else self._crop(resized.alpha))

    def levels(self, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Resize and crop an H x W array that belongs to a picture, such as a mask, as `picture` does the picture."""
        return self._crop(resize(levels, *self.resized))

    def _crop(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        top, left = ((size - part) // 2 for size, part in zip(self.resized, self.window, strict=True))
        return array[top : top + self.window[0], left : left + self.window[1]]


def frame_style(style: tuple[int, int], content: tuple[int, int], fit: str, scale: float) -> Frame:
    """Return the frame of a style picture. It fits a box, which is the size of the painting times `scale`.

    Args:
        style: height and width of the style picture.
        content: height and width of the painting.
        fit: "stretch" resizes the picture to the box and ignores its aspect ratio, as the reference does; "cover"
            keeps the aspect ratio, fills the box, and crops what is outside; "contain" keeps the aspect ratio and
            fits the picture into the box without padding, which a Gram matrix does not need; "area" keeps it and
            makes the picture as many pixels as the box.
        scale: size of the box relative to the painting; strokes grow with it.

    """
    height, width = (max(1, round(edge * scale)) for edge in content)
    if fit == "stretch":
        return Frame((height, width), (height, width))
    factors = height / style[0], width / style[1]
    if fit == "area":
        factor = math.sqrt(factors[0] * factors[1])
        whole = max(1, round(style[0] * factor)), max(1, round(style[1] * factor))
        return Frame(whole, whole)
    factor = max(factors) if fit == "cover" else min(factors)
    resized = max(1, round(style[0] * factor)), max(1, round(style[1] * factor))
    return Frame(resized, (min(resized[0], height), min(resized[1], width)))

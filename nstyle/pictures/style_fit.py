"""How a style picture is resized and cropped to fit the painting."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nstyle.pictures.picture import Picture, resize, resize_picture


@dataclass(frozen=True)
class Frame:
    """How a picture is framed: resized, then cropped to a window in its middle.

    Attributes:
        resized: size after resizing, (height, width).
        window: size after cropping, (height, width).

    """

    resized: tuple[int, int]
    window: tuple[int, int]

    def picture(self, picture: Picture) -> Picture:
        """Resize a picture and crop it to the window."""
        resized = resize_picture(picture, *self.resized)
        return Picture(self._crop(resized.rgb), None if resized.alpha is None else self._crop(resized.alpha))

    def levels(self, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Resize and crop an H x W array, such as a mask, in the same way as `picture`."""
        return self._crop(resize(levels, *self.resized))

    def _crop(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        top, left = ((size - part) // 2 for size, part in zip(self.resized, self.window, strict=True))
        return array[top : top + self.window[0], left : left + self.window[1]]


def frame_style(style: tuple[int, int], content: tuple[int, int], fit: str, scale: float) -> Frame:
    """Return the frame that fits a style picture to a box: the size of the painting times `scale`.

    Args:
        style: height and width of the style picture, in pixels.
        content: height and width of the painting, in pixels.
        fit: "stretch" resizes the picture to the box and ignores its aspect ratio, as the reference does. The others
            keep the aspect ratio: "cover" fills the box and crops what is outside; "contain" fits the picture into
            the box, without padding, which a Gram matrix does not need; "area" gives the picture the box's area.
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

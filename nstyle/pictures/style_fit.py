"""How large a style picture is when it is painted with, and which part of it is seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nstyle.pictures.picture import Picture, resize, resize_picture


@dataclass(frozen=True)
class Frame:
    """A size that a picture is brought to, and a window in the middle of it; (height, width) both."""

    resized: tuple[int, int]
    window: tuple[int, int]

    def picture(self, picture: Picture) -> Picture:
        """Resize a picture, and crop it to the window."""
        resized = resize_picture(picture, *self.resized)
        return Picture(self._crop(resized.rgb), None if resized.alpha is None else self._crop(resized.alpha))

    def levels(self, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Resize the levels of a picture's pixels (H x W), and crop them to the window, as the picture itself."""
        return self._crop(resize(levels, *self.resized))

    def _crop(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        top, left = ((size - part) // 2 for size, part in zip(self.resized, self.window, strict=True))
        return array[top : top + self.window[0], left : left + self.window[1]]


def frame_style(style: tuple[int, int], content: tuple[int, int], fit: str, scale: float) -> Frame:
    """Return what brings a style picture to its size.

    Args:
        style: height and width of the style picture.
        content: height and width of the painting.
        fit: "stretch": to the box, whatever its shape (the reference's); "cover": in its own shape, until it fills
            the box, of which the middle is kept; "contain": in its own shape, as large as the box can hold, without
            any padding: a Gram matrix has no need of it.
        scale: of the box, beside the painting's size: strokes grow with the picture.

    """
    height, width = (max(1, round(edge * scale)) for edge in content)
    if fit == "stretch":
        return Frame((height, width), (height, width))
    factors = height / style[0], width / style[1]
    factor = max(factors) if fit == "cover" else min(factors)
    resized = max(1, round(style[0] * factor)), max(1, round(style[1] * factor))
    return Frame(resized, (min(resized[0], height), min(resized[1], width)))

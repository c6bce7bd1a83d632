"""The part of the style picture that is used: a rectangle, as text such as "40,0,200,200" or "25%,25%,50%,50%"."""

import re
from dataclasses import dataclass

from nstyle.errors import Kind, OptionError

_NUMBER = r"([0-9]{1,5})"
_PERCENT = r"([0-9]{1,3}(?:[.][0-9]{1,6})?)%"


@dataclass(frozen=True)
class Crop:
    """A rectangle in a picture.

    Attributes:
        left: distance from the picture's left edge, in pixels, or in percent of the picture's width.
        top: distance from the picture's top edge, in pixels, or in percent of the picture's height.
        width: in pixels, or in percent of the picture's width.
        height: in pixels, or in percent of the picture's height.
        in_percent: whether these are percent.

    """

    left: float
    top: float
    width: float
    height: float
    in_percent: bool

    def box(self, width: int, height: int, reduced: int = 1) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom in pixels, rounded; they may lie beyond the picture.

        Args:
            width: of the picture, in pixels.
            height: of the picture, in pixels.
            reduced: by how much both edges of the picture are shorter than in its file, for a crop in pixels.

        """
        x, y = (width / 100, height / 100) if self.in_percent else (1 / reduced, 1 / reduced)
        right, bottom = self.left + self.width, self.top + self.height
        return round(self.left * x), round(self.top * y), round(right * x), round(bottom * y)


def parse_crop(text: str) -> Crop:
    """Parse a crop such as "40,0,200,200" (pixels) or "25%,25%,50%,50%" (of the picture's edges).

    Raises:
        OptionError: the text has another form.

    """
    for form, in_percent in ((_NUMBER, False), (_PERCENT, True)):
        if match := re.fullmatch(",".join([form] * 4), text):
            left, top, width, height = map(float, match.groups())
            return Crop(left, top, width, height, in_percent)
    raise OptionError(
        "--style-crop must be X,Y,W,H, four whole numbers of pixels or four percentages, such as 40,0,200,200 or "
        f"25%,25%,50%,50%; not {text!r}",
        flag="--style-crop",
        kind=Kind.OUT_OF_RANGE,
    )

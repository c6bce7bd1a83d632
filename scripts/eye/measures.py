"""Measures of a painting's pixels: borders, new colors, clipped values.

Pictures are H x W x 3 arrays of uint8, sRGB.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from skimage.color import rgb2lab

Bytes = NDArray[np.uint8]
"""A picture: H x W x 3, sRGB, 0 to 255."""

Floats = NDArray[np.float64]

BORDER = 8
"""Width of the border in pixels: half the stride of relu5_1, where effects of padding are visible."""

_REC601 = (0.299, 0.587, 0.114)
_BIN = 4.0  # CIELAB units; edge of a histogram cell, about twice the smallest visible difference
_RARE = 2e-4  # minimum share of pixels for a color to count as present
_NEAR = 12.0  # CIELAB units; distance up to which two shades count as one color


def grey_levels(picture: Bytes) -> Floats:
    """Return the luma of a picture (ITU-R BT.601), H x W, 0 to 255."""
    grey: Floats = picture.astype(np.float64) @ np.array(_REC601)
    return grey


class Borders(NamedTuple):
    """Standard deviation of grey levels in each border, relative to bands of the same shape in the middle.

    Attributes:
        whole: that of all borders together, relative to everything inside of them.

    """

    top: float
    bottom: float
    left: float
    right: float
    whole: float


def borders(picture: Bytes) -> Borders:
    """Compare the contrast of the borders with that of the middle: about 1 if equal, less if the borders are dull.

    Each border is the outer 8 pixels. Its contrast is the standard deviation of its grey levels. The contrast of the
    middle is the median over bands of 8 pixels, parallel to the border, in the middle half; at least one grey level.
    """
    grey = grey_levels(picture)
    inside = np.zeros(grey.shape, dtype=bool)
    inside[BORDER:-BORDER, BORDER:-BORDER] = True
    whole = float(grey[~inside].std()) / max(float(grey[inside].std()), 1.0)
    return Borders(*_ends(grey), *_ends(grey.T), whole)


def _ends(grey: Floats) -> tuple[float, float]:
    """Return the relative standard deviation of the first and the last rows."""
    height = len(grey)
    if height < 4 * BORDER:
        return float("nan"), float("nan")  # there is no middle
    bands = [grey[top : top + BORDER].std() for top in range(height // 4, 3 * height // 4 - BORDER + 1, BORDER)]
    middle = max(float(np.median(bands)), 1.0)
    return float(grey[:BORDER].std()) / middle, float(grey[-BORDER:].std()) / middle


def new_colors(picture: Bytes, content: Bytes, style: Bytes) -> float:
    """Return the share of pixels, 0 to 1, with a color that neither content nor style has. Sizes may differ.

    A picture has a color if at least 0.02% of its pixels are in that cell of its CIELAB histogram. A pixel has a new
    color if it is more than 12 units from every such cell. Lightness counts half, because a different shade of a
    color is less noticeable than a different hue.
    """
    palette = np.concatenate([_cells(content, _RARE)[0], _cells(style, _RARE)[0]])
    cells, shares = _cells(picture)
    distances, _ = cKDTree(palette * _weights()).query(cells * _weights())
    return float(shares[distances > _NEAR].sum())


def _weights() -> Floats:
    return np.array([0.5, 1.0, 1.0])


def _cells(picture: Bytes, least: float = 0.0) -> tuple[Floats, Floats]:
    """Return the centers (N x 3, CIELAB) and shares of the histogram cells with at least this share of the pixels."""
    cells, counts = np.unique(np.rint(rgb2lab(picture).reshape(-1, 3) / _BIN), axis=0, return_counts=True)
    shares = counts / counts.sum()
    kept = shares >= min(least, shares.max())
    return cells[kept] * _BIN, shares[kept]


def clipped(picture: Bytes) -> float:
    """Return the share of values, 0 to 1, that are 0 or 255."""
    return float(np.mean((picture == 0) | (picture == 255)))

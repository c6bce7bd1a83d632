"""What a painting looks like, in numbers, from its pixels alone: borders, colors, clipped values.

Pictures are H x W x 3 arrays of uint8, sRGB.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from skimage.color import rgb2lab

Bytes = NDArray[np.uint8]
"""H x W x 3, sRGB."""

Floats = NDArray[np.float64]

BORDER = 8
"""Pixels of the border: half the stride of relu5_1, which is where padding shows."""

_REC601 = (0.299, 0.587, 0.114)
_BIN = 4.0  # CIELAB units: a cell of the histogram; about twice what an eye tells apart
_RARE = 2e-4  # share of pixels below which a picture hardly has a color
_NEAR = 12.0  # CIELAB units: two shades of one color


def grey_levels(picture: Bytes) -> Floats:
    """Return the luma of a picture (ITU-R BT.601), H x W, 0..255."""
    grey: Floats = picture.astype(np.float64) @ np.array(_REC601)
    return grey


class Borders(NamedTuple):
    """The spread of grey levels in each border, divided by that of bands of the same shape in the middle."""

    top: float
    bottom: float
    left: float
    right: float


def borders(picture: Bytes) -> Borders:
    """Measure whether the borders are as lively as the middle: about 1 if they are, less if they are dull.

    Each border is the outer 8 pixels. Its spread is the standard deviation of its grey levels. The middle's spread is
    the median of those bands of 8 pixels, parallel to the border, that lie in the middle half; at least a grey level.
    """
    grey = grey_levels(picture)
    return Borders(*_ends(grey), *_ends(grey.T))


def _ends(grey: Floats) -> tuple[float, float]:
    """Return the relative spread of the first and the last rows."""
    height = len(grey)
    if height < 4 * BORDER:
        raise ValueError(f"a picture of {height} pixels has no middle: it takes {4 * BORDER}")
    bands = [grey[top : top + BORDER].std() for top in range(height // 4, 3 * height // 4 - BORDER + 1, BORDER)]
    middle = max(float(np.median(bands)), 1.0)
    return float(grey[:BORDER].std()) / middle, float(grey[-BORDER:].std()) / middle


def new_colors(picture: Bytes, content: Bytes, style: Bytes) -> float:
    """Return the share of pixels, 0..1, whose color neither content nor style has. Sizes may differ.

    A picture has a color if 0.02% of its pixels are in that cell of its CIELAB histogram. A pixel is of a new color
    if it is more than 12 units from each such cell. Lightness counts half: a lighter or darker shade of a color is
    less strange than another hue.
    """
    palette = np.concatenate([_cells(content, _RARE)[0], _cells(style, _RARE)[0]])
    cells, shares = _cells(picture)
    distances, _ = cKDTree(palette * _weights()).query(cells * _weights())
    return float(shares[distances > _NEAR].sum())


def _weights() -> Floats:
    return np.array([0.5, 1.0, 1.0])


def _cells(picture: Bytes, least: float = 0.0) -> tuple[Floats, Floats]:
    """Return the centres of the histogram's cells that hold at least this share (N x 3, CIELAB), and their shares."""
    cells, counts = np.unique(np.rint(rgb2lab(picture).reshape(-1, 3) / _BIN), axis=0, return_counts=True)
    shares = counts / counts.sum()
    kept = shares >= min(least, shares.max())
    return cells[kept] * _BIN, shares[kept]


def clipped(picture: Bytes) -> float:
    """Return the share of values, 0..1, that are 0 or 255."""
    return float(np.mean((picture == 0) | (picture == 255)))

"""The strength of regular dots in plain areas: narrow peaks of the spectrum.

Neural style leaves dots of a fixed period, locked to the grid of the network's strides, where the photo is plain.
Strokes have a direction and vary in size: their spectrum is broad, or a ridge. What repeats has narrow peaks.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_gradient_magnitude

from eye.measures import Bytes, Floats, grey_levels

WINDOW = 64
"""Pixels; four of the longest period."""

STEP = 16
PERIODS = (2.0, 16.0)
"""Pixels: the strides of VGG-19's pools."""

_BLUR = 1.5  # pixels: less than this is grain of the photo, not a gradient
_STEEP = 3.0  # grey levels a pixel: a gradient that one sees
_FEW = 0.15  # share of the pixels of a plain window that may be steep
_LEAST = 16  # windows: those of a square of 112 pixels; of fewer, the mean is not steady enough
_FAINT = 1.0  # grey levels: the standard deviation of noise that nobody sees; peaks far below it do not count
_AROUND = ((0, 3), (1, 3), (2, 2), (3, 1), (3, 0), (3, -1), (2, -2), (1, -3))
"""Bins (y, x) from a peak to where it has ended, in half of all directions; a peak through a Hann window has two."""


class Dots(NamedTuple):
    """The strongest regular pattern in the plain areas.

    Attributes:
        strength: amplitude of the highest narrow peak divided by the amplitude around it; 1 to 2 without dots; NaN if
            the photo has too little plain area.
        period: of that peak, in pixels.
        windows: how many were measured.

    """

    strength: float
    period: float
    windows: int


def dots(picture: Bytes, content: Bytes) -> Dots:
    """Measure the regular dots of a painting where the photo, of the same size, is plain."""
    if picture.shape != content.shape:
        raise ValueError(f"the painting is {picture.shape}, the photo {content.shape}: resize one of them")
    corners = plain_windows(content)
    if len(corners) < _LEAST:
        return Dots(float("nan"), float("nan"), len(corners))
    return strongest(mean_spectrum(grey_levels(picture), corners), len(corners))


def plain_windows(content: Bytes) -> list[tuple[int, int]]:
    """Return the top left corners (y, x) of the windows in which a photo is plain: hardly a pixel is steep."""
    steep = gaussian_gradient_magnitude(grey_levels(content), _BLUR, mode="nearest") > _STEEP
    height, width = steep.shape
    return [
        (y, x)
        for y in range(0, height - WINDOW + 1, STEP)
        for x in range(0, width - WINDOW + 1, STEP)
        if steep[y : y + WINDOW, x : x + WINDOW].mean() < _FEW
    ]


def mean_spectrum(grey: Floats, corners: list[tuple[int, int]]) -> Floats:
    """Return the power spectrum of grey levels (H x W) in windows: 64 x 64, frequency 0 in the middle.

    It is the geometric mean over the windows. So a pattern counts that all of them have, and not what a few have
    strongly. White noise of standard deviation s has about the power s^2 in each bin. The power of noise that nobody
    sees is added in each window.
    """
    hann = np.hanning(WINDOW + 1)[:-1]
    taper = np.outer(hann, hann)
    total = np.zeros((WINDOW, WINDOW))
    for y, x in corners:
        part = grey[y : y + WINDOW, x : x + WINDOW]
        power = np.abs(np.fft.fft2((part - part.mean()) * taper)) ** 2 / (taper**2).sum()
        total += np.log(power + _FAINT**2)
    return np.fft.fftshift(np.exp(total / len(corners)))


def strongest(spectrum: Floats, windows: int) -> Dots:
    """Find the highest narrow peak of a spectrum in the band of periods.

    The power around a bin is the greatest of those in eight directions, each the geometric mean of two bins that lie
    opposite to each other, about 3 bins away. On a ridge, as strokes make it, that is the ridge's own power.
    """
    around = np.max([_opposite(spectrum, y, x) for y, x in _AROUND], axis=0)
    ratio = np.where(_band(), spectrum / around, 0.0)
    y, x = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
    return Dots(float(np.sqrt(ratio[y, x])), float(1 / _frequencies()[y, x]), windows)


def _opposite(power: Floats, y: int, x: int) -> Floats:
    ahead, behind = (np.roll(power, (sign * y, sign * x), (0, 1)) for sign in (1, -1))
    mean: Floats = np.sqrt(ahead * behind)
    return mean


def _frequencies() -> Floats:
    """Return the frequency of each bin in cycles a pixel, along the faster axis: dots of period 2 have 0.5."""
    steps = np.abs(np.arange(WINDOW) - WINDOW // 2) / WINDOW
    return np.maximum(steps[:, None], steps)


def _band() -> NDArray[np.bool_]:
    frequencies = _frequencies()
    return (frequencies >= 1 / PERIODS[1]) & (frequencies <= 1 / PERIODS[0])

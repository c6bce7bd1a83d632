"""The strength of regular dots in plain areas: narrow peaks of the spectrum.

Neural style leaves dots of a fixed period, locked to the grid of the network's strides, where the photo is plain.
Strokes have a direction and vary in size: their spectrum is broad, or a ridge. A pattern that repeats has narrow peaks.
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
_PLAIN = 1.5  # grey levels a pixel: the steepest that a plain window may be on average
_FAINT = 1.0  # grey levels: the standard deviation of noise that nobody sees; peaks in less count less
_FAR = 3  # bins from a peak to where it has ended; a Hann window's has two


class Dots(NamedTuple):
    """The strongest regular pattern in the plain areas.

    Attributes:
        strength: power of the highest narrow peak divided by the power around it; 1 to 3 without dots; NaN if the
            photo has no plain area.
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
    if not corners:
        return Dots(float("nan"), float("nan"), 0)
    return strongest(mean_spectrum(grey_levels(picture), corners), len(corners))


def plain_windows(content: Bytes) -> list[tuple[int, int]]:
    """Return the top left corners (y, x) of the windows in which a photo is plain: its gradient is small."""
    slopes = gaussian_gradient_magnitude(grey_levels(content), _BLUR, mode="nearest")
    height, width = slopes.shape
    return [
        (y, x)
        for y in range(0, height - WINDOW + 1, STEP)
        for x in range(0, width - WINDOW + 1, STEP)
        if slopes[y : y + WINDOW, x : x + WINDOW].mean() < _PLAIN
    ]


def mean_spectrum(grey: Floats, corners: list[tuple[int, int]]) -> Floats:
    """Return the power spectrum of grey levels (H x W), averaged over windows: 64 x 64, frequency 0 in the middle.

    White noise of standard deviation s has power s^2 in each bin.
    """
    hann = np.hanning(WINDOW + 1)[:-1]
    taper = np.outer(hann, hann)
    total = np.zeros((WINDOW, WINDOW))
    for y, x in corners:
        part = grey[y : y + WINDOW, x : x + WINDOW]
        total += np.abs(np.fft.fft2((part - part.mean()) * taper)) ** 2
    return np.fft.fftshift(total / (len(corners) * (taper**2).sum()))


def strongest(spectrum: Floats, windows: int) -> Dots:
    """Find the highest narrow peak of a spectrum in the band of periods.

    The power around a bin is the greatest of those in four directions, each the geometric mean of two bins that lie
    opposite to each other, 3 bins away. On a ridge, as strokes make it, that is the ridge's own power.
    """
    floored = spectrum + _FAINT**2
    around = np.max([_opposite(floored, y, x) for y, x in ((0, _FAR), (_FAR, 0), (2, 2), (2, -2))], axis=0)
    ratio = np.where(_band(), floored / around, 0.0)
    y, x = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
    return Dots(float(ratio[y, x]), float(1 / _frequencies()[y, x]), windows)


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

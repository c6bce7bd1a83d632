"""The strength of dots in plain areas: rings and narrow peaks of the power spectrum.

Neural style leaves dots where the photo is plain. They are isolated, often colored, and 2 to 8 pixels apart. Some lie
on a grid, some do not. The power spectrum tells them from the rest:
- Dots with a characteristic distance make a ring: power rises to it in all directions, and falls beyond it.
- Checkerboards and weaves, locked to the grid of the network's strides, make narrow peaks.
- Strokes and edges have little power along themselves. In natural pictures power falls to a fourth with each octave
  (Field, 1987: the amplitude is 1 / f). White noise has the same power everywhere. None of them has a ring.

Styles whose pieces have one size, as a mosaic, have a ring by nature.
"""

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_gradient_magnitude

from eye.measures import Bytes, Floats, grey_levels

WINDOW = 64
"""Pixels; four of the longest period."""

STEP = 16
PERIODS = (2.0, 16.0)
"""Pixels: the strides of VGG-19's pools, in which peaks are looked for."""

RINGS = 4
"""How many rings, half an octave wide, are looked at: periods of 2 to 8 pixels. What is coarser may be strokes.

Below 4 pixels the measure sees less: no finer ring shows that power falls again.
"""

_OPPONENT = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]]) / np.sqrt([[3], [2], [6]])
"""To grey, red-green and yellow-blue (van de Sande et al., 2010), orthonormal: white noise keeps its deviation."""

_BLUR = 1.5  # pixels: less than this is grain of the photo, not a gradient
_STEEP = 3.0  # grey levels a pixel: a gradient that one sees
_FEW = 0.15  # share of the pixels of a plain window that may be steep
_LEAST = 16  # windows: those of a square of 112 pixels; of fewer, the mean is not steady enough
_FAINT = 1.0  # grey levels: the standard deviation of noise that nobody sees; power far below it does not count
_FALL = 4.0  # of power with each octave in natural pictures; a steeper fall beyond a ring does not count
_SECTORS = 6  # directions, each 60 degrees wide, every 30 degrees
_USUAL = 2.0  # amplitude of the highest narrow peak, beside that around it, without dots: 1 to 2
_AROUND = ((0, 3), (1, 3), (2, 2), (3, 1), (3, 0), (3, -1), (2, -2), (1, -3))
"""Bins (y, x) from a peak to where it has ended, in half of all directions; a peak through a Hann window has two."""


class Dots(NamedTuple):
    """The strongest pattern of dots in the plain areas.

    Attributes:
        strength: 1 without dots, whatever the contrast; NaN if the photo has too little plain area.
        period: distance of the dots in pixels, to a fifth.
        windows: how many were measured.

    """

    strength: float
    period: float
    windows: int


class Spectrum(NamedTuple):
    """A channel's mean power in windows: the geometric mean, so that what all of them have counts.

    White noise of standard deviation s has about the power s^2 everywhere. The power of noise that nobody sees is
    added in each window.

    Attributes:
        power: of each frequency, 64 x 64, frequency 0 in the middle.
        rings: of each ring, in the direction with the least, the finest ring first.

    """

    power: Floats
    rings: Floats


def dots(picture: Bytes, content: Bytes) -> Dots:
    """Measure the dots of a painting where the photo, of the same size, is plain.

    The color channel with the most dots counts.
    """
    if picture.shape != content.shape:
        raise ValueError(f"the painting is {picture.shape}, the photo {content.shape}: resize one of them")
    corners = plain_windows(content)
    if len(corners) < _LEAST:
        return Dots(float("nan"), float("nan"), len(corners))
    found = []
    for channel in np.moveaxis(picture @ _OPPONENT.T, -1, 0):
        spectrum = mean_spectrum(channel[y : y + WINDOW, x : x + WINDOW] for y, x in corners)
        found += [strongest_ring(spectrum.rings / _white_rings()), strongest_peak(spectrum.power)]
    strength, period = max(found)
    return Dots(max(strength, 1.0), period, len(corners))


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


def mean_spectrum(windows: Iterable[Floats]) -> Spectrum:
    """Return the mean power of windows (64 x 64 each)."""
    hann = np.hanning(WINDOW + 1)[:-1]
    taper = np.outer(hann, hann)
    logs = []
    for window in windows:
        transform = np.fft.fftshift(np.fft.fft2((window - window.mean()) * taper))
        power = np.abs(transform) ** 2 / (taper**2).sum() + _FAINT**2
        rings = (_sectors() @ power.ravel()).min(axis=1)
        logs.append(np.log(np.append(power, rings)))
    mean = np.exp(np.mean(logs, axis=0))
    return Spectrum(mean[: WINDOW**2].reshape(WINDOW, WINDOW), mean[WINDOW**2 :])


def strongest_ring(rings: Floats) -> tuple[float, float]:
    """Return the strength of the strongest ring, and its period in pixels.

    The strength is (P / P_coarse * min(P / P_fine, 4))^1/2, an octave between each two of the powers. So it is 1 for
    white noise and for natural pictures. For the finest rings there is no finer one: the finest takes its place.

    Args:
        rings: their powers, each divided by what white noise of standard deviation 1 has; the finest first.

    """
    found = []
    for i in range(RINGS):
        rise, fall = rings[i] / rings[i + 2], rings[i] / rings[max(i - 2, 0)]
        found.append((float(np.sqrt(rise * min(fall, _FALL))), float(2 * 2 ** ((i + 0.5) / 2))))
    return max(found)


def strongest_peak(power: Floats) -> tuple[float, float]:
    """Return the strength of the highest narrow peak of a spectrum (64 x 64), and its period in pixels.

    The strength is half of the peak's amplitude divided by the amplitude around it. The power around a bin is the
    greatest of those in eight directions, each the geometric mean of two bins that lie opposite to each other, about
    3 bins away. On a ridge, as strokes make it, that is the ridge's own power.
    """
    around = np.max([_opposite(power, y, x) for y, x in _AROUND], axis=0)
    frequencies = np.max(np.abs(_frequencies()), axis=0)  # along the faster axis: a checkerboard's period is 2
    band = (frequencies >= 1 / PERIODS[1]) & (frequencies <= 1 / PERIODS[0])
    ratio = np.where(band, power / around, 0.0)
    y, x = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
    return float(np.sqrt(ratio[y, x])) / _USUAL, float(1 / frequencies[y, x])


def _opposite(power: Floats, y: int, x: int) -> Floats:
    ahead, behind = (np.roll(power, (sign * y, sign * x), (0, 1)) for sign in (1, -1))
    mean: Floats = np.sqrt(ahead * behind)
    return mean


def _frequencies() -> NDArray[np.float64]:
    """Return the frequency (y, x) of each bin in cycles a pixel, 2 x 64 x 64."""
    return (np.indices((WINDOW, WINDOW)) - WINDOW // 2) / WINDOW


@cache
def _sectors() -> Floats:
    """Return the matrices (rings x sectors x 64^2) that take the mean power of each sector; two rings are coarser."""
    y, x = _frequencies()
    radius, angle = np.hypot(y, x), np.arctan2(y, x)
    parts = []
    for i in range(RINGS + 2):
        outer = 0.5 * 2 ** (-i / 2)
        ring = (radius <= outer + 1e-9) & (radius >= outer / np.sqrt(2) - 1e-9)
        for j in range(_SECTORS):
            away = np.abs((angle - j * np.pi / _SECTORS + np.pi / 2) % np.pi - np.pi / 2)
            sector = (ring & (away <= np.pi / _SECTORS + 1e-9)).ravel()
            parts.append(sector / sector.sum())
    return np.reshape(parts, (RINGS + 2, _SECTORS, WINDOW**2))


@cache
def _white_rings() -> Floats:
    """Return the rings of white noise of standard deviation 1: the least of few bins is less than that of many."""
    noise = np.random.default_rng(0).normal(size=(256, WINDOW, WINDOW)) * 100  # as strong as hides the faint noise
    return mean_spectrum(noise).rings / 100**2

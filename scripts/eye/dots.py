"""The strength of dots in plain areas, measured by rings and narrow peaks of the power spectrum.

Neural style paints dots into plain areas of the photo. They are isolated, often colored, and 2 to 8 pixels apart.
Some lie on a grid, some do not. The power spectrum distinguishes them from everything else:
- Dots with a characteristic distance make a ring: power rises to it in all directions, and falls beyond it.
- Checkerboards and weaves, aligned with the network's strides, make narrow peaks.
- Strokes and edges have little power along their own direction. In natural pictures, power falls by a factor of four
  with each octave (1/f amplitude spectrum; Field, 1987). White noise has equal power at all frequencies. None of
  these has a ring.

A style with pieces of one size, such as a mosaic, also has a ring.
"""

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_gradient_magnitude

from eye.measures import Bytes, Floats, grey_levels

WINDOW = 64
"""Edge of a window in pixels: four times the longest period."""

STEP = 16
PERIODS = (2.0, 16.0)
"""Range of periods in pixels in which to search for peaks: the strides after VGG-19's pooling layers."""

RINGS = 4
"""Number of rings, each half an octave wide: periods of 2 to 8 pixels. Coarser rings may be strokes.

Below 4 pixels the measure is less sensitive, because there is no finer ring that shows the fall of power.
"""

_OPPONENT = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]]) / np.sqrt([[3], [2], [6]])
"""RGB to grey, red-green and yellow-blue (van de Sande et al., 2010). Orthonormal, so noise keeps its deviation."""

_BLUR = 1.5  # pixels; smooths the photo's grain, which is no gradient
_STEEP = 3.0  # grey levels per pixel; a visible gradient
_FEW = 0.15  # maximum share of steep pixels in a plain window
_LEAST = 16  # windows, as many as in a square of 112 pixels; the mean of fewer is too noisy
_FAINT = 1.0  # grey levels; standard deviation of invisible noise, so much weaker power has no effect
_FALL = 4.0  # factor by which power falls with each octave in natural pictures; a steeper fall counts as this
_SECTORS = 6  # directions, every 30 degrees, each 60 degrees wide
_USUAL = 2.0  # ratio of the highest narrow peak's amplitude to that around it: 1 to 2 without dots
_AROUND = ((0, 3), (1, 3), (2, 2), (3, 1), (3, 0), (3, -1), (2, -2), (1, -3))
"""Offsets (y, x) in bins from a peak to past its end, in half of all directions. A peak has 2 bins (Hann window)."""


class Dots(NamedTuple):
    """The strongest pattern of dots in the plain areas.

    Attributes:
        strength: 1 without dots, for any contrast; NaN if the photo has too little plain area.
        period: distance of the dots in pixels, within 20%.
        windows: number of measured windows.

    """

    strength: float
    period: float
    windows: int


class Spectrum(NamedTuple):
    """Mean power spectrum of a channel over windows.

    The geometric mean emphasizes what all windows have in common. White noise of standard deviation s has a power of
    about s^2 at all frequencies. The power of invisible noise is added in each window.

    Attributes:
        power: power at each frequency, 64 x 64, frequency 0 in the middle.
        rings: power of each ring in its weakest direction, finest ring first.

    """

    power: Floats
    rings: Floats


def dots(picture: Bytes, content: Bytes) -> Dots:
    """Measure the dots of a painting in the plain areas of the photo, which has the same size.

    The result is that of the color channel with the strongest dots.
    """
    if picture.shape != content.shape:
        raise ValueError(f"the painting is {picture.shape}, but the photo is {content.shape}: resize one of them")
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
    """Return the top left corners (y, x) of the plain windows of a photo: few of their pixels are steep."""
    steep = gaussian_gradient_magnitude(grey_levels(content), _BLUR, mode="nearest") > _STEEP
    height, width = steep.shape
    return [
        (y, x)
        for y in range(0, height - WINDOW + 1, STEP)
        for x in range(0, width - WINDOW + 1, STEP)
        if steep[y : y + WINDOW, x : x + WINDOW].mean() < _FEW
    ]


def mean_spectrum(windows: Iterable[Floats]) -> Spectrum:
    """Return the mean power spectrum of windows of 64 x 64 pixels."""
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

    The strength is (P / P_coarse * min(P / P_fine, 4))^1/2, with P_coarse one octave below P and P_fine one above. So
    it is 1 for white noise and for natural pictures. If there is no finer ring, P_fine is that of the finest.

    Args:
        rings: power of each ring divided by that of white noise with standard deviation 1, finest first.

    """
    found = []
    for i in range(RINGS):
        rise, fall = rings[i] / rings[i + 2], rings[i] / rings[max(i - 2, 0)]
        found.append((float(np.sqrt(rise * min(fall, _FALL))), float(2 * 2 ** ((i + 0.5) / 2))))
    return max(found)


def strongest_peak(power: Floats) -> tuple[float, float]:
    """Return the strength of the highest narrow peak of a spectrum (64 x 64), and its period in pixels.

    The strength is half the ratio of the peak's amplitude to the amplitude around it. The power around a bin is the
    maximum over eight directions. Each is the geometric mean of two opposite bins, about 3 bins away. On a ridge,
    which strokes make, this is the power of the ridge itself.
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
    """Return the frequency (y, x) of each bin in cycles per pixel, 2 x 64 x 64."""
    return (np.indices((WINDOW, WINDOW)) - WINDOW // 2) / WINDOW


@cache
def _sectors() -> Floats:
    """Return the weights (rings x sectors x 64^2) that average the power in each sector; with two coarser rings."""
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
    """Return the ring powers of white noise with standard deviation 1.

    They differ, because coarse rings have fewer bins, and the weakest direction is then weaker.
    """
    noise = np.random.default_rng(0).normal(size=(256, WINDOW, WINDOW)) * 100  # makes the added noise negligible
    return mean_spectrum(noise).rings / 100**2

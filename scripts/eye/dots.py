"""The strength of regular dots in plain areas of the photo, by the spectrum.

Neural style leaves dots there, evenly spaced by 4 to 9 pixels, more in color than in lightness. Mostly they lie on no
grid, like seeds in a sunflower: the spectrum has a ring. Strokes and photos have none: their power falls steadily
with frequency. Dots on a grid, such as that of the network's strides, have narrow peaks besides.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_gradient_magnitude
from skimage.color import rgb2lab

from eye.measures import Bytes, Floats, grey_levels

WINDOW = 64
"""Pixels; four of the longest period."""

STEP = 16
RING_PERIODS = (3.2, 16.0)
"""Pixels. Below them, photos have rings of their own, made by resizing and JPEG."""

LATTICE_PERIODS = (2.0, 16.0)
"""Pixels: the strides of VGG-19's pools."""

_BLUR = 1.5  # pixels: less than this is grain of the photo, not a gradient
_STEEP = 3.0  # grey levels a pixel: a gradient that one sees
_FEW = 0.15  # share of the pixels of a plain window that may be steep
_LEAST = 16  # windows: those of a square of 112 pixels; of fewer, the mean is not steady enough
# Standard deviation of noise that nobody sees; peaks far below it do not count.
_FAINT_GREY = 1.0  # grey levels
_FAINT_LAB = 0.4  # CIELAB units, the same lightness
_BESIDE = 1.5  # how many times shorter or longer the periods are with which a ring is compared
_AROUND = ((0, 3), (1, 3), (2, 2), (3, 1), (3, 0), (3, -1), (2, -2), (1, -3))
"""Bins (y, x) from a peak to where it has ended, in half of all directions; a peak through a Hann window has two."""


class Dots(NamedTuple):
    """The regular dots of a painting in the plain areas of its photo. NaN if these are too small.

    Attributes:
        strength: height of the spectrum's ring: its amplitude divided by the greater one of those at 1.5 times
            shorter and longer periods, in L, a or b of CIELAB, the strongest in each window, and the geometric mean
            over the windows. Photos and strokes have 0.8 to 1.3.
        period: of the ring, in pixels: how far apart the dots are.
        lattice: height of the highest narrow peak of the grey levels' spectrum, of dots on a grid: its amplitude
            divided by that around it. Without a grid it is 1 to 1.7.
        windows: how many were measured.

    """

    strength: float
    period: float
    lattice: float
    windows: int


def dots(picture: Bytes, content: Bytes) -> Dots:
    """Measure the regular dots of a painting where the photo, of the same size, is plain."""
    if picture.shape != content.shape:
        raise ValueError(f"the painting is {picture.shape}, the photo {content.shape}: resize one of them")
    corners = plain_windows(content)
    if len(corners) < _LEAST:
        return Dots(np.nan, np.nan, np.nan, len(corners))
    lab = rgb2lab(picture)
    strength, period = ring([np.stack(spectra(lab[..., i], corners)) for i in range(3)])
    return Dots(strength, period, lattice(spectra(grey_levels(picture), corners)), len(corners))


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


def spectra(levels: Floats, corners: list[tuple[int, int]]) -> list[Floats]:
    """Return the power spectrum of levels (H x W) in each window: 64 x 64, frequency 0 in the middle.

    White noise of standard deviation s has about the power s^2 in each bin.
    """
    hann = np.hanning(WINDOW + 1)[:-1]
    taper = np.outer(hann, hann) / np.sqrt((np.outer(hann, hann) ** 2).sum())
    parts = (levels[y : y + WINDOW, x : x + WINDOW] for y, x in corners)
    return [np.fft.fftshift(np.abs(np.fft.fft2((part - part.mean()) * taper)) ** 2) for part in parts]


def ring(channels: list[Floats]) -> tuple[float, float]:
    """Return strength and period of the ring in spectra: for each channel, windows x 64 x 64."""
    radii = np.arange(2, int(WINDOW * 0.67))
    distance = np.hypot(*np.mgrid[-WINDOW // 2 : WINDOW // 2, -WINDOW // 2 : WINDOW // 2])
    masks = [np.abs(distance - radius) <= 0.75 for radius in radii]
    inside = radii[(radii >= WINDOW / RING_PERIODS[1]) & (radii <= WINDOW / RING_PERIODS[0])]
    heights = []  # of each channel: logarithms, windows x radii
    for channel in channels:
        power = np.stack([channel[:, mask].mean(axis=1) for mask in masks], axis=1)
        amplitude = np.log(power + _FAINT_LAB**2) / 2
        here, lower, higher = (
            np.array([np.interp(np.log(inside * factor), np.log(radii), one) for one in amplitude])
            for factor in (1, 1 / _BESIDE, _BESIDE)
        )
        heights.append(here - np.maximum(lower, higher))
    strength = float(np.exp(np.max(heights, axis=(0, 2)).mean()))
    common = inside[np.argmax(np.mean(heights, axis=1).max(axis=0))]
    return strength, WINDOW / float(common)


def lattice(windows: list[Floats]) -> float:
    """Return the height of the highest narrow peak of spectra.

    The spectrum is the geometric mean of the windows'. So a pattern counts that all of them have, and not what a few
    have strongly. The power around a bin is the greatest of those in eight directions, each the geometric mean of two
    bins that lie opposite to each other, about 3 bins away. On a ridge, as strokes make it, that is the ridge's own
    power.
    """
    spectrum = np.exp(np.mean([np.log(window + _FAINT_GREY**2) for window in windows], axis=0))
    around = np.max([_opposite(spectrum, y, x) for y, x in _AROUND], axis=0)
    return float(np.sqrt((spectrum / around)[_lattice_band()].max()))


def _opposite(power: Floats, y: int, x: int) -> Floats:
    ahead, behind = (np.roll(power, (sign * y, sign * x), (0, 1)) for sign in (1, -1))
    mean: Floats = np.sqrt(ahead * behind)
    return mean


def _lattice_band() -> NDArray[np.bool_]:
    """Return which bins have the periods of a lattice, along the axis in which they are shorter."""
    steps = np.abs(np.arange(WINDOW) - WINDOW // 2) / WINDOW
    frequencies = np.maximum(steps[:, None], steps)
    band: NDArray[np.bool_] = (frequencies >= 1 / LATTICE_PERIODS[1]) & (frequencies <= 1 / LATTICE_PERIODS[0])
    return band

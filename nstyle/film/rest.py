"""What is at rest in a film. Its painting stays as it is, because even a small change in each frame adds up."""

import numpy as np
from scipy.ndimage import uniform_filter

from nstyle.film.flow import Flow
from nstyle.film.reliability import BoolMask
from nstyle.pictures.picture import Rgb

STILL = 0.1
"""Longest vector of the flow of a pixel at rest, in pixels."""

AREA = 5
"""Edge of the square over which changes are averaged, in pixels, so that noise of the camera is no change."""


def at_rest(backward: Flow, shown: Rgb, now: Rgb, levels: float) -> BoolMask:
    """Tell which pixels neither move nor change.

    Args:
        backward: flow from the frame back to the last one.
        shown: for each pixel, its color when it was last painted. Slow changes add up in the difference to that, and
            not in that to the last frame.
        now: the frame.
        levels: largest change of a color at rest, in grey levels of 255; with 0, nothing is at rest.

    Returns:
        H x W.

    """
    change = np.abs(uniform_filter(255 * (now - shown), (AREA, AREA, 1))).max(axis=-1)
    return np.asarray((change < levels) & (np.square(backward).sum(axis=-1) <= STILL**2))

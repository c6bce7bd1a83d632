"""Which pixels of a frame are known from an earlier one.

The formulas are those of Ruder, Dosovitskiy and Brox, "Artistic Style Transfer for Videos" (GCPR 2016), section 4.2.
They take them from Sundaram, Brox and Keutzer (ECCV 2010). All masks belong to the later frame.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from nstyle.film.flow import Flow, Motion, places_of, warped

BoolMask = NDArray[np.bool_]
"""H x W."""

Weights = NDArray[np.float32]
"""H x W: how much each pixel of the later frame can rely on the earlier one, from 0 (not at all) to 1."""

HALF_A_PIXEL = 0.5
"""How far beyond the centers of the outermost pixels the frame ends."""


def disoccluded(motion: Motion) -> BoolMask:
    """Tell which pixels of the later frame something hid in the earlier one: going back and forth misses the pixel.

    With v the backward flow and w~ the forward flow at the place that v points to, it is
    |w~ + v|^2 > 0.01 (|w~|^2 + |v|^2) + 0.5.
    """
    backward = motion.backward
    forward = _at_places(motion.forward, backward)
    bound = 0.01 * (_squared(forward) + _squared(backward)) + 0.5
    return np.asarray(_squared(forward + backward) > bound)


def motion_boundary(motion: Motion) -> BoolMask:
    """Tell where the flow of the later frame changes so fast that it is not exact.

    With v the backward flow, it is |grad v_x|^2 + |grad v_y|^2 > 0.01 |v|^2 + 0.002. Differences are central, and
    one-sided at the frame's edges.
    """
    backward = motion.backward
    slopes = [slope for axis in (0, 1) for slope in np.gradient(backward[..., axis])]
    return np.asarray(sum(slope**2 for slope in slopes) > 0.01 * _squared(backward) + 0.002)


def out_of_frame(flow: Flow) -> BoolMask:
    """Tell which pixels a flow leads out of the frame."""
    height, width, _ = flow.shape
    columns, rows = places_of(flow)
    beside = (columns < -HALF_A_PIXEL) | (columns > width - HALF_A_PIXEL)
    return np.asarray(beside | (rows < -HALF_A_PIXEL) | (rows > height - HALF_A_PIXEL))


def unseen(motion: Motion) -> BoolMask:
    """Tell which pixels of the later frame the earlier one does not show: disoccluded, or from out of frame."""
    return disoccluded(motion) | out_of_frame(motion.backward)


def weights(motion: Motion) -> Weights:
    """Return c of the temporal loss: 0 where a pixel is unseen or at a motion boundary, else 1."""
    return 1 - (unseen(motion) | motion_boundary(motion)).astype(np.float32)


def long_term_weights(short: Mapping[int, Weights]) -> dict[int, Weights]:
    """Return c_long for each distance (section 4.3): each pixel relies on the nearest frame that shows it.

    c_long(i - j) = max(c(i - j) - sum of c(i - k) over the distances k < j, 0).

    Args:
        short: c(i - j) by distance j, in frames.

    """
    return {
        distance: np.maximum(own - sum((short[nearer] for nearer in short if nearer < distance), np.float32(0)), 0)
        for distance, own in short.items()
    }


def _at_places(flow: Flow, along: Flow) -> Flow:
    """Return the vectors of a flow at the places that another one points to; H x W x 2."""
    planes = torch.from_numpy(np.ascontiguousarray(flow)).permute(2, 0, 1)[None]
    vectors: Flow = warped(planes, along)[0].permute(1, 2, 0).numpy()
    return vectors


def _squared(flow: Flow) -> NDArray[np.float32]:
    """Return the squared length of each vector, H x W."""
    squares: NDArray[np.float32] = np.square(flow).sum(axis=-1)
    return squares

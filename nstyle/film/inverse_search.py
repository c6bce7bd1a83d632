"""Optical flow by dense inverse search (Kroeger, Timofte, Dai, Van Gool, ECCV 2016), from OpenCV."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nstyle.errors import Kind, OptionError
from nstyle.film.flow import Flow, Motion, places_of
from nstyle.pictures.color_transfer import luminance
from nstyle.pictures.picture import Rgb, to_uint8

REACHES = (4, 2, 1)
"""Distances in pixels at which `_sharpened` looks for a better vector, one after the other. The search's patches have
8 pixels, so its flow is wrong by up to 4 pixels around the edges of what moves."""

WINDOW = 3
"""Edge of the square in which colors are compared, in pixels. One pixel is sharper, and worse with noise."""

BETTER = 0.002
"""How much closer the colors must be for a vector to be replaced: the sum over R, G and B, each 0..1. It keeps equal
surfaces from exchanging vectors."""


class InverseSearch:
    """Estimator of the motion between two frames.

    OpenCV's medium preset searches at half the size. This one goes on at full size, and sharpens the edges: with a
    cut-out that moves over a photo, the intersection over union of the disoccluded pixels with the true ones is 0.26
    with the preset, 0.38 at full size, and 0.78 with sharp edges.

    Raises:
        OptionError: OpenCV is not installed.

    """

    def __init__(self) -> None:
        self._cv2 = _opencv()
        self._search: Any = self._cv2.DISOpticalFlow_create(self._cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._search.setFinestScale(0)

    def motion(self, earlier: Rgb, later: Rgb) -> Motion:
        """Return the motion between two frames of the same size, at least 12 pixels long in one direction."""
        return Motion(self._flow(earlier, later), self._flow(later, earlier))

    def _flow(self, of: Rgb, to: Rgb) -> Flow:
        """Return where each pixel of one frame is in the other."""
        flow: Flow = self._search.calc(to_uint8(luminance(of)), to_uint8(luminance(to)), None)
        for reach in REACHES:
            flow = self._sharpened(flow, of, to, reach)
        return flow

    def _sharpened(self, flow: Flow, of: Rgb, to: Rgb, reach: int) -> Flow:
        """Replace each vector by that of a pixel `reach` left, right, above or below, if its colors fit better."""
        height, width, _ = flow.shape
        around = np.pad(flow, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
        best, smallest = flow.copy(), self._misfit(flow, of, to) - np.float32(BETTER)
        for down, right in ((0, -1), (0, 1), (-1, 0), (1, 0)):
            top, left = reach * (1 + down), reach * (1 + right)
            other = around[top : top + height, left : left + width]
            misfit = self._misfit(other, of, to)
            is_better = misfit < smallest
            np.copyto(best, other, where=is_better[..., None])
            np.copyto(smallest, misfit, where=is_better)
        return best

    def _misfit(self, flow: Flow, of: Rgb, to: Rgb) -> NDArray[np.float32]:
        """Return how much the colors around each pixel differ from those that the flow points to; H x W."""
        cv2 = self._cv2
        found = cv2.remap(to, *places_of(flow), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        misfit: NDArray[np.float32] = cv2.blur(np.abs(of - found).sum(axis=-1), (WINDOW, WINDOW))
        return misfit


def _opencv() -> Any:
    """Return OpenCV's module. It is imported here because it is an extra, and large."""
    try:
        import cv2
    except ImportError as error:
        raise OptionError(
            "optical flow needs OpenCV; run pip install 'nstyle[film]'", flag="--film", kind=Kind.MISSING
        ) from error
    return cv2

"""Pictures as arrays: sizes, resizing, colors of transparent pixels, denoising."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import affine_transform, distance_transform_edt, gaussian_filter, zoom

from nstyle.pictures.limits import LARGE
from nstyle.pictures.strips import in_strips, whole_numbers

Rgb = NDArray[np.float32]
"""H x W x 3, range 0..1, sRGB."""

Alpha = NDArray[np.float32]
"""H x W, from 0 (transparent) to 1 (opaque)."""

SEAM = 16
"""Width of the wrapped border, in pixels on each side, with which a seamless picture is denoised."""

LANCZOS_RADIUS = 3
"""Radius of Lanczos's filter in pixels of the shrunk picture."""

FAINTEST = 1 / 510
"""Smallest alpha of a visible pixel: half an 8-bit level. Below it, a resized pixel's color is rounding noise."""


@dataclass(frozen=True)
class Picture:
    """A picture for display.

    Attributes:
        rgb: the colors, H x W x 3; not multiplied by alpha.
        alpha: H x W; None if the picture is opaque everywhere.

    """

    rgb: Rgb
    alpha: Alpha | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width, _ = self.rgb.shape
        return height, width


def fit_long_edge(height: int, width: int, long_edge: int) -> tuple[int, int]:
    """Return (height, width) scaled to a longer edge of `long_edge`; rounded down, as in the reference.

    The reference computes `int(height * (long_edge / max(height, width)))`, whose rounding error can lose a pixel
    where the result is a whole number, as it always is for the longer edge. Whole numbers have no such error.
    """
    longest = max(height, width)
    return height * long_edge // longest, width * long_edge // longest


def resize(rgb: Rgb, height: int, width: int) -> Rgb:
    """Resize a picture to height x width, bilinearly; shrinking smooths it first.

    Do not change the result: a picture that has this size already is returned itself, not a copy.

    A picture of more than `LARGE` pixels that shrinks a lot takes a faster way to nearly the same result. All others
    are the same, to the bit, as from `skimage.transform.resize`, whose import takes a third as long as PyTorch's.
    """
    if rgb.shape[:2] == (height, width):
        return rgb
    if rgb.shape[0] * rgb.shape[1] > LARGE:
        block = int(min(rgb.shape[0] / height, rgb.shape[1] / width) / 3)
        if block > 1:
            return _shrink_in_blocks(rgb, height, width, block)
    factors = (rgb.shape[0] / height, rgb.shape[1] / width, *(1.0 for _ in rgb.shape[2:]))
    smooth = rgb
    if max(factors) > 1:
        smooth = gaussian_filter(rgb, [max(0, (factor - 1) / 2) for factor in factors], mode="mirror")
    resized: NDArray[np.float32] = zoom(
        smooth, [1 / factor for factor in factors], order=1, mode="mirror", grid_mode=True
    )
    return np.clip(resized, rgb.min(), rgb.max(), out=resized)


def _shrink_in_blocks(rgb: Rgb, height: int, width: int, block: int) -> Rgb:
    """Shrink a picture like `resize`, but average blocks of block x block pixels first.

    The Gaussian filter would take minutes: it has skimage's standard deviation, half of (factor - 1) pixels. The
    variances of filters that follow each other add up, and that of a block is (block^2 - 1) / 12; so a weaker filter
    smooths the rest. Pixels beyond the last whole block do not count.
    """
    factors = np.array([rgb.shape[0] / height, rgb.shape[1] / width])
    variances = ((factors - 1) / 2) ** 2 - (block**2 - 1) / 12
    channels = (0.0,) * (rgb.ndim - 2)
    smooth = gaussian_filter(_block_means(rgb, block), (*np.sqrt(variances) / block, *channels), mode="mirror")
    resized: NDArray[np.float32] = affine_transform(
        smooth,
        (*factors / block, *(1.0 for _ in channels)),
        offset=(*(factors / block - 1) / 2, *channels),  # pixel centers are at halves
        output_shape=(height, width, *rgb.shape[2:]),
        order=1,
        mode="mirror",
    )
    return resized


def _block_means(levels: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    """Return the means of the blocks of block x block pixels that fit into an H x W (x C) array."""
    for axis in (0, 1):
        every = np.moveaxis(levels, axis, 0)[: levels.shape[axis] // block * block]
        total = every[::block].copy()
        for offset in range(1, block):
            total += every[offset::block]
        levels = np.moveaxis(total, 0, axis)
    return levels / np.float32(block**2)


def shrink(rgb: Rgb, height: int, width: int, *, wrap: bool = False) -> Rgb:
    """Shrink a picture to height x width with Lanczos's filter, which keeps lines sharp.

    Do not change the result: a picture that has this size already is returned itself, not a copy.

    Args:
        rgb: the picture.
        height: its new height.
        width: its new width.
        wrap: whether the picture tiles: then its other edge is what lies beyond an edge.

    """
    if rgb.shape[:2] == (height, width):
        return rgb
    most = max(rgb.shape[0] / height, rgb.shape[1] / width)
    beyond = math.ceil(LANCZOS_RADIUS * most) + 1 if wrap else 0
    box = beyond, beyond, beyond + rgb.shape[1], beyond + rgb.shape[0]
    result = np.empty((height, width, 3), np.float32)
    for channel in range(3):
        plane = Image.fromarray(np.pad(rgb[..., channel], beyond, mode="wrap"))
        result[..., channel] = np.asarray(plane.resize((width, height), Image.Resampling.LANCZOS, box))
    return np.clip(result, 0, 1, out=result)


def resize_picture(picture: Picture, height: int, width: int) -> Picture:
    """Resize a picture like `resize`, with colors weighted by alpha, so that transparent pixels do not tint others.

    Transparent pixels of the result get the color of the nearest visible pixel. Do not change the arrays of the
    result: they may be those of `picture`.
    """
    if picture.alpha is None:
        return Picture(resize(picture.rgb, height, width))
    alpha = resize(picture.alpha, height, width)
    weighted = resize(picture.rgb * picture.alpha[..., None], height, width)
    visible = alpha >= FAINTEST
    rgb = in_strips(_unweighted, weighted, alpha, out=weighted)
    return Picture(fill_hidden(rgb, visible), alpha)


def _unweighted(weighted: Rgb, alpha: Alpha) -> Rgb:
    """Return colors from colors times alpha."""
    return np.clip(weighted / np.maximum(alpha, np.float32(FAINTEST))[..., None], 0, 1)


def fill_hidden(rgb: Rgb, visible: NDArray[np.bool_]) -> Rgb:
    """Give each pixel that is not `visible` (H x W) the color of the nearest visible pixel, if there is one.

    This works in place: it changes `rgb`, and returns it.
    """
    if visible.all() or not visible.any():
        return rgb
    rows, columns = distance_transform_edt(~visible, return_distances=False, return_indices=True)
    return in_strips(lambda row, column: rgb[row, column], rows, columns, out=rgb)  # visible pixels keep their color


def on_white(picture: Picture) -> Rgb:
    """Return the colors of a picture on a white background; of an opaque picture, its own array, not a copy."""
    if picture.alpha is None:
        return picture.rgb
    return in_strips(_on_white, picture.rgb, picture.alpha, out=np.empty_like(picture.rgb))


def _on_white(rgb: Rgb, alpha: Alpha) -> Rgb:
    weight = alpha[..., None]
    return rgb * weight + (1 - weight)


def denoise(rgb: Rgb, weight: float, *, seamless: bool = False) -> Rgb:
    """Smooth a picture by total-variation minimization (Chambolle, 2004); a weight below 1e-6 changes nothing.

    A seamless picture is smoothed across its edges, so that it still tiles. This works in place: it changes `rgb`,
    and returns it.
    """
    if weight < 1e-6:
        return rgb
    if seamless:
        tiled = np.pad(rgb, ((SEAM, SEAM), (SEAM, SEAM), (0, 0)), mode="wrap")
        rgb[:] = denoise(tiled, weight)[SEAM:-SEAM, SEAM:-SEAM]
        return rgb
    from skimage.restoration import denoise_tv_chambolle  # takes a while, and the first epoch does not need it

    for channel in range(3):  # one after the other: it takes ten times the memory of a channel
        rgb[..., channel] = denoise_tv_chambolle(rgb[..., channel], weight=weight)
    return rgb


def to_uint8(levels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Convert levels from 0..1 to whole numbers in 0..255, rounded to the nearest."""
    return whole_numbers(levels, np.empty(levels.shape, np.uint8))


def to_uint16(levels: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Convert levels from 0..1 to whole numbers in 0..65535, rounded to the nearest."""
    return whole_numbers(levels, np.empty(levels.shape, np.uint16))

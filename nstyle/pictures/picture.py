"""Pictures as arrays: sizes, resizing, colors of transparent pixels, denoising."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, distance_transform_edt, gaussian_filter, zoom

from nstyle.pictures.limits import LARGE

Rgb = NDArray[np.float32]
"""H x W x 3, range 0..1, sRGB."""

Alpha = NDArray[np.float32]
"""H x W, from 0 (transparent) to 1 (opaque)."""

SEAM = 16
"""Width of the wrapped border, in pixels on each side, with which a seamless picture is denoised."""

MOST_DENOISING, DENOISED = 200, 2e-4
"""When denoising ends: after this many iterations, or if the energy changes by less than this part of the first."""

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

    A picture of more than `LARGE` pixels that shrinks a lot takes a faster way to nearly the same result. All others
    are the same, to the bit, as from `skimage.transform.resize`; importing that takes a third as long as PyTorch.
    """
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


def resize_picture(picture: Picture, height: int, width: int) -> Picture:
    """Resize a picture like `resize`, with colors weighted by alpha, so that transparent pixels do not tint others.

    Transparent pixels of the result get the color of the nearest visible pixel.
    """
    if picture.alpha is None:
        return Picture(resize(picture.rgb, height, width))
    alpha = resize(picture.alpha, height, width)
    weighted = resize(picture.rgb * picture.alpha[..., None], height, width)
    visible = alpha >= FAINTEST
    rgb: Rgb = np.clip(weighted / np.maximum(alpha, np.float32(FAINTEST))[..., None], 0, 1)
    return Picture(fill_hidden(rgb, visible), alpha)


def fill_hidden(rgb: Rgb, visible: NDArray[np.bool_]) -> Rgb:
    """Give each pixel that is not `visible` (H x W) the color of the nearest visible pixel, if there is one."""
    if visible.all() or not visible.any():
        return rgb
    rows, columns = distance_transform_edt(~visible, return_distances=False, return_indices=True)
    filled: Rgb = rgb[rows, columns]
    return filled


def on_white(picture: Picture) -> Rgb:
    """Return the colors of a picture on a white background."""
    if picture.alpha is None:
        return picture.rgb
    alpha = picture.alpha[..., None]
    return picture.rgb * alpha + (1 - alpha)


def denoise(rgb: Rgb, weight: float, *, seamless: bool = False) -> Rgb:
    """Smooth a picture by total-variation minimization (Chambolle, 2004); a weight below 1e-6 changes nothing.

    A seamless picture is smoothed across its edges, so that it still tiles.
    """
    if weight < 1e-6:
        return rgb
    if seamless:
        tiled = np.pad(rgb, ((SEAM, SEAM), (SEAM, SEAM), (0, 0)), mode="wrap")
        return denoise(tiled, weight)[SEAM:-SEAM, SEAM:-SEAM]
    smooth = np.empty_like(rgb)
    for channel in range(rgb.shape[2]):
        smooth[..., channel] = _denoise_channel(rgb[..., channel], weight)
    return smooth


def _denoise_channel(levels: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    """Smooth an H x W array by total-variation minimization (Chambolle, 2004).

    The same, to the bit, as from `skimage.restoration.denoise_tv_chambolle`; importing that takes half as long as
    PyTorch. `dual` (2 x H x W) is Chambolle's p; the result is levels - div p.
    """
    dual, gradient = np.zeros((2, 2, *levels.shape), levels.dtype)
    step = 1 / 4  # below it, the iteration converges
    correction, smooth = np.zeros_like(levels), levels
    energies: list[np.float32] = []
    for iteration in range(MOST_DENOISING):
        if iteration > 0:
            correction = -dual.sum(axis=0)
            correction[1:] += dual[0, :-1]
            correction[:, 1:] += dual[1, :, :-1]
            smooth = levels + correction
        gradient[0, :-1] = np.diff(smooth, axis=0)
        gradient[1, :, :-1] = np.diff(smooth, axis=1)
        norm = np.sqrt((gradient**2).sum(axis=0))
        energies.append(((correction**2).sum() + weight * norm.sum()) / levels.size)
        norm *= step / weight
        norm += 1
        dual -= step * gradient
        dual /= norm
        if iteration > 0 and np.abs(energies[-2] - energies[-1]) < DENOISED * energies[0]:
            break
    return smooth


def to_uint8(levels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Convert levels from 0..1 to whole numbers in 0..255, rounded to the nearest."""
    return np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)


def to_uint16(levels: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Convert levels from 0..1 to whole numbers in 0..65535, rounded to the nearest."""
    return np.rint(np.clip(levels, 0, 1) * 65535).astype(np.uint16)

"""Pictures as arrays: sizes, resizing, colours of transparent pixels, denoising."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from skimage.restoration import denoise_tv_chambolle
from skimage.transform import resize as skimage_resize

Rgb = NDArray[np.float32]
"""H x W x 3, range 0..1, sRGB."""

Alpha = NDArray[np.float32]
"""H x W, from 0 (transparent) to 1 (opaque)."""

SEAM = 16
"""Pixels of its copies that a picture that tiles is smoothed with, on each side."""

FAINTEST = 1 / 510
"""Alpha, half a level of 8 bits, below which the colour of a resized pixel is only rounding noise."""


@dataclass(frozen=True)
class Picture:
    """A picture for display.

    Attributes:
        rgb: the colours, H x W x 3; not multiplied by alpha.
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
    """Return (height, width) scaled so that the longer one is `long_edge`, rounded down as in the reference."""
    factor = long_edge / max(height, width)
    return int(height * factor), int(width * factor)


def resize(rgb: Rgb, height: int, width: int) -> Rgb:
    """Stretch a picture to exactly height x width: bilinear, and smoothed first if it shrinks (skimage's default)."""
    resized: NDArray[np.float32] = skimage_resize(rgb, (height, width))
    return resized.astype(np.float32, copy=False)


def resize_picture(picture: Picture, height: int, width: int) -> Picture:
    """Stretch a picture as `resize` does, with colours weighted by alpha: transparent pixels do not tint others.

    Transparent pixels of the result have the colour of the nearest visible one.
    """
    if picture.alpha is None:
        return Picture(resize(picture.rgb, height, width))
    alpha = resize(picture.alpha, height, width)
    weighted = resize(picture.rgb * picture.alpha[..., None], height, width)
    visible = alpha >= FAINTEST
    rgb: Rgb = np.clip(weighted / np.maximum(alpha, np.float32(FAINTEST))[..., None], 0, 1)
    return Picture(fill_hidden(rgb, visible), alpha)


def fill_hidden(rgb: Rgb, visible: NDArray[np.bool_]) -> Rgb:
    """Give each pixel that is not `visible` (H x W) the colour of the nearest visible one, if there is any."""
    if visible.all() or not visible.any():
        return rgb
    rows, columns = distance_transform_edt(~visible, return_distances=False, return_indices=True)
    filled: Rgb = rgb[rows, columns]
    return filled


def on_white(picture: Picture) -> Rgb:
    """Return the colours of a picture laid on white."""
    if picture.alpha is None:
        return picture.rgb
    alpha = picture.alpha[..., None]
    return picture.rgb * alpha + (1 - alpha)


def denoise(rgb: Rgb, weight: float, *, seamless: bool = False) -> Rgb:
    """Smooth a picture by total-variation minimisation (Chambolle, 2004); weights below 1e-6 leave it as it is.

    A seamless one is smoothed across its edges, so that it still tiles.
    """
    if weight < 1e-6:
        return rgb
    if seamless:
        tiled = np.pad(rgb, ((SEAM, SEAM), (SEAM, SEAM), (0, 0)), mode="wrap")
        return denoise(tiled, weight)[SEAM:-SEAM, SEAM:-SEAM]
    denoised: NDArray[np.float32] = denoise_tv_chambolle(rgb, weight=weight, channel_axis=-1)
    return denoised.astype(np.float32, copy=False)


def to_uint8(levels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Convert levels from 0..1 to whole numbers in 0..255, rounded to the nearest."""
    return np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)


def to_uint16(levels: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Convert levels from 0..1 to whole numbers in 0..65535, rounded to the nearest."""
    return np.rint(np.clip(levels, 0, 1) * 65535).astype(np.uint16)

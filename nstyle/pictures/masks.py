"""Masks: pictures whose grey levels select a part of another picture. White is 1, black is 0, transparent is 0.

`mask` is an H x W array, float32, range 0..1.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nstyle.errors import ImageError, Kind
from nstyle.pictures.color_transfer import luminance
from nstyle.pictures.picture import Picture, Rgb, to_uint8

Mask = NDArray[np.float32]

LIKE_SHAPE = 0.02
"""Largest relative difference between the aspect ratios of a mask and its picture: 2%, for rounded sizes."""


def to_mask(picture: Picture, like: Picture, name: str, of: str) -> Mask:
    """Return the grey levels of a mask (H x W, 0..1, not resized); its aspect ratio must match its picture's.

    Args:
        picture: the mask.
        like: the picture that the mask belongs to.
        name: the file of the mask, for the error.
        of: the file of the picture, for the error.

    Raises:
        ImageError: the aspect ratios differ, or the mask is completely black.

    """
    (height, width), (wanted_height, wanted_width) = picture.size, like.size
    if abs(width * wanted_height / (height * wanted_width) - 1) > LIKE_SHAPE:
        raise ImageError(
            f"{name} has {width}x{height} pixels, but {of} has {wanted_width}x{wanted_height}; "
            "crop one to the aspect ratio of the other (masks are resized, but not cropped)",
            path=Path(name),
            kind=Kind.CONFLICT,
        )
    levels = luminance(picture.rgb) * (1 if picture.alpha is None else picture.alpha)
    if not levels.max() > 0:
        raise ImageError(
            f"{name} is completely black, so it selects nothing; paint the wanted part white",
            path=Path(name),
            kind=Kind.MISSING,
        )
    return levels


def rounded(mask: Mask) -> Mask:
    """Round a resized mask to 256 levels, so that white is exactly 1 and black exactly 0."""
    return to_uint8(mask).astype(np.float32) / np.float32(255)


def composite(painting: Rgb, content: Rgb, mask: Mask) -> Rgb:
    """Blend painting and content: mask * painting + (1 - mask) * content."""
    weight = mask[..., None]
    return weight * painting + (1 - weight) * content

"""Masks: pictures whose grey levels say which part of another picture counts: white is 1, black is 0.

Transparent pixels count as black.

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
"""By how much, relatively, the aspect ratios of a mask and its picture may differ."""


def to_mask(picture: Picture, like: Picture, name: str, of: str) -> Mask:
    """Return the grey levels of a mask, whose aspect ratio must be that of the picture that it is for.

    Args:
        picture: the mask.
        like: the picture that it is for.
        name: the file of the mask, for the error.
        of: the file of the picture, for the error.

    Raises:
        ImageError: the mask has another shape, or is black all over.

    """
    (height, width), (wanted_height, wanted_width) = picture.size, like.size
    if abs(width * wanted_height / (height * wanted_width) - 1) > LIKE_SHAPE:
        raise ImageError(
            f"{name} has {width}x{height} pixels, {of} {wanted_width}x{wanted_height}: "
            "crop one to the shape of the other; a mask of another size is fitted, one of another shape is not",
            path=Path(name),
            kind=Kind.CONFLICT,
        )
    levels = luminance(picture.rgb) * (1 if picture.alpha is None else picture.alpha)
    if not levels.max() > 0:
        raise ImageError(
            f"{name} is black all over, and so a mask of nothing; paint white what it is for",
            path=Path(name),
            kind=Kind.MISSING,
        )
    return levels


def rounded(mask: Mask) -> Mask:
    """Round a resized mask to the 256 levels of a picture, so that white is exactly 1 and black exactly 0."""
    return to_uint8(mask).astype(np.float32) / np.float32(255)


def composite(painting: Rgb, content: Rgb, mask: Mask) -> Rgb:
    """Blend a painting over the content by the mask: only the painting at 1, only the content at 0."""
    weight = mask[..., None]
    return weight * painting + (1 - weight) * content

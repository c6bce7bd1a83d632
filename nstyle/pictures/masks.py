"""Masks: pictures that say where, by their grey levels; white is 1, black is 0, soft edges lie between.

What is transparent counts as black.

`mask` is an H x W array, float32, range 0..1.
"""

import numpy as np
from numpy.typing import NDArray

from nstyle.errors import ImageError
from nstyle.pictures.color_transfer import luminance
from nstyle.pictures.picture import Picture, Rgb, to_uint8

Mask = NDArray[np.float32]

LIKE_SHAPE = 0.02
"""Relative: by how much the aspect ratios of a mask and its picture may differ."""


def to_mask(picture: Picture, like: Picture, name: str, of: str) -> Mask:
    """Return a mask picture's grey levels, after making sure that it has the shape of the picture that it is for.

    Args:
        picture: of the mask.
        like: the picture that it is for.
        name: the mask's file, for the error.
        of: the picture's.

    Raises:
        ImageError: it has another shape, or is black all over.

    """
    (height, width), (wanted_height, wanted_width) = picture.size, like.size
    if abs(width * wanted_height / (height * wanted_width) - 1) > LIKE_SHAPE:
        raise ImageError(
            f"{name} has {width}x{height} pixels, {of} {wanted_width}x{wanted_height}: "
            "crop one to the shape of the other; a mask of another size is fitted, one of another shape is not"
        )
    levels = luminance(picture.rgb) * (1 if picture.alpha is None else picture.alpha)
    if not levels.max() > 0:
        raise ImageError(f"{name} is black all over, and so a mask of nothing; paint white what it is for")
    return levels


def rounded(mask: Mask) -> Mask:
    """Return a mask that was resized in the 256 levels of a picture: white is 1 and black 0, exactly."""
    return to_uint8(mask).astype(np.float32) / np.float32(255)


def composite(painting: Rgb, content: Rgb, mask: Mask) -> Rgb:
    """Lay the painting over the content: all of it where the mask is 1, nothing where it is 0."""
    weight = mask[..., None]
    return weight * painting + (1 - weight) * content

"""Conversion of colors to sRGB with ICC profiles (International Color Consortium), in full precision.

Pillow's color management is limited to 8 bits per channel. imagecodecs uses the same engine, Little CMS, in floating
point.
"""

import struct
from functools import lru_cache
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms

from nstyle.pictures.strips import in_strips, strips, whole_numbers

Levels = NDArray[np.uint8] | NDArray[np.float32]
"""H x W x C; C = 1 (grey), 3 (RGB) or 4 (CMYK, amount of ink); 0..255 in uint8, or 0..1 in float32."""


def _srgb_profile() -> bytes:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # a fixed date, so that equal pictures make equal files
    return bytes(profile)


SRGB_PROFILE = _srgb_profile()
"""The sRGB profile of written pictures; always the same bytes."""

_CHANNELS = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}
_SPACES = {1: "gray", 3: "rgb", 4: "cmyk"}


def to_srgb(levels: Levels, profile: bytes | None) -> NDArray[np.float32]:
    """Convert levels (H x W x C) from the color space of an ICC profile to sRGB (H x W x 3, range 0..1).

    The intent is relative colorimetric with black-point compensation; colors outside sRGB are clipped. A profile is
    ignored if it is damaged, is for other channels, or differs from sRGB by less than half an 8-bit level. Without a
    profile, grey and RGB count as sRGB, and CMYK becomes (1 - ink) (1 - black), as in Pillow.
    """
    if profile is not None:
        wanted = _CHANNELS.get(profile[16:20])
        channels = 3 if levels.shape[2] == 1 and wanted == 3 else levels.shape[2]  # RGB profiles apply to grey, too
        if channels == wanted and not _is_srgb(profile):
            converted = _transform(levels, profile)
            if converted is not None:
                return converted
    if levels.dtype != np.uint8 and levels.shape[2] == 3:
        return levels.astype(np.float32, copy=False)
    return in_strips(_plain, levels, out=np.empty((*levels.shape[:2], 3), np.float32))


def _plain(levels: Levels) -> NDArray[np.float32]:
    """Convert levels without a profile to RGB; see `to_srgb`. Of grey, the result has one channel."""
    plain = levels.astype(np.float32, copy=False)
    if levels.dtype == np.uint8:
        plain /= np.float32(255)
    return plain if plain.shape[2] < 4 else (1 - plain[..., :3]) * (1 - plain[..., 3:])


def lab_to_srgb(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert CIE L*a*b* under D50 (H x W x 3; L* is 0..100) to sRGB (0..1); colors outside sRGB are clipped."""
    rgb: NDArray[np.float32] = imagecodecs.cms_transform(
        np.ascontiguousarray(lab),
        imagecodecs.cms_profile("lab4"),
        SRGB_PROFILE,
        colorspace="lab",
        outcolorspace="rgb",
        outdtype=np.float32,
        intent=imagecodecs.CMS.INTENT.RELATIVE_COLORIMETRIC,
    )
    return np.clip(rgb, 0, 1, out=rgb)


@lru_cache(maxsize=8)
def _is_srgb(profile: bytes) -> bool:
    """Tell whether a profile is a variant of sRGB: it changes no color by half an 8-bit level or more."""
    steps = np.linspace(0, 1, 11, dtype=np.float32)
    if _CHANNELS.get(profile[16:20]) == 3:
        grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    else:
        grid = steps.reshape(1, -1, 1)
        if _CHANNELS.get(profile[16:20]) != 1:
            return False
    converted = _transform(grid, profile)
    return converted is not None and bool(np.abs(converted - grid).max() < 0.5 / 255)


def _transform(levels: Levels, profile: bytes) -> NDArray[np.float32] | None:
    """Apply a profile with the channels of `levels` (or an RGB profile to grey); return None if it is damaged."""
    channels = _CHANNELS[profile[16:20]]
    source: NDArray[Any] = np.repeat(levels, 3, axis=2) if levels.shape[2] < channels else levels
    if channels == 4 and source.dtype != np.uint8:
        source = whole_numbers(source, np.empty(source.shape, np.uint16))  # it would expect float ink in 0..100
    try:
        rgb: NDArray[np.float32] = imagecodecs.cms_transform(
            np.ascontiguousarray(source[..., 0] if channels == 1 else source),
            profile,
            SRGB_PROFILE,
            colorspace=_SPACES[channels],
            outcolorspace="rgb",
            outdtype=np.float32,
            intent=imagecodecs.CMS.INTENT.RELATIVE_COLORIMETRIC,
            flags=imagecodecs.CMS.FLAGS.BLACKPOINTCOMPENSATION,
        )
    except (RuntimeError, ValueError):
        return None
    is_finite = all(np.isfinite(rgb[rows]).all() for rows in strips(rgb.shape))
    return np.clip(rgb, 0, 1, out=rgb) if is_finite else None

"""Conversion of colours to sRGB by ICC profiles (International Color Consortium), in full precision.

Pillow's colour management has 8 bits a channel. imagecodecs uses the same engine (Little CMS) in floating point.
"""

import struct
from functools import lru_cache
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms

Levels = NDArray[np.uint8] | NDArray[np.float32]
"""H x W x C, C = 1 (grey), 3 (RGB) or 4 (CMYK, as ink): 0..255, or 0..1."""


def _srgb_profile() -> bytes:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # else the time of day, and no two files would be equal
    return bytes(profile)


SRGB_PROFILE = _srgb_profile()
"""The profile that written pictures are tagged with; always the same bytes."""

_CHANNELS = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}
_SPACES = {1: "gray", 3: "rgb", 4: "cmyk"}


def to_srgb(levels: Levels, profile: bytes | None) -> NDArray[np.float32]:
    """Convert levels (H x W x C) from the colour space of an ICC profile to sRGB (H x W x 3, range 0..1).

    The intent is relative colorimetric with black-point compensation; colours outside of sRGB are clipped. The
    profile is ignored if it is damaged, was made for other channels, or differs from sRGB by less than half a level
    of 8 bits. Without a profile, grey and RGB count as sRGB, and CMYK becomes (1 - ink) (1 - black), as in Pillow.
    """
    if profile is not None:
        wanted = _CHANNELS.get(profile[16:20])
        channels = 3 if levels.shape[2] == 1 and wanted == 3 else levels.shape[2]  # grey is RGB, too
        if channels == wanted and not _is_srgb(profile):
            converted = _transform(levels, profile)
            if converted is not None:
                return converted
    plain = levels.astype(np.float32, copy=False)
    if levels.dtype == np.uint8:
        plain /= np.float32(255)
    if plain.shape[2] == 1:
        return np.repeat(plain, 3, axis=2)
    if plain.shape[2] == 4:
        rgb = 1 - plain[..., :3]
        rgb *= 1 - plain[..., 3:]
        return rgb
    return plain


@lru_cache(maxsize=8)
def _is_srgb(profile: bytes) -> bool:
    """Tell whether a profile changes every colour by less than half a level of 8 bits: sRGB has many spellings."""
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
    """Apply a profile for as many channels as `levels` has (or an RGB one to grey); return None if it is damaged."""
    channels = _CHANNELS[profile[16:20]]
    source: NDArray[Any] = np.repeat(levels, 3, axis=2) if levels.shape[2] < channels else levels
    if channels == 4 and source.dtype != np.uint8:
        source = source * np.float32(65535)
        source = np.rint(source, out=source).astype(np.uint16)  # as floating point, Little CMS counts ink in 0..100
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
    return np.clip(rgb, 0, 1, out=rgb) if np.isfinite(rgb).all() else None

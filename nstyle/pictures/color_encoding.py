"""ICC profiles for color spaces that a file describes with a few numbers: code points, chromaticities, a gamma.

Code points are those of Rec. ITU-T H.273, "CICP" (coding-independent code points): PNG, AVIF, HEIC and JPEG 2000 use
them. A profile made here goes the same way as one from a file, through `nstyle.pictures.icc`.
"""

import struct
from functools import lru_cache
from pathlib import Path

import imagecodecs
import numpy as np

from nstyle.errors import ImageError, Kind

Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""CIE x and y of white, red, green and blue, in this order."""

_D65, _D50, _C, _DCI = (0.3127, 0.3290), (0.3457, 0.3585), (0.310, 0.316), (0.314, 0.351)
SRGB_CHROMATICITIES: Chromaticities = (*_D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060)
_ADOBE_RGB: Chromaticities = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
_ROMM_RGB: Chromaticities = (*_D50, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)

_PRIMARIES: dict[int, Chromaticities] = {  # H.273, table 2; 10 (CIE XYZ) is missing: no ICC profile can hold it
    1: SRGB_CHROMATICITIES,  # BT.709
    2: SRGB_CHROMATICITIES,  # unspecified
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),  # BT.470, system M
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),  # BT.601, 625 lines
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),  # BT.601, 525 lines
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),  # SMPTE ST 240
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),  # film
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),  # BT.2020
    11: (*_DCI, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # DCI-P3
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # Display P3
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),  # EBU Tech. 3213
}

# H.273, table 3. The curves of video cameras (BT.709, BT.601, BT.2020, ...) count as sRGB's: such pictures were made
# on a display, and browsers show them so. None: sRGB's curve; a number: light = level ** number.
_GAMMAS: dict[int, float | None] = dict.fromkeys((1, 2, 6, 7, 11, 12, 13, 14, 15)) | {4: 2.2, 5: 2.8, 8: 1.0}
_HIGH_DYNAMIC_RANGE = (16, 18)  # PQ, HLG


def profile_of_code_points(path: Path, primaries: int, transfer: int) -> bytes | None:
    """Return an ICC profile for code points of H.273; None for sRGB.

    Args:
        path: the picture's file, for the error.
        primaries: `ColourPrimaries`.
        transfer: `TransferCharacteristics`.

    Raises:
        ImageError: the picture has high dynamic range (PQ or HLG), or a color space that we cannot convert.

    """
    return rgb_profile(chromaticities_of(path, primaries), gamma_of(path, transfer))


def chromaticities_of(path: Path, primaries: int) -> Chromaticities:
    """Return the chromaticities for a code point `ColourPrimaries`.

    Raises:
        ImageError: we cannot convert them.

    """
    if primaries not in _PRIMARIES:
        raise unknown_color_space(path, f"primaries {primaries} of H.273")
    return _PRIMARIES[primaries]


def gamma_of(path: Path, transfer: int) -> float | None:
    """Return the exponent from level to light for a code point `TransferCharacteristics`; None: sRGB's curve.

    Raises:
        ImageError: it is PQ or HLG, or we cannot convert it.

    """
    if transfer in _HIGH_DYNAMIC_RANGE:
        raise ImageError(
            f"{path} has high dynamic range (PQ or HLG), which is not supported; export it as an ordinary picture",
            path=path,
            kind=Kind.UNSUPPORTED,
        )
    if transfer not in _GAMMAS:
        raise unknown_color_space(path, f"transfer {transfer} of H.273")
    return _GAMMAS[transfer]


def refuse_high_dynamic_range(path: Path, profile: bytes) -> None:
    """Refuse an ICC profile that is made for PQ or HLG, as its tag `cicp` says (ICC.1:2022, 10.3).

    Raises:
        ImageError: the profile is for high dynamic range.

    """
    tags = profile[132 : 132 + 12 * int.from_bytes(profile[128:132], "big")]
    for name, start, _ in struct.iter_unpack(">4s2I", tags[: len(tags) // 12 * 12]):
        transfer = profile[start + 9 : start + 10]  # after the type, four zeros and the primaries
        if name == b"cicp" and transfer and transfer[0] in _HIGH_DYNAMIC_RANGE:
            gamma_of(path, transfer[0])


def unknown_color_space(path: Path, what: str) -> ImageError:
    """Return the error for a picture whose color space we cannot convert to sRGB; `what` names it."""
    return ImageError(
        f"{path} has an unsupported color space ({what}); save it as sRGB", path=path, kind=Kind.UNSUPPORTED
    )


@lru_cache(maxsize=8)
def rgb_profile(chromaticities: Chromaticities, gamma: float | None) -> bytes | None:
    """Return an ICC profile for an RGB color space; None for sRGB, or if there is no such space.

    Args:
        chromaticities: of white, red, green and blue.
        gamma: light = level ** gamma; None for sRGB's curve.

    """
    if gamma is None and np.allclose(chromaticities, SRGB_CHROMATICITIES, atol=0.0015):  # others round to 3 digits
        return None
    white, primaries = chromaticities[:2], chromaticities[2:]
    levels = np.linspace(0, 1, 4096)
    srgb = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1
    curve = {"transferfunction": np.rint(65535 * srgb).astype(np.uint16)} if gamma is None else {"gamma": gamma}
    try:
        profile: bytes = imagecodecs.cms_profile("rgb", whitepoint=(*white, 1.0), primaries=primaries, **curve)
    except (RuntimeError, ValueError):  # such as three primaries in a line
        return None
    return profile


def adobe_rgb_profile() -> bytes | None:
    """Return a profile of Adobe RGB (1998), with the gamma of its specification, 2 + 51/256."""
    return rgb_profile(_ADOBE_RGB, 563 / 256)


def romm_rgb_profile() -> bytes | None:
    """Return a profile of ROMM RGB, also called ProPhoto RGB, with the gamma 1.8 (ISO 22028-2)."""
    return rgb_profile(_ROMM_RGB, 1.8)

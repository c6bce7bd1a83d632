"""What the channels of a TIFF page mean: colors first, then extra channels (TIFF 6.0, ExtraSamples)."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, SAMPLEFORMAT, TiffPage

from nstyle.errors import ImageError, Kind

_COLORS = {
    PHOTOMETRIC.MINISWHITE: 1,
    PHOTOMETRIC.MINISBLACK: 1,
    PHOTOMETRIC.RGB: 3,
    PHOTOMETRIC.SEPARATED: 4,
    PHOTOMETRIC.CIELAB: 3,
    PHOTOMETRIC.ICCLAB: 3,
}
_INK_SET = 332  # tag: 1 means CMYK, 2 other inks
_MOST_CHANNELS = 8
_BEYOND_PILLOW = (
    COMPRESSION.LERC,
    COMPRESSION.JPEGXL,
    COMPRESSION.JPEGXL_DNG,
    COMPRESSION.APERIO_JP2000_RGB,
    COMPRESSION.JPEG2000,
)
_IMAGEJ_CHANNELS = re.compile(r"^channels=0*([2-9]|[1-9]\d)", re.MULTILINE)  # two or more


def color_channels(path: Path, page: TiffPage) -> int:
    """Return how many channels hold the color.

    Raises:
        ImageError: the page has an unsupported kind of color, or more than 8 channels.

    """
    colors = _COLORS.get(page.photometric)  # type: ignore[call-overload]  # an unknown one is an int
    if colors is None or page.samplesperpixel > _MOST_CHANNELS:
        raise ImageError(
            f"{path} is an unsupported kind of TIFF (a raw photo?); save it as RGB", path=path, kind=Kind.UNSUPPORTED
        )
    return int(colors)


def refuse_unknown_levels(path: Path, page: TiffPage) -> None:
    """Refuse a page whose levels have no known meaning.

    Raises:
        ImageError: the levels have a sign or are complex, so black and white are unknown; the inks are not those of
            CMYK; or each color has a page of its own.

    """
    if page.sampleformat in (SAMPLEFORMAT.INT, SAMPLEFORMAT.COMPLEXINT, SAMPLEFORMAT.COMPLEXIEEEFP):
        raise ImageError(
            f"{path} has levels with a sign, or complex ones, so their scale is unknown; "
            "save the picture with unsigned levels",
            path=path,
            kind=Kind.UNSUPPORTED,
        )
    if page.photometric == PHOTOMETRIC.SEPARATED and page.tags.valueof(_INK_SET, 1) != 1:
        raise ImageError(f"{path} has inks other than CMYK; save it as RGB", path=path, kind=Kind.UNSUPPORTED)
    if page.samplesperpixel == 1 and page.is_imagej and _IMAGEJ_CHANNELS.search(page.description):
        raise ImageError(
            f"{path} has its colors on separate pages, as ImageJ writes them; save it as RGB",
            path=path,
            kind=Kind.UNSUPPORTED,
        )


def pillow_reads(page: TiffPage) -> bool:
    """Tell whether Pillow reads all that we want of a page: 8 bits or fewer, no unusual extra channels or packing."""
    if page.compression in _BEYOND_PILLOW:
        return False
    if page.bitspersample != 8 or page.photometric not in _COLORS:
        return bool(page.bitspersample <= 8)
    extra, colors = tuple(page.extrasamples), _COLORS[PHOTOMETRIC(page.photometric)]
    surplus = page.samplesperpixel - colors
    if surplus == 0:
        return page.photometric != PHOTOMETRIC.ICCLAB
    if page.photometric == PHOTOMETRIC.RGB:
        return surplus <= 3 and not any(extra[1:]) and (len(extra) == surplus or surplus == 1)
    if page.photometric == PHOTOMETRIC.SEPARATED:
        return surplus <= 3 and not any(extra) and len(extra) == surplus
    return page.photometric == PHOTOMETRIC.MINISBLACK and extra in ((0,), (2,))


def alpha_channel(page: TiffPage, colors: int) -> tuple[int | None, bool]:
    """Return the number of the channel that holds alpha, and whether the colors are multiplied by it.

    It is the first extra channel that the file declares as alpha. A single undeclared one next to grey or RGB is
    alpha, too, as in libtiff and Pillow. Others are spot colors or unknown, and left out.
    """
    for number, kind in enumerate(page.extrasamples):
        if kind in (EXTRASAMPLE.ASSOCALPHA, EXTRASAMPLE.UNASSALPHA):
            return colors + number, kind == EXTRASAMPLE.ASSOCALPHA
    undeclared = not page.extrasamples and colors < 4 and page.samplesperpixel == colors + 1
    return (colors if undeclared else None), False


def is_lab(page: TiffPage) -> bool:
    """Tell whether the colors of a page are CIE L*a*b*."""
    return page.photometric in (PHOTOMETRIC.CIELAB, PHOTOMETRIC.ICCLAB)


def lab_of(path: Path, page: TiffPage, levels: NDArray[Any]) -> NDArray[np.float32]:
    """Convert stored levels (H x W x 3) to L* of 0..100, and a* and b* of about -128..128.

    CIELAB stores a* and b* with a sign; ICCLAB adds 128, and its L* = 100 is 0xFF00 in 16 bits (Adobe's technical
    notes on TIFF).

    Raises:
        ImageError: the page has neither 8 nor 16 bits per channel, so the scale is unknown.

    """
    bits = page.bitspersample
    if levels.dtype.kind != "u" or bits not in (8, 16):
        raise ImageError(f"{path} is CIELAB with unusual levels; save it as RGB", path=path, kind=Kind.UNSUPPORTED)
    icc = page.photometric == PHOTOMETRIC.ICCLAB
    lab = levels.astype(np.float32)
    lab[..., 0] *= np.float32(100 / (0xFF00 if icc and bits == 16 else 2**bits - 1))
    lab[..., 1:] /= np.float32(2 ** (bits - 8))
    if icc:
        lab[..., 1:] -= 128
    else:
        lab[..., 1:] -= 256 * (lab[..., 1:] >= 128).astype(np.float32)
    return lab

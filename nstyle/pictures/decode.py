"""Pictures as files: decode, encode, and the recipe that a written picture carries with it.

Pillow decodes whatever has 8 bits a channel, imagecodecs (libpng) and tifffile what has more, pillow-heif HEIC. All
are given files that strangers made, so that headers are judged before pixels are decoded.
"""

import logging
import math
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_heif
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from nstyle.errors import ImageError
from nstyle.pictures.icc import Levels, to_srgb
from nstyle.pictures.picture import SMALLEST_EDGE, Alpha, Picture, fill_hidden

MOST_PIXELS = 2 * 2**30 // 12
"""Pixels of the largest picture that is read: 179 million, whose colours alone fill 2 GiB."""

LONGEST_EDGE = 2**16 - 1
"""Pixels of the longest edge that is read: what the JPEG format has room for. Fewer are painted and written."""

MOST_BYTES = 2 * 2**30
"""Bytes of the largest file that is read: 16-bit RGBA of `MOST_PIXELS`, not compressed at all, has fewer."""

# What the decoders are known to raise on files that are cut off, corrupted or hostile.
_DECODING_ERRORS = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    struct.error,
    zlib.error,
)

# What Pillow reads: formats of pictures. It has more, of which some run other programs (Ghostscript for EPS).
_FORMATS = (
    *("JPEG", "MPO", "PNG", "TIFF", "WEBP", "GIF", "BMP", "AVIF", "JPEG2000", "PPM", "TGA", "ICO", "PCX"),
    *("DIB", "QOI", "SGI"),
)

_ORIENTATION = 0x0112  # EXIF: how to turn the pixels to see them upright


@dataclass
class _Raster:
    """A picture as decoded.

    Attributes:
        levels: H x W x C, grey, RGB or CMYK (as ink); 0..255 in uint8, or 0..1 in float32; not multiplied by alpha.
        alpha: H x W, if the file has any.
        profile: ICC, if the file has any.
        orientation: EXIF's, 1 to 8, if it is yet to be applied.

    """

    levels: Levels
    alpha: Alpha | None = None
    profile: bytes | None = None
    orientation: int = 1


def read_picture(path: Path) -> Picture:
    """Decode a picture file: JPEG, PNG, TIFF, WebP, HEIC, AVIF, GIF, BMP, JPEG 2000 and others that Pillow reads.

    PNG and TIFF of more than 8 bits a channel (TIFF in floating point, too, 0..1) and HEIC of 10 and 12 are read in
    full, other formats in 8 bits. The orientation that the camera noted is applied. Colours are converted to sRGB by
    the file's ICC profile; without one they are taken for sRGB. Of an animation the first frame counts. Pixels that
    are wholly transparent get the colours of the nearest ones that are not: what a file hides there means nothing.

    Memory: files of up to `MOST_BYTES`, `MOST_PIXELS` and `LONGEST_EDGE` are read (fewer pixels of a TIFF where one
    has more than 64 bits), which the header tells before anything is decoded. Decoding takes up to 48 bytes a pixel
    beside the file itself, 24 where 8-bit RGB in sRGB is read.

    Raises:
        ImageError: no such file, not a picture, cut off, wholly transparent, levels of unknown scale, smaller than 16
            pixels on an edge, or far too large.

    """
    with reading(path):
        raster = _decode(path)
        rgb = _upright(to_srgb(raster.levels, raster.profile), raster.orientation)
        alpha = (
            None if raster.alpha is None or raster.alpha.min() >= 1 else _upright(raster.alpha, raster.orientation)
        )
        del raster  # its levels need memory that is wanted now
        if alpha is not None:
            if not alpha.any():
                raise ImageError(f"{path} is wholly transparent; take a picture that shows something")
            rgb = fill_hidden(rgb, alpha > 0)
    height, width, _ = rgb.shape
    if min(height, width) < SMALLEST_EDGE:
        raise ImageError(f"{path} has {width}x{height} pixels; take one with at least {SMALLEST_EDGE} on each edge")
    return Picture(rgb, alpha)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Word whatever goes wrong with a picture file while it is read, and keep decoders quiet.

    Raises:
        ImageError: always with the name, the cause and the way out.

    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(f"{path} does not exist; name a picture file") from error
    except OSError as error:
        raise ImageError(f"{path} may not be read: {error.strerror}; check the name and its folder") from error
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(
            f"{path} is {'a folder' if stat.S_ISDIR(status.st_mode) else 'not a file'}; name a picture file"
        )
    if status.st_size > MOST_BYTES:
        raise ImageError(f"{path} is larger than {MOST_BYTES / 1e9:.1f} GB; scale the picture down first")
    try:
        with warnings.catch_warnings(), _silenced_decoders():
            warnings.simplefilter("ignore")  # Pillow's advice to programmers; what it cannot read, it raises
            yield
    except PermissionError as error:
        raise ImageError(f"{path} may not be read; give yourself permission (chmod u+r)") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path} has far too many pixels ({error}); scale it down first") from error
    except MemoryError as error:
        raise ImageError(f"{path} needs more memory than there is to be read; scale it down first") from error
    except _DECODING_ERRORS as error:
        reason = "is empty" if status.st_size == 0 else "is not a picture that can be read, or is damaged"
        raise ImageError(f"{path} {reason}; name a whole JPEG, PNG, TIFF, WebP, ... file") from error


@contextmanager
def _silenced_decoders() -> Iterator[None]:
    """Keep libtiff, which knows nothing of Python, and tifffile from writing to standard error; errors are raised."""
    log = logging.getLogger("tifffile")
    was_disabled, log.disabled = log.disabled, True
    try:
        stderr = os.dup(2)
    except OSError:  # there is no standard error
        stderr = None
    else:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)
    try:
        yield
    finally:
        log.disabled = was_disabled
        if stderr is not None:
            os.dup2(stderr, 2)
            os.close(stderr)


def _check_size(path: Path, width: int, height: int, bits: int = 64) -> None:
    """Refuse what would fill the memory, before it does; of pixels with more than 64 bits, fewer are allowed."""
    if max(width, height) > LONGEST_EDGE:
        raise ImageError(
            f"{path} has an edge of far too many pixels ({width}x{height}, at most {LONGEST_EDGE} are read); "
            "crop it first"
        )
    most = MOST_PIXELS * 64 // max(64, bits)
    if width * height > most:
        raise ImageError(
            f"{path} has far too many pixels ({width}x{height}, at most {most / 1e6:.0f} million are read); "
            "scale it down first"
        )


def head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)


def is_tiff(head: bytes) -> bool:
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_heif(head: bytes) -> bool:
    """Tell HEIC and its like from everything else, AVIF among it, which has the same container."""
    return head[4:8] == b"ftyp" and head[8:10] in (b"he", b"mi", b"ms") and b"avi" not in head


def _decode(path: Path) -> _Raster:
    """Decode a file by whatever library keeps the most of it."""
    head = head_of(path)
    if is_heif(head):
        return _decode_heif(path)
    if is_tiff(head):
        raster = _decode_deep_tiff(path)
        if raster is not None:
            return raster
    with open_by_pillow(path) as picture:
        if picture.format == "PNG" and head[24:25] == b"\x10":
            return _decode_deep_png(path, picture)
        return _decode_by_pillow(path, picture)


@contextmanager
def open_by_pillow(path: Path) -> Iterator[Image.Image]:
    """Read a header by Pillow, in one of our formats; it may have many pixels, not too many.

    Pillow is not told the name: it would map the file to memory, and mix up the rows of a TIFF that lies on its side.
    """
    Image.init()
    formats = [name for name in _FORMATS if name in Image.OPEN]
    with path.open("rb") as file, Image.open(file, formats=formats) as picture:
        _check_size(path, *picture.size)
        yield picture


def _decode_by_pillow(path: Path, picture: Image.Image) -> _Raster:
    """Decode 8 bits a channel, and 16 of the grey formats that Pillow alone reads."""
    ImageOps.exif_transpose(picture, in_place=True)
    profile = picture.info.get("icc_profile")
    if picture.mode.startswith("I"):  # 16 bits, held in 16 or 32
        return _Raster(_in_range(path, np.asarray(picture, np.float32) / np.float32(65535))[..., None], None, profile)
    if picture.mode == "F":
        return _Raster(_in_range(path, np.asarray(picture, np.float32))[..., None], None, profile)
    if picture.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
        return _Raster(np.asarray(converted))
    if picture.has_transparency_data:
        levels = np.asarray(picture.convert("LA" if picture.mode in ("1", "L", "LA", "La") else "RGBA"))
        return _Raster(levels[..., :-1], levels[..., -1].astype(np.float32) / np.float32(255), profile)
    if picture.mode in ("1", "L"):
        return _Raster(np.asarray(picture.convert("L"))[..., None], None, profile)
    return _Raster(np.asarray(picture if picture.mode == "CMYK" else picture.convert("RGB")), None, profile)


def _decode_deep_png(path: Path, header: Image.Image) -> _Raster:
    """Decode a PNG of 16 bits a channel, of which Pillow would keep 8."""
    orientation = header.getexif().get(_ORIENTATION, 1)
    levels = imagecodecs.png_decode(path.read_bytes())
    if levels.dtype != np.uint16 or levels.shape[:2] != header.size[::-1]:
        raise ValueError("the two decoders do not agree")
    levels = (levels if levels.ndim == 3 else levels[..., None]).astype(np.float32)
    levels /= np.float32(65535)
    alpha = levels.shape[2] in (2, 4)
    return _Raster(
        levels[..., :-1] if alpha else levels,
        levels[..., -1].copy() if alpha else None,
        header.info.get("icc_profile"),
        orientation,
    )


_TIFF_CHANNELS = {
    tifffile.PHOTOMETRIC.MINISWHITE: 1,
    tifffile.PHOTOMETRIC.MINISBLACK: 1,
    tifffile.PHOTOMETRIC.RGB: 3,
    tifffile.PHOTOMETRIC.SEPARATED: 4,
}


def _decode_deep_tiff(path: Path) -> _Raster | None:
    """Decode a TIFF of more than 8 bits a channel, whole numbers or floating point; None if it has fewer."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        bits = page.samplesperpixel * page.bitspersample
        _check_size(path, page.imagewidth, page.imagelength * page.imagedepth, bits)
        if len(page.dataoffsets) < math.prod(page.chunked) or 0 in page.databytecounts:
            raise ValueError("parts are missing")  # which tifffile and Pillow would paint black, at any size
        if page.bitspersample <= 8:
            return None
        channels = _TIFF_CHANNELS.get(page.photometric)  # type: ignore[call-overload]  # a number, if it is unknown
        if channels is None or page.samplesperpixel > 8:
            raise ImageError(f"{path} is a TIFF of a kind that is not read (a raw photo?); save it as RGB")
        planes, depth, _, _, samples = page.shaped
        if depth != 1 or planes * samples != page.samplesperpixel or page.samplesperpixel < channels:
            raise ValueError("not a flat picture")
        decoded = page.asarray(squeeze=False, maxworkers=1)
        decoded = decoded[0, 0] if planes == 1 else np.moveaxis(decoded[:, 0, :, :, 0], 0, -1)
        if decoded.dtype.kind == "u":
            levels = decoded.astype(np.float32)
            levels /= np.float32(2**page.bitspersample - 1)
        elif decoded.dtype.kind == "f":
            levels = _in_range(path, decoded.astype(np.float32, copy=False))
        else:
            raise ValueError("levels with a sign")
        extra = page.extrasamples[:1]
        orientation, profile = page.tags.valueof(_ORIENTATION, 1), page.iccprofile
        inverted = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
    alpha = levels[..., channels].copy() if extra and extra[0] in (1, 2) else None
    levels = levels[..., :channels]
    if inverted:
        levels = 1 - levels
    if alpha is not None and extra[0] == tifffile.EXTRASAMPLE.ASSOCALPHA:
        levels = _unmultiplied(levels, alpha)
    return _Raster(levels, alpha, profile, orientation)


def _decode_heif(path: Path) -> _Raster:
    """Decode a HEIC in all of its bits. libheif turns it as the container says, which EXIF only repeats."""
    heif = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)
    _check_size(path, *heif.size)
    profile = heif.info.get("icc_profile")
    if profile is None and (heif.info.get("nclx_profile") or {}).get("transfer_characteristics") in (16, 18):
        raise ImageError(f"{path} has high dynamic range (PQ or HLG); export it as an ordinary picture")
    decoded, mode = np.array(heif), heif.mode.split(";")[0]  # a copy: the buffer may not outlive the file
    levels = decoded.reshape(*decoded.shape[:2], -1)[:, : heif.size[0]]
    if mode not in ("L", "LA", "La", "RGB", "RGBA", "RGBa") or levels.shape[2] != len(mode):
        raise ValueError("unknown channels")
    if levels.dtype != np.uint8:  # 10 or 12 bits, held in the upper ones of 16
        bits = heif.info["bit_depth"]
        levels = levels.astype(np.float32) / np.float32((2**bits - 1) << (16 - bits))
    if mode[-1] not in "Aa":
        return _Raster(levels, None, profile)
    scale = np.float32(255 if levels.dtype == np.uint8 else 1)
    alpha = levels[..., -1].astype(np.float32) / scale
    levels = levels[..., :-1]
    if mode[-1] == "a":
        levels = _unmultiplied(levels.astype(np.float32) / scale, alpha)
    return _Raster(levels, alpha, profile)


def _in_range(path: Path, levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the levels, which must lie in 0..1: any other range has an unknown scale (heights, light, ...)."""
    if not (levels.min() >= 0 and levels.max() <= 1):  # nor is NaN
        raise ImageError(
            f"{path} has levels outside of 0..1, of unknown scale; save the picture with 16-bit channels"
        )
    return levels


def _unmultiplied(levels: NDArray[np.float32], alpha: Alpha) -> NDArray[np.float32]:
    """Divide levels (H x W x C) by the alpha that they were multiplied with ("associated", "premultiplied")."""
    return np.clip(levels / np.where(alpha > 0, alpha, 1)[..., None], 0, 1)


def _upright(array: NDArray[np.float32], orientation: object) -> NDArray[np.float32]:
    """Turn and mirror an array (H x W or H x W x C) as EXIF's orientation demands; what is not one of its is 1."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)

"""Decode picture files.

Pillow decodes 8 bits per channel; imagecodecs (libpng) and tifffile decode more; pillow-heif decodes HEIC.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_heif
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from nstyle.errors import ImageError, Kind
from nstyle.pictures.exif import orientation_of
from nstyle.pictures.icc import Levels, to_srgb
from nstyle.pictures.limits import SHORTEST_EDGE
from nstyle.pictures.opening import check_size, head_of, is_heif, is_tiff, open_by_pillow, reading
from nstyle.pictures.picture import Alpha, Picture, fill_hidden
from nstyle.pictures.png_file import plain_png
from nstyle.pictures.tiff_pages import is_raw_photo, picture_page, raw_photo

_ORIENTATION = 0x0112  # EXIF tag: how to rotate and mirror the pixels for display


@dataclass
class _Raster:
    """The contents of a picture file.

    Attributes:
        levels: H x W x C; grey, RGB or CMYK (amount of ink); 0..255 in uint8, or 0..1 in float32; not multiplied by
            alpha.
        alpha: H x W, range 0..1; None if the file has none.
        profile: the file's ICC profile; None if it has none.
        orientation: EXIF's orientation, 1 to 8, not yet applied.

    """

    levels: Levels
    alpha: Alpha | None = None
    profile: bytes | None = None
    orientation: int = 1


def read_picture(path: Path, edge: int | None = None) -> Picture:
    """Decode a picture file in any of the formats in `nstyle.pictures.formats`. Thread-safe.

    PNG and TIFF with more than 8 bits per channel (including floating-point TIFF, 0..1) and HEIC with 10 or 12 bits
    keep their precision; other formats are read in 8 bits. The camera's orientation is applied. Colors are converted
    to sRGB with the file's ICC profile; without one they count as sRGB. An animation gives its first frame, a TIFF
    the picture and not its thumbnail. Wholly transparent pixels get the color of the nearest visible pixel, because
    their own color means nothing.

    Memory: a picture above the limits in `nstyle.pictures.limits` is refused before it is decoded (the limit is lower
    for a TIFF with more than 64 bits per pixel). Decoding needs up to 48 bytes per pixel besides the file itself, and
    24 for 8-bit RGB in sRGB.

    Damage: notes that are rubbish (EXIF, XMP, texts, profiles) are ignored. A file that lacks pixels is refused. A
    PNG that lacks only what follows its pixels is read, and so is a JPEG that lacks up to a sixteenth of its rows or
    has damaged parts; the log warns of it.

    Args:
        path: the file.
        edge: longest edge of what is made from the picture, in pixels; None if it is unknown. A JPEG above
            `nstyle.pictures.limits.LARGE` pixels is read at a reduced size that is enough for it.

    Raises:
        ImageError: the file does not exist, is not a picture or is truncated; or the picture is wholly transparent,
            has levels of unknown scale, has an edge below 16 pixels, or is too large. If the program turns warnings
            into errors, a decoder's warning makes a file count as damaged.

    """
    with reading(path):
        raster = _decode(path, edge)
        rgb = _upright(to_srgb(raster.levels, raster.profile), raster.orientation)
        alpha = (
            None if raster.alpha is None or raster.alpha.min() >= 1 else _upright(raster.alpha, raster.orientation)
        )
        del raster  # free the memory of its levels before the next step
        if alpha is not None:
            if not alpha.any():
                raise ImageError(
                    f"{path} is completely transparent; use a picture with visible pixels",
                    path=path,
                    kind=Kind.MISSING,
                )
            rgb = fill_hidden(rgb, alpha > 0)
    height, width, _ = rgb.shape
    if min(height, width) < SHORTEST_EDGE:
        raise ImageError(
            f"{path} has {width}x{height} pixels; use a picture with at least {SHORTEST_EDGE} on each edge",
            path=path,
            kind=Kind.OUT_OF_RANGE,
        )
    return Picture(rgb, alpha)


def _decode(path: Path, edge: int | None) -> _Raster:
    """Decode a file with the library that keeps its full precision."""
    head = head_of(path)
    if is_raw_photo(head):
        raise raw_photo(path)
    if is_heif(head):
        return _decode_heif(path)
    if is_tiff(head):
        raster = _decode_deep_tiff(path)
        if raster is not None:
            return raster
    with open_by_pillow(path, edge) as picture:
        if picture.format == "PNG" and head[24:25] == b"\x10":
            return _decode_deep_png(path, picture)
        return _decode_by_pillow(path, picture)


def _decode_by_pillow(path: Path, picture: Image.Image) -> _Raster:
    """Decode 8 bits per channel, or 16-bit grey in formats that only Pillow reads."""
    picture = _turned(picture)
    profile = picture.info.get("icc_profile")
    if picture.mode.startswith("I"):  # 16 bits, stored in 16 or 32
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


def _turned(picture: Image.Image) -> Image.Image:
    """Decode a picture and apply EXIF's orientation, which Pillow applies by itself only to TIFF."""
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    picture.load()
    turn = None if picture.format == "TIFF" else turns.get(orientation_of(picture.info.get("exif")))
    return picture if turn is None else picture.transpose(turn)


def _decode_deep_png(path: Path, header: Image.Image) -> _Raster:
    """Decode a PNG with 16 bits per channel; Pillow would keep only 8."""
    orientation = orientation_of(header.info.get("exif"))
    levels = imagecodecs.png_decode(plain_png(path.read_bytes())[0])
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
    """Decode a TIFF with more than 8 bits per channel, integer or floating point; return None for any other."""
    with tifffile.TiffFile(path) as tiff:
        page = picture_page(path, tiff)
        bits = page.samplesperpixel * page.bitspersample
        check_size(path, page.imagewidth, page.imagelength * page.imagedepth, bits)
        if len(page.dataoffsets) < math.prod(page.chunked) or 0 in page.databytecounts:
            raise ValueError("parts are missing")  # tifffile and Pillow would fill them with black
        if page.bitspersample <= 8:
            return None
        channels = _TIFF_CHANNELS.get(page.photometric)  # type: ignore[call-overload]  # an unknown one is an int
        if channels is None or page.samplesperpixel > 8:
            raise ImageError(
                f"{path} is an unsupported kind of TIFF (a raw photo?); save it as RGB",
                path=path,
                kind=Kind.UNSUPPORTED,
            )
        planes, depth, _, _, samples = page.shaped
        if planes > len(page.dataoffsets) and not page.is_contiguous:
            raise ValueError("planes are missing")  # tifffile would return uninitialized memory for them
        if depth != 1 or planes * samples != page.samplesperpixel or page.samplesperpixel < channels:
            raise ValueError("not a two-dimensional picture")
        decoded = page.asarray(squeeze=False, maxworkers=1)
        decoded = decoded[0, 0] if planes == 1 else np.moveaxis(decoded[:, 0, :, :, 0], 0, -1)
        if decoded.dtype.kind == "u":
            levels = decoded.astype(np.float32)
            levels /= np.float32(2**page.bitspersample - 1)
        elif decoded.dtype.kind == "f":
            levels = _in_range(path, decoded.astype(np.float32, copy=False))
        else:
            raise ValueError("signed levels")
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
    """Decode a HEIC in full precision. libheif applies the container's orientation; EXIF repeats it."""
    heif = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)
    check_size(path, *heif.size)
    profile = heif.info.get("icc_profile")
    if profile is None and (heif.info.get("nclx_profile") or {}).get("transfer_characteristics") in (16, 18):
        raise ImageError(
            f"{path} has high dynamic range (PQ or HLG), which is not supported; export it as an ordinary picture",
            path=path,
            kind=Kind.UNSUPPORTED,
        )
    decoded, mode = np.array(heif), heif.mode.split(";")[0]  # copied: the buffer is valid only as long as the file
    levels = decoded.reshape(*decoded.shape[:2], -1)[:, : heif.size[0]]
    if mode not in ("L", "LA", "La", "RGB", "RGBA", "RGBa") or levels.shape[2] != len(mode):
        raise ValueError("unknown channels")
    if levels.dtype != np.uint8:  # 10 or 12 bits, stored in the upper bits of 16
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
    """Return the levels if they are in 0..1. Others, such as heights or radiances, have an unknown scale.

    Raises:
        ImageError: a level is outside 0..1, or NaN.

    """
    if not (levels.min() >= 0 and levels.max() <= 1):  # `not`: NaN fails, too
        raise ImageError(
            f"{path} has levels outside 0..1, so their scale is unknown; save the picture with 16-bit channels",
            path=path,
            kind=Kind.UNSUPPORTED,
        )
    return levels


def _unmultiplied(levels: NDArray[np.float32], alpha: Alpha) -> NDArray[np.float32]:
    """Divide levels (H x W x C) by alpha, because the file stores them multiplied (premultiplied alpha)."""
    return np.clip(levels / np.where(alpha > 0, alpha, 1)[..., None], 0, 1)


def _upright(array: NDArray[np.float32], orientation: object) -> NDArray[np.float32]:
    """Rotate and mirror an array (H x W or H x W x C) as EXIF's orientation says; an unknown one changes nothing."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)

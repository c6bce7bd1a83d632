"""Decoding picture files.

Pillow decodes whatever has 8 bits a channel, imagecodecs (libpng) and tifffile what has more, pillow-heif HEIC.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_heif
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from nstyle.errors import ImageError, Kind
from nstyle.pictures.icc import Levels, to_srgb
from nstyle.pictures.limits import SHORTEST_EDGE
from nstyle.pictures.opening import check_size, head_of, is_heif, is_tiff, open_by_pillow, reading
from nstyle.pictures.picture import Alpha, Picture, fill_hidden

_ORIENTATION = 0x0112  # EXIF: how to turn the pixels to see them upright


@dataclass
class _Raster:
    """A picture as decoded.

    Attributes:
        levels: H x W x C, grey, RGB or CMYK (as ink); 0..255 in uint8, or 0..1 in float32; not multiplied by alpha.
        alpha: H x W, range 0..1; None if the file has none.
        profile: the file's ICC profile; None if it has none.
        orientation: EXIF's, 1 to 8, which is yet to be applied.

    """

    levels: Levels
    alpha: Alpha | None = None
    profile: bytes | None = None
    orientation: int = 1


def read_picture(path: Path) -> Picture:
    """Decode a picture file in any of the formats in `nstyle.pictures.formats`. Safe in several threads at once.

    PNG and TIFF of more than 8 bits a channel (TIFF in floating point, too, 0..1) and HEIC of 10 and 12 are read in
    full, other formats in 8 bits. The orientation that the camera noted is applied. Colours are converted to sRGB by
    the file's ICC profile; without one they are taken for sRGB. Of an animation, the first frame is read. Pixels that
    are wholly transparent get the colours of the nearest ones that are not: what a file hides there means nothing.

    Memory: the header tells how large a picture is, and one above the limits in `nstyle.pictures.limits` is refused
    before anything is decoded (a TIFF of more than 64 bits a pixel may have fewer pixels). Decoding takes up to 48
    bytes a pixel besides the file itself, and 24 for 8-bit RGB in sRGB.

    Raises:
        ImageError: the file does not exist, is no picture or is cut off, or the picture is wholly transparent, has
            levels of unknown scale, has less than 16 pixels on an edge, or is far too large. If the program makes
            warnings errors, a file of which a decoder would only warn is refused as damaged, too.

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
                raise ImageError(
                    f"{path} is wholly transparent; take a picture that shows something", path=path, kind=Kind.MISSING
                )
            rgb = fill_hidden(rgb, alpha > 0)
    height, width, _ = rgb.shape
    if min(height, width) < SHORTEST_EDGE:
        raise ImageError(
            f"{path} has {width}x{height} pixels; take one with at least {SHORTEST_EDGE} on each edge",
            path=path,
            kind=Kind.OUT_OF_RANGE,
        )
    return Picture(rgb, alpha)


def _decode(path: Path) -> _Raster:
    """Decode a file by the library that keeps the most of its precision."""
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


def _decode_by_pillow(path: Path, picture: Image.Image) -> _Raster:
    """Decode 8 bits a channel, or 16 in the grey formats that Pillow alone reads."""
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
    """Decode a PNG of 16 bits a channel; Pillow would keep 8 of them."""
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
    """Decode a TIFF of more than 8 bits a channel, whole numbers or floating point; return None for any other."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        bits = page.samplesperpixel * page.bitspersample
        check_size(path, page.imagewidth, page.imagelength * page.imagedepth, bits)
        if len(page.dataoffsets) < math.prod(page.chunked) or 0 in page.databytecounts:
            raise ValueError("parts are missing")  # tifffile and Pillow would paint them black, at any size
        if page.bitspersample <= 8:
            return None
        channels = _TIFF_CHANNELS.get(page.photometric)  # type: ignore[call-overload]  # a number, if it is unknown
        if channels is None or page.samplesperpixel > 8:
            raise ImageError(
                f"{path} is a TIFF of a kind that is not read (a raw photo?); save it as RGB",
                path=path,
                kind=Kind.UNSUPPORTED,
            )
        planes, depth, _, _, samples = page.shaped
        if planes > len(page.dataoffsets) and not page.is_contiguous:
            raise ValueError("planes are missing")  # tifffile would leave theirs as the memory was
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
    """Decode a HEIC in all of its bits. libheif applies the container's orientation, which EXIF only repeats."""
    heif = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)
    check_size(path, *heif.size)
    profile = heif.info.get("icc_profile")
    if profile is None and (heif.info.get("nclx_profile") or {}).get("transfer_characteristics") in (16, 18):
        raise ImageError(
            f"{path} has high dynamic range (PQ or HLG); export it as an ordinary picture",
            path=path,
            kind=Kind.UNSUPPORTED,
        )
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
    """Return the levels if they lie in 0..1; any other range has an unknown scale (heights, light, ...).

    Raises:
        ImageError: they do not.

    """
    if not (levels.min() >= 0 and levels.max() <= 1):  # nor is NaN
        raise ImageError(
            f"{path} has levels outside of 0..1, of unknown scale; save the picture with 16-bit channels",
            path=path,
            kind=Kind.UNSUPPORTED,
        )
    return levels


def _unmultiplied(levels: NDArray[np.float32], alpha: Alpha) -> NDArray[np.float32]:
    """Divide levels (H x W x C) by the alpha that they were multiplied with ("associated", "premultiplied")."""
    return np.clip(levels / np.where(alpha > 0, alpha, 1)[..., None], 0, 1)


def _upright(array: NDArray[np.float32], orientation: object) -> NDArray[np.float32]:
    """Turn and mirror an array (H x W or H x W x C) as EXIF's orientation demands; an unknown one counts as 1."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)

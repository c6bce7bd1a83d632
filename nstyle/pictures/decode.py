"""Decode picture files.

Pillow decodes 8 bits per channel; imagecodecs (libpng) and tifffile decode more; pillow-heif decodes HEIC, and
imagecodecs JPEG XL.
"""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile

from nstyle.errors import ImageError, Kind
from nstyle.pictures.color_encoding import profile_of_code_points, refuse_high_dynamic_range
from nstyle.pictures.embedded_color import jpeg2000_is_multiplied, png_color, profile_of, profile_of_tiff
from nstyle.pictures.exif import orientation_of
from nstyle.pictures.icc import Levels, lab_to_srgb, to_srgb
from nstyle.pictures.jpeg_xl import is_jpeg_xl, read_header
from nstyle.pictures.limits import SHORTEST_EDGE
from nstyle.pictures.opening import check_size, head_of, is_heif, is_tiff, open_by_pillow, reading
from nstyle.pictures.picture import Alpha, Picture, fill_hidden
from nstyle.pictures.png_file import plain_png
from nstyle.pictures.tiff_channels import (
    alpha_channel,
    color_channels,
    is_lab,
    lab_of,
    pillow_reads,
    refuse_unknown_levels,
)
from nstyle.pictures.tiff_pages import is_raw_photo, picture_page, raw_photo

_log = logging.getLogger(__name__)

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

    PNG, TIFF and JPEG XL with more than 8 bits per channel (including floating point, 0..1) and HEIC with 10 or 12
    bits keep their precision; other formats are read in 8 bits. The camera's orientation is applied. Colors are
    converted to sRGB with the file's ICC profile, or as the file says in another way
    (`nstyle.pictures.embedded_color`); if it says nothing, they count as sRGB. A JPEG XL with an ICC profile, in
    linear light, or with a preview is refused. An animation gives its first frame, a TIFF the picture and not its
    thumbnail.
    Wholly transparent pixels get the color of the nearest visible pixel, because their own color means nothing.

    Memory: a picture above the limits in `nstyle.pictures.limits` is refused before it is decoded (the limit is lower
    for a TIFF with more than 64 bits per pixel). Decoding needs up to 40 bytes per pixel besides the file itself, and
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
            has levels of unknown scale, has colors that cannot be converted, has an edge below 16 pixels, or is too
            large. If the program turns warnings into errors, a decoder's warning makes a file count as damaged.

    """
    with reading(path):
        raster = _decode(path, edge)
        if raster.profile is not None:
            refuse_high_dynamic_range(path, raster.profile)
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
    if is_jpeg_xl(head):
        return _decode_jpeg_xl(path)
    if is_tiff(head):
        raster = _decode_deep_tiff(path)
        if raster is not None:
            return raster
    with open_by_pillow(path, edge) as picture:
        if picture.format == "PNG":
            return _decode_png(path, picture, head)
        return _decode_by_pillow(path, picture, profile_of(path, picture))


def _decode_by_pillow(path: Path, picture: Image.Image, profile: bytes | None) -> _Raster:
    """Decode 8 bits per channel, or 16-bit grey in formats that only Pillow reads."""
    picture = _on_canvas(picture) if picture.format == "GIF" else _turned(picture)
    if picture.mode.startswith("I"):  # 16 bits, stored in 16 or 32
        return _Raster(_in_range(path, _scaled(np.asarray(picture), 65535))[..., None], None, profile)
    if picture.mode == "F":
        return _Raster(_in_range(path, np.asarray(picture, np.float32))[..., None], None, profile)
    if picture.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
        return _Raster(np.asarray(converted))
    if picture.mode == "RGBA" and profile is not None and profile[16:20] == b"CMYK":  # of a JPEG 2000
        return _Raster(np.asarray(picture), None, profile)
    if picture.has_transparency_data:
        levels = np.asarray(picture.convert("LA" if picture.mode in ("1", "L", "LA", "La") else "RGBA"))
        alpha = _scaled(levels[..., -1], 255)
        if picture.format == "JPEG2000" and jpeg2000_is_multiplied(path):
            return _Raster(_unmultiplied(_scaled(levels[..., :-1], 255), alpha), alpha, profile)
        return _Raster(levels[..., :-1], alpha, profile)
    if picture.mode in ("1", "L"):
        return _Raster(np.asarray(picture.convert("L"))[..., None], None, profile)
    return _Raster(np.asarray(picture if picture.mode == "CMYK" else picture.convert("RGB")), None, profile)


def _on_canvas(picture: Image.Image) -> Image.Image:
    """Decode a GIF; around a first frame that is smaller than the picture, it is transparent, as browsers show it."""
    box = picture.tile[0][1] if isinstance(picture, ImageFile.ImageFile) and picture.tile else None
    if box is None or box == (0, 0, *picture.size):
        picture.load()
        return picture
    canvas = Image.new("RGBA", picture.size)
    canvas.paste(picture.convert("RGBA").crop(box), box)
    return canvas


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


def _decode_png(path: Path, picture: Image.Image, head: bytes) -> _Raster:
    """Decode a PNG; by libpng if Pillow would lose precision or a transparent color."""
    color = png_color(path)
    profile = color.profile if color.stated else profile_of(path, picture)
    deep = head[24:25] == b"\x10"
    if deep or color.color_key:
        raster = _decode_by_libpng(path, picture, profile)
    else:
        raster = _decode_by_pillow(path, picture, profile)
    if color.narrow:
        raster.levels = _from_narrow_range(raster.levels)
    return raster


def _decode_by_libpng(path: Path, header: Image.Image, profile: bytes | None) -> _Raster:
    """Decode a PNG without a palette: 16 bits per channel, of which Pillow would keep only 8, or up to 8 bits."""
    orientation = orientation_of(header.info.get("exif"))
    content, _, complaint = plain_png(path.read_bytes())
    levels = imagecodecs.png_decode(content)
    del content  # free the memory
    if levels.shape[:2] != header.size[::-1]:
        raise ValueError("the two decoders do not agree")
    if complaint is not None:
        _log.warning("%s %s", path, complaint)
    levels = levels if levels.ndim == 3 else levels[..., None]
    white = np.iinfo(levels.dtype).max
    alpha = _scaled(levels[..., -1], white) if levels.shape[2] in (2, 4) else None
    levels = levels if alpha is None else levels[..., :-1]
    if levels.dtype != np.uint8:
        levels = _scaled(levels, white)
    return _Raster(levels, alpha, profile, orientation)


def _from_narrow_range(levels: Levels) -> NDArray[np.float32]:
    """Stretch video's narrow range: 16 to 235 of 255, and as many times more in 16 bits, to 0..1 (H.273, 8.3)."""
    white, unit = (255, 1) if levels.dtype == np.uint8 else (65535, 256)
    stretched = levels.astype(np.float32)
    stretched *= np.float32(1 if levels.dtype == np.uint8 else white)
    stretched -= np.float32(16 * unit)
    stretched /= np.float32(219 * unit)
    return np.clip(stretched, 0, 1, out=stretched)


def _decode_deep_tiff(path: Path) -> _Raster | None:
    """Decode a TIFF that Pillow does not read well, such as one with more than 8 bits; return None for any other."""
    with tifffile.TiffFile(path) as tiff:
        page = picture_page(path, tiff)
        bits = page.samplesperpixel * page.bitspersample
        check_size(path, page.imagewidth, page.imagelength * page.imagedepth, bits)
        if len(page.dataoffsets) < math.prod(page.chunked) or 0 in page.databytecounts:
            raise ValueError("parts are missing")  # tifffile and Pillow would fill them with black
        refuse_unknown_levels(path, page)
        if pillow_reads(page):
            return None
        channels = color_channels(path, page)
        planes, depth, _, _, samples = page.shaped
        if planes > len(page.dataoffsets) and not page.is_contiguous:
            raise ValueError("planes are missing")  # tifffile would return uninitialized memory for them
        if depth != 1 or planes * samples != page.samplesperpixel or page.samplesperpixel < channels:
            raise ValueError("not a two-dimensional picture")
        decoded = page.asarray(squeeze=False, maxworkers=1)
        decoded = decoded[0, 0] if planes == 1 else np.moveaxis(decoded[:, 0, :, :, 0], 0, -1)
        return _tiff_raster(path, page, decoded, channels)


def _tiff_raster(path: Path, page: tifffile.TiffPage, decoded: NDArray[Any], channels: int) -> _Raster:
    """Interpret the channels of a TIFF page (H x W x C) of which the first ones, `channels`, are colors."""
    orientation, profile = page.tags.valueof(_ORIENTATION, 1), profile_of_tiff(path, page)
    white = 1 if decoded.dtype.kind == "f" else 2**page.bitspersample - 1
    number, multiplied = alpha_channel(page, channels)
    alpha = None if number is None else _scaled(decoded[..., number], white)
    colors = decoded[..., :channels]
    if is_lab(page):
        return _Raster(lab_to_srgb(lab_of(path, page, colors)), alpha, None, orientation)
    levels = _scaled(colors, white)
    if decoded.dtype.kind == "f":
        levels = _in_range(path, levels)
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        np.subtract(1, levels, out=levels)
    if alpha is not None and multiplied:
        levels = _unmultiplied(levels, alpha)
    return _Raster(levels, alpha, profile, orientation)


def _decode_heif(path: Path) -> _Raster:
    """Decode a HEIC in full precision. libheif applies the container's orientation; EXIF repeats it."""
    heif = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)
    check_size(path, *heif.size)
    profile, nclx = heif.info.get("icc_profile"), heif.info.get("nclx_profile")
    if profile is None and nclx:
        profile = profile_of_code_points(path, nclx["color_primaries"], nclx["transfer_characteristics"])
    decoded, mode = np.array(heif), heif.mode.split(";")[0]  # copied: the buffer is valid only as long as the file
    levels = decoded.reshape(*decoded.shape[:2], -1)[:, : heif.size[0]]
    if mode not in ("L", "LA", "La", "RGB", "RGBA", "RGBa") or levels.shape[2] != len(mode):
        raise ValueError("unknown channels")
    if levels.dtype != np.uint8:  # 10 or 12 bits, stored in the upper bits of 16
        bits = heif.info["bit_depth"]
        levels = _scaled(levels, (2**bits - 1) << (16 - bits))
    if mode[-1] not in "Aa":
        return _Raster(levels, None, profile)
    scale = 255 if levels.dtype == np.uint8 else 1
    alpha = _scaled(levels[..., -1], scale)
    levels = levels[..., :-1]
    if mode[-1] == "a":
        levels = _unmultiplied(_scaled(levels, scale), alpha)
    return _Raster(levels, alpha, profile)


def _decode_jpeg_xl(path: Path) -> _Raster:
    """Decode a JPEG XL in full precision. The decoder applies the orientation."""
    header = read_header(path)
    check_size(path, header.width, header.height)
    if not imagecodecs.JPEGXL.available:
        raise ImageError(
            f"{path} is JPEG XL, which this imagecodecs lacks; save it as PNG", path=path, kind=Kind.MISSING
        )
    if header.extra not in ((), (0,)):
        raise ImageError(f"{path} has unusual channels; save it as PNG", path=path, kind=Kind.UNSUPPORTED)
    levels = imagecodecs.jpegxl_decode(path.read_bytes(), index=0, numthreads=1)
    levels = levels if levels.ndim == 3 else levels[..., None]
    if levels.shape[2] not in ((2, 4) if header.extra else (1, 3)):
        raise ValueError("unknown channels")
    if levels.dtype.kind == "f":
        levels = _in_range(path, levels.astype(np.float32, copy=False))
    elif header.bits != 8:
        levels = _scaled(levels, 2**header.bits - 1)
    if not header.extra:
        return _Raster(levels, None, header.profile)
    scale = 255 if levels.dtype == np.uint8 else 1
    alpha = _scaled(levels[..., -1], scale)
    levels = levels[..., :-1]
    if header.multiplied:
        levels = _unmultiplied(_scaled(levels, scale), alpha)
    return _Raster(levels, alpha, header.profile)


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


def _scaled(levels: NDArray[Any], white: int) -> NDArray[np.float32]:
    """Return levels divided by that of white, in a new array."""
    scaled = levels.astype(np.float32)
    scaled /= np.float32(white)
    return scaled


def _unmultiplied(levels: NDArray[np.float32], alpha: Alpha) -> NDArray[np.float32]:
    """Divide levels (H x W x C) by alpha, in place, because the file stores them multiplied (premultiplied alpha)."""
    levels /= np.where(alpha > 0, alpha, 1)[..., None]
    return np.clip(levels, 0, 1, out=levels)


def _upright(array: NDArray[np.float32], orientation: object) -> NDArray[np.float32]:
    """Rotate and mirror an array (H x W or H x W x C) as EXIF's orientation says; an unknown one changes nothing."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)

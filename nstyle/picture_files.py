"""Pictures as files: decode, encode, and the recipe that a written picture carries with it.

Pillow decodes whatever has 8 bits a channel, imagecodecs (libpng) and tifffile what has more, pillow-heif HEIC. All
are given files that strangers made, so that headers are judged before pixels are decoded.
"""

import io
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

from nstyle.colour import SRGB_PROFILE, Levels, to_srgb
from nstyle.errors import ImageError, OutputError
from nstyle.files import replacing
from nstyle.images import SMALLEST_EDGE, Alpha, Picture, fill_hidden, on_white, to_uint8, to_uint16

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
_EXIF_FOLDER, _USER_COMMENT, _IMAGE_DESCRIPTION = 0x8769, 0x9286, 270
_RECIPE_MARK = "nstyle "
"""What the recipe begins with where others leave their words, too (EXIF, TIFF)."""


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
    with _reading(path):
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


def read_recipe_text(path: Path) -> str | None:
    """Return the recipe that `write_picture` embedded, or None if the picture has none.

    Raises:
        ImageError: no such file, or not a picture.

    """
    with _reading(path):
        head = _head(path)
        if _is_heif(head):
            pillow_heif.open_heif(path)
            return None
        if _is_tiff(head):
            with tifffile.TiffFile(path) as tiff:
                text = tiff.pages.first.tags.valueof(_IMAGE_DESCRIPTION)
        else:
            with _open(path) as picture:
                if picture.format == "PNG":
                    text = picture.info.get("nstyle")
                    return str(text) if isinstance(text, str) else None
                comment = picture.getexif().get_ifd(_EXIF_FOLDER).get(_USER_COMMENT)
                text = comment[8:].decode("ascii", "replace") if isinstance(comment, bytes) else None
    return text.removeprefix(_RECIPE_MARK) if isinstance(text, str) and text.startswith(_RECIPE_MARK) else None


@contextmanager
def _reading(path: Path) -> Iterator[None]:
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


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)


def _is_tiff(head: bytes) -> bool:
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _is_heif(head: bytes) -> bool:
    """Tell HEIC and its like from everything else, AVIF among it, which has the same container."""
    return head[4:8] == b"ftyp" and head[8:10] in (b"he", b"mi", b"ms") and b"avi" not in head


def _decode(path: Path) -> _Raster:
    """Decode a file by whatever library keeps the most of it."""
    head = _head(path)
    if _is_heif(head):
        return _decode_heif(path)
    if _is_tiff(head):
        raster = _decode_deep_tiff(path)
        if raster is not None:
            return raster
    with _open(path) as picture:
        if picture.format == "PNG" and head[24:25] == b"\x10":
            return _decode_deep_png(path, picture)
        return _decode_by_pillow(path, picture)


@contextmanager
def _open(path: Path) -> Iterator[Image.Image]:
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


def write_picture(path: Path, picture: Picture, *, bit_depth: int = 8, recipe: str | None = None) -> None:
    """Encode a picture in the format that the file's ending names: jpg, png, tiff or webp. Whole or not at all.

    The file is tagged with a profile of sRGB, has the picture's alpha (JPEG has none: the picture is laid on white),
    and says nothing of time or place: the same call writes the same bytes.

    Args:
        path: the file.
        picture: of any size that the format takes.
        bit_depth: 8, or 16 for png and tiff.
        recipe: text in ASCII, up to 60 kB, for `read_recipe_text`. In PNG it is a text chunk "nstyle"; in JPEG and
            WebP EXIF's UserComment; in TIFF ImageDescription, TIFF's own place for text, where no EXIF is needed.

    Raises:
        OutputError: the file cannot be written, or the format does not take so large a picture.
        ValueError: a depth that the format does not have.

    """
    form = path.suffix.removeprefix(".")
    if bit_depth not in ((8, 16) if form in ("png", "tiff") else (8,)):
        raise ValueError(f"{bit_depth} bits a channel in {form}")
    largest = _LARGEST_EDGE.get(form)
    if largest is not None and max(picture.rgb.shape) > largest:
        raise OutputError(f"cannot write {path}: {form} has at most {largest} pixels on an edge; choose png or tiff")
    rgb, alpha = picture.rgb, picture.alpha
    if alpha is not None and form == "jpg":
        rgb, alpha = on_white(picture), None
    joined = rgb if alpha is None else np.concatenate([rgb, alpha[..., None]], axis=2)
    joined = np.ascontiguousarray(joined)
    levels = to_uint8(joined) if bit_depth == 8 else to_uint16(joined)
    encoded = {"jpg": _jpeg, "png": _png, "tiff": _tiff, "webp": _webp}[form](levels, recipe)
    with replacing(path) as file:
        file.write(encoded)


_LARGEST_EDGE = {"jpg": 65500, "webp": 16383}

_WholeLevels = NDArray[np.uint8] | NDArray[np.uint16]


def _jpeg(levels: _WholeLevels, recipe: str | None) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(levels)
    picture.save(file, "JPEG", quality=95, subsampling="4:4:4", icc_profile=SRGB_PROFILE, exif=_exif(recipe))
    return file.getvalue()


def _webp(levels: _WholeLevels, recipe: str | None) -> bytes:
    """Encode without loss: WebP's lossy kind halves the resolution of colour, whatever its quality."""
    file = io.BytesIO()
    picture = Image.fromarray(levels)
    picture.save(file, "WEBP", lossless=True, exact=True, icc_profile=SRGB_PROFILE, exif=_exif(recipe))
    return file.getvalue()


def _exif(recipe: str | None) -> bytes:
    if recipe is None:
        return b""
    exif = Image.Exif()
    exif.get_ifd(_EXIF_FOLDER)[_USER_COMMENT] = b"ASCII\0\0\0" + (_RECIPE_MARK + recipe).encode("ascii")
    return exif.tobytes()


def _png(levels: _WholeLevels, recipe: str | None) -> bytes:
    """Encode by libpng, which has 16 bits, and put profile and recipe between the header and the pixels."""
    encoded = imagecodecs.png_encode(levels)
    after_header = 8 + 25
    chunks = _chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(SRGB_PROFILE))
    if recipe is not None:
        chunks += _chunk(b"tEXt", b"nstyle\0" + recipe.encode("ascii"))
    return bytes(encoded[:after_header] + chunks + encoded[after_header:])


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _tiff(levels: _WholeLevels, recipe: str | None) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        levels,
        photometric="rgb",
        extrasamples=["unassalpha"] if levels.shape[2] == 4 else None,
        compression="zlib",
        predictor=True,
        iccprofile=SRGB_PROFILE,
        description=None if recipe is None else (_RECIPE_MARK + recipe).encode("ascii"),
        metadata=None,
        software=False,
    )
    return file.getvalue()

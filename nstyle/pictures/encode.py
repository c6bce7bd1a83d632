"""Write picture files."""

import io
import itertools
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, TiffTags

from nstyle.errors import Kind, OutputError
from nstyle.files import replacing
from nstyle.pictures.embedded_text import EXIF_FOLDER, RECIPE_MARK, USER_COMMENT
from nstyle.pictures.formats import WRITTEN, able_to_hold
from nstyle.pictures.icc import SRGB_PROFILE
from nstyle.pictures.metadata import ARTIST, COPYRIGHT, DATE, DESCRIPTION, GPS_FOLDER, NOTHING, Metadata
from nstyle.pictures.picture import Picture, on_white, to_uint8, to_uint16
from nstyle.pictures.strips import strips

_WholeLevels = NDArray[np.uint8] | NDArray[np.uint16]
"""H x W x 3 (RGB) or H x W x 4 (RGBA); 0..255 in uint8, or 0..65535 in uint16."""

LARGEST_CLASSIC_TIFF = 2**32 - 2**25
"""Largest size of uncompressed pixels, in bytes, that is written as a classic TIFF, whose offsets have 32 bits; the
rest is for what is not pixels, and for pixels that cannot be compressed."""

_TILE = 256
"""Edge of a TIFF's tiles, in pixels."""

_TILES_BYTES = 2**25
"""Bytes of tiles that are compressed at the same time."""


def write_picture(
    path: Path,
    picture: Picture,
    *,
    bit_depth: int = 8,
    recipe: str | None = None,
    metadata: Metadata = NOTHING,
) -> None:
    """Write a picture file atomically: it is complete, or it is not there.

    The file has an sRGB profile and the picture's alpha; in a format without alpha, transparent parts become white.
    It holds no time and no file name but those in its arguments: the same call writes the same bytes.

    Args:
        path: the file; its ending is the name of a format in `nstyle.pictures.formats.WRITTEN`.
        picture: the picture.
        bit_depth: bits per channel, a depth that the format supports.
        recipe: ASCII text of at most 60 kB to embed, for `read_recipe_text`. PNG stores it in a text chunk "nstyle",
            JPEG and WebP in EXIF's UserComment, TIFF in its own tag ImageDescription.
        metadata: metadata of the photo, written as EXIF. A TIFF with a recipe does not get the photo's description.

    Raises:
        OutputError: the file cannot be written, or the picture is too large for its format.
        ValueError: the format does not support this bit depth.

    """
    form = WRITTEN[path.suffix.removeprefix(".")]
    if bit_depth not in form.bit_depths:
        raise ValueError(f"{form.name} does not support {bit_depth} bits per channel")
    edge = max(picture.size)
    if not form.can_hold(edge, bit_depth):
        raise OutputError(
            f"cannot write {path}: the limit of {form.title} is {form.longest_edge} pixels on an edge; "
            f"choose --image-format {' or '.join(able_to_hold(edge, bit_depth))}",
            path=path,
            flag="--image-format",
            kind=Kind.OUT_OF_RANGE,
        )
    levels = _Levels(picture, with_alpha=form.has_alpha, bit_depth=bit_depth)
    with replacing(path) as file:
        ENCODERS[form.name](file, levels, recipe, metadata)


@dataclass(frozen=True)
class _Levels:
    """The levels of a picture as they are written, made part by part from those of `picture`.

    Attributes:
        picture: the picture.
        with_alpha: whether the format has alpha; if not, transparent parts are white.
        bit_depth: bits per channel, 8 or 16.

    """

    picture: Picture
    with_alpha: bool
    bit_depth: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return (*self.picture.size, 4 if self.with_alpha and self.picture.alpha is not None else 3)

    @property
    def dtype(self) -> "np.dtype[Any]":
        """The dtype of the levels."""
        return np.dtype(f"uint{self.bit_depth}")

    def part(self, rows: slice, columns: slice = slice(None)) -> _WholeLevels:
        """Return the levels of a part of the picture."""
        rgb, alpha = self.picture.rgb[rows, columns], self.picture.alpha
        if alpha is not None:
            alpha = alpha[rows, columns]
            rgb = np.dstack([rgb, alpha]) if self.with_alpha else on_white(Picture(rgb, alpha))
        return to_uint8(rgb) if self.bit_depth == 8 else to_uint16(rgb)

    def whole(self) -> _WholeLevels:
        """Return the levels of the whole picture."""
        levels = np.empty(self.shape, self.dtype)
        for rows in strips(self.shape):
            levels[rows] = self.part(rows)
        return levels

    def pillow(self) -> Image.Image:
        """Return the whole picture, in 8 bits, for Pillow."""
        height, width, channels = self.shape
        picture = Image.new("RGBA" if channels == 4 else "RGB", (width, height))
        for rows in strips(self.shape):
            picture.paste(Image.fromarray(self.part(rows)), (0, rows.start))
        return picture


def _jpeg(file: BinaryIO, levels: _Levels, recipe: str | None, metadata: Metadata) -> None:
    """Write a JPEG, by way of memory: on a disk that becomes full, Pillow can lose the end of a file unnoticed."""
    exif, encoded = _exif(recipe, metadata), io.BytesIO()
    levels.pillow().save(encoded, "JPEG", quality=95, subsampling="4:4:4", icc_profile=SRGB_PROFILE, exif=exif)
    file.write(encoded.getbuffer())


def _webp(file: BinaryIO, levels: _Levels, recipe: str | None, metadata: Metadata) -> None:
    """Write a WebP without loss: lossy WebP halves the color resolution at every quality."""
    exif = _exif(recipe, metadata)
    levels.pillow().save(file, "WEBP", lossless=True, exact=True, icc_profile=SRGB_PROFILE, exif=exif)


def _exif(recipe: str | None, metadata: Metadata) -> bytes:
    """Return recipe and metadata as EXIF, with the mark of a JPEG's segment before it; empty if there are none."""
    if recipe is None and not metadata:
        return b""
    exif = Image.Exif()
    exif.update(metadata.texts)
    if metadata.dates:
        exif.get_ifd(EXIF_FOLDER).update(metadata.dates)
    if recipe is not None:
        exif.get_ifd(EXIF_FOLDER)[USER_COMMENT] = b"ASCII\0\0\0" + (RECIPE_MARK + recipe).encode("ascii")
    if metadata.place:
        exif.get_ifd(GPS_FOLDER).update(metadata.place)
    return exif.tobytes()


def _png(file: BinaryIO, levels: _Levels, recipe: str | None, metadata: Metadata) -> None:
    """Write a PNG with libpng, which supports 16 bits; insert profile and recipe between header and pixels.

    In 8 bits, zlib looks for runs only (RLE). Paintings hardly ever repeat anything else: 640x360 pixels take 11 to
    15 ms and 415 kB, where libpng's defaults take 31 to 34 ms and 443 kB. In 16 bits, the defaults are smaller.
    """
    quick = {"level": 1, "strategy": imagecodecs.PNG.STRATEGY.RLE} if levels.bit_depth == 8 else {}
    encoded = memoryview(imagecodecs.png_encode(levels.whole(), **quick))
    after_header = 8 + 25  # bytes: the signature and the chunk IHDR
    chunks = _chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(SRGB_PROFILE))
    if recipe is not None:
        chunks += _chunk(b"tEXt", b"nstyle\0" + recipe.encode("ascii"))
    if metadata:
        chunks += _chunk(b"eXIf", _exif(None, metadata).removeprefix(b"Exif\0\0"))
    file.writelines((encoded[:after_header], chunks, encoded[after_header:]))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _tiff(file: BinaryIO, levels: _Levels, recipe: str | None, metadata: Metadata) -> None:
    """Write a TIFF tile by tile; as BigTIFF, which fewer programs read, only if it could be too large otherwise."""
    height, width, channels = levels.shape
    tags = [(tag, "s", 0, text, True) for tag, text in metadata.texts.items() if tag in (ARTIST, COPYRIGHT)]
    description = metadata.texts.get(DESCRIPTION) if recipe is None else (RECIPE_MARK + recipe).encode("ascii")
    corners = list(itertools.product(range(0, height, _TILE), range(0, width, _TILE)))
    is_big = len(corners) * _TILE**2 * channels * levels.dtype.itemsize > LARGEST_CLASSIC_TIFF
    tifffile.imwrite(
        file,
        (levels.part(slice(top, top + _TILE), slice(left, left + _TILE)) for top, left in corners),
        shape=levels.shape,
        dtype=levels.dtype,
        tile=(_TILE, _TILE),
        bigtiff=is_big,
        photometric="rgb",
        extrasamples=["unassalpha"] if channels == 4 else None,
        compression="zlib",
        predictor=True,
        iccprofile=SRGB_PROFILE,
        description=description,
        datetime=metadata.texts.get(DATE, b"").decode("ascii") or None,
        extratags=tags,
        metadata=None,
        software=False,
        byteorder="<",
        buffersize=_TILES_BYTES,
    )
    folders = {EXIF_FOLDER: metadata.dates, GPS_FOLDER: metadata.place}
    _append_folders(file, {tag: entries for tag, entries in folders.items() if entries}, is_big=is_big)


def _append_folders(file: BinaryIO, folders: Mapping[int, Mapping[int, Any]], *, is_big: bool) -> None:
    """Append directories of EXIF to a TIFF, and a copy of its own directory that points to them.

    tifffile writes no directories in directories. Structure: TIFF 6.0, section 2; BigTIFF has 8 bytes for each number
    of entries and each offset.

    Args:
        file: a TIFF with one directory, little-endian.
        folders: the entries of each directory by its tag in the TIFF's own directory.
        is_big: whether it is a BigTIFF.

    """
    if not folders:
        return
    header, count, offset, entry, kind = (
        (b"II+\0\10\0\0\0" + bytes(8), "<Q", "<Q", "<HHQQ", TiffTags.LONG8)
        if is_big
        else (b"II*\0" + bytes(4), "<H", "<I", "<HHII", TiffTags.LONG)
    )
    at = len(header) - struct.calcsize(offset)  # the header ends with the offset of the TIFF's own directory
    file.seek(at)
    (directory,) = struct.unpack(offset, file.read(struct.calcsize(offset)))
    file.seek(directory)
    (entries,) = struct.unpack(count, file.read(struct.calcsize(count)))
    own = [file.read(struct.calcsize(entry)) for _ in range(entries)]
    for tag, values in folders.items():
        folder = TiffImagePlugin.ImageFileDirectory_v2(header, group=tag)
        for name, value in values.items():
            folder[name] = value
        start = _even_end(file)
        file.write(folder.tobytes(start))
        own.append(struct.pack(entry, tag, kind, 1, start))
    own.sort(key=lambda packed: int.from_bytes(packed[:2], "little"))
    start = _even_end(file)
    file.writelines((struct.pack(count, len(own)), *own, bytes(struct.calcsize(offset))))  # no further directory
    file.seek(at)
    file.write(struct.pack(offset, start))


def _even_end(file: BinaryIO) -> int:
    """Go to the end of a file, and return its offset; a byte is added if that is odd."""
    end = file.seek(0, io.SEEK_END)
    file.write(bytes(end % 2))
    return end + end % 2


ENCODERS: dict[str, Callable[[BinaryIO, _Levels, str | None, Metadata], None]] = {
    "jpg": _jpeg,
    "png": _png,
    "tiff": _tiff,
    "webp": _webp,
}
"""Functions that write levels, a recipe and metadata into an open file, by the format's name."""

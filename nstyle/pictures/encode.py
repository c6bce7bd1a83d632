"""Write picture files."""

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

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

_WholeLevels = NDArray[np.uint8] | NDArray[np.uint16]
"""H x W x 3 (RGB) or H x W x 4 (RGBA); 0..255 in uint8, or 0..65535 in uint16."""


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
    rgb, alpha = picture.rgb, picture.alpha
    if alpha is not None and not form.has_alpha:
        rgb, alpha = on_white(picture), None
    joined = rgb if alpha is None else np.concatenate([rgb, alpha[..., None]], axis=2)
    joined = np.ascontiguousarray(joined)
    levels = to_uint8(joined) if bit_depth == 8 else to_uint16(joined)
    encoded = ENCODERS[form.name](levels, recipe, metadata)
    with replacing(path) as file:
        file.write(encoded)


def _jpeg(levels: _WholeLevels, recipe: str | None, metadata: Metadata) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(levels)
    exif = _exif(recipe, metadata)
    picture.save(file, "JPEG", quality=95, subsampling="4:4:4", icc_profile=SRGB_PROFILE, exif=exif)
    return file.getvalue()


def _webp(levels: _WholeLevels, recipe: str | None, metadata: Metadata) -> bytes:
    """Encode a WebP without loss: lossy WebP halves the color resolution at every quality."""
    file = io.BytesIO()
    picture = Image.fromarray(levels)
    picture.save(file, "WEBP", lossless=True, exact=True, icc_profile=SRGB_PROFILE, exif=_exif(recipe, metadata))
    return file.getvalue()


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


def _png(levels: _WholeLevels, recipe: str | None, metadata: Metadata) -> bytes:
    """Encode a PNG with libpng, which supports 16 bits; insert profile and recipe between header and pixels."""
    encoded = imagecodecs.png_encode(levels)
    after_header = 8 + 25  # bytes: the signature and the chunk IHDR
    chunks = _chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(SRGB_PROFILE))
    if recipe is not None:
        chunks += _chunk(b"tEXt", b"nstyle\0" + recipe.encode("ascii"))
    if metadata:
        chunks += _chunk(b"eXIf", _exif(None, metadata).removeprefix(b"Exif\0\0"))
    return bytes(encoded[:after_header] + chunks + encoded[after_header:])


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _tiff(levels: _WholeLevels, recipe: str | None, metadata: Metadata) -> bytes:
    file = io.BytesIO()
    tags = [(tag, "s", 0, text, True) for tag, text in metadata.texts.items() if tag in (ARTIST, COPYRIGHT)]
    description = metadata.texts.get(DESCRIPTION) if recipe is None else (RECIPE_MARK + recipe).encode("ascii")
    tifffile.imwrite(
        file,
        levels,
        photometric="rgb",
        extrasamples=["unassalpha"] if levels.shape[2] == 4 else None,
        compression="zlib",
        predictor=True,
        iccprofile=SRGB_PROFILE,
        description=description,
        datetime=metadata.texts.get(DATE, b"").decode("ascii") or None,
        extratags=tags,
        metadata=None,
        software=False,
        byteorder="<",
    )
    folders = {EXIF_FOLDER: metadata.dates, GPS_FOLDER: metadata.place}
    return _with_folders(file.getvalue(), {tag: entries for tag, entries in folders.items() if entries})


def _with_folders(tiff: bytes, folders: Mapping[int, Mapping[int, Any]]) -> bytes:
    """Append directories of EXIF to a TIFF, and a copy of its own directory that points to them.

    tifffile writes no directories in directories. Structure: TIFF 6.0, section 2.

    Args:
        tiff: a TIFF with one directory, little-endian.
        folders: the entries of each directory by its tag in the TIFF's own directory.

    """
    if not folders:
        return tiff
    own = int.from_bytes(tiff[4:8], "little")
    count = int.from_bytes(tiff[own : own + 2], "little")
    entries = [tiff[start : start + 12] for start in range(own + 2, own + 2 + 12 * count, 12)]
    for tag, values in folders.items():
        folder = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0", group=tag)
        for name, value in values.items():
            folder[name] = value
        tiff += bytes(len(tiff) % 2)
        entries.append(struct.pack("<HHII", tag, TiffTags.LONG, 1, len(tiff)))
        tiff += folder.tobytes(len(tiff))
    tiff += bytes(len(tiff) % 2)
    entries.sort(key=lambda entry: int.from_bytes(entry[:2], "little"))
    end = bytes(4)  # no further directory
    return (
        tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:] + struct.pack("<H", len(entries)) + b"".join(entries) + end
    )


ENCODERS: dict[str, Callable[[_WholeLevels, str | None, Metadata], bytes]] = {
    "jpg": _jpeg,
    "png": _png,
    "tiff": _tiff,
    "webp": _webp,
}
"""Functions that encode levels, a recipe and metadata as the bytes of a file, by the format's name."""

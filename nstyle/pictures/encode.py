"""Writing pictures as files."""

import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from nstyle.errors import OutputError
from nstyle.files import replacing
from nstyle.pictures.embedded_text import EXIF_FOLDER, RECIPE_MARK, USER_COMMENT
from nstyle.pictures.icc import SRGB_PROFILE
from nstyle.pictures.picture import Picture, on_white, to_uint8, to_uint16


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
    exif.get_ifd(EXIF_FOLDER)[USER_COMMENT] = b"ASCII\0\0\0" + (RECIPE_MARK + recipe).encode("ascii")
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
        description=None if recipe is None else (RECIPE_MARK + recipe).encode("ascii"),
        metadata=None,
        software=False,
    )
    return file.getvalue()

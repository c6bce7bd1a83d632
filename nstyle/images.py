"""Pictures as files and arrays: decode, resize, denoise, encode.

`rgb` is a picture for display everywhere here: an H x W x 3 array, float32, range 0..1, RGB order.
"""

import os
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from skimage.restoration import denoise_tv_chambolle
from skimage.transform import resize as skimage_resize

from nstyle.errors import ImageError
from nstyle.files import replacing

Rgb = NDArray[np.float32]

SMALLEST_EDGE = 16
"""Pixels: VGG-19 halves a picture four times before relu5_1, so that 16 are the fewest that leave one position."""

# What Pillow's decoders are known to raise on files that are cut off, corrupted or hostile.
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
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

# What is read: formats of pictures. Pillow has more, of which some run other programs (Ghostscript for EPS).
_FORMATS = (
    *("JPEG", "MPO", "PNG", "TIFF", "WEBP", "GIF", "BMP", "AVIF", "HEIF", "JPEG2000", "PPM", "TGA", "ICO", "PCX"),
    *("DIB", "QOI", "SGI"),
)

_ENCODING: dict[str, dict[str, Any]] = {
    "jpg": {"format": "JPEG", "quality": 95, "subsampling": "4:4:4"},
    "png": {"format": "PNG"},
    "tiff": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
}


def read_image(path: Path) -> Rgb:
    """Decode a picture file: JPEG, PNG, TIFF, WebP, GIF, BMP, AVIF, JPEG 2000 and other formats that Pillow reads.

    The orientation noted by the camera is applied, transparency is laid on white, only the first frame of an
    animation counts. Grey, palette, CMYK and 16-bit pictures become RGB.

    Raises:
        ImageError: no such file, not a picture, cut off, smaller than 16 pixels on an edge, or far too large.

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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's advice to programmers; what it cannot read, it raises
            Image.init()
            formats = [name for name in _FORMATS if name in Image.OPEN]
            with _silenced_decoders(), Image.open(path, formats=formats) as picture:
                rgb = _to_rgb(ImageOps.exif_transpose(picture))
    except PermissionError as error:
        raise ImageError(f"{path} may not be read; give yourself permission (chmod u+r)") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path} has far too many pixels ({error}); scale it down first") from error
    except _DECODING_ERRORS as error:
        reason = "is empty" if status.st_size == 0 else "is not a picture that can be read, or is damaged"
        raise ImageError(f"{path} {reason}; name a whole JPEG, PNG, TIFF, WebP, ... file") from error
    height, width, _ = rgb.shape
    if min(height, width) < SMALLEST_EDGE:
        raise ImageError(f"{path} has {width}x{height} pixels; take one with at least {SMALLEST_EDGE} on each edge")
    return rgb


@contextmanager
def _silenced_decoders() -> Iterator[None]:
    """Keep libtiff, which knows nothing of Python, from writing to standard error; what it cannot read is raised."""
    try:
        stderr = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)


def _to_rgb(picture: Image.Image) -> Rgb:
    """Convert a picture of any Pillow mode to floating-point RGB, range 0..1."""
    if picture.mode.startswith("I"):  # 16-bit grey, held in 16 or 32 bits
        return _grey_to_rgb(np.asarray(picture, dtype=np.float32) / np.float32(65535))
    if picture.mode == "F":
        return _grey_to_rgb(np.asarray(picture, dtype=np.float32))
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.asarray(picture.convert("RGB"), dtype=np.float32) / np.float32(255)


def _grey_to_rgb(grey: NDArray[np.float32]) -> Rgb:
    """Repeat grey levels (H x W) in three channels; levels outside of 0..1 have an unknown scale, an error."""
    if not (np.isfinite(grey).all() and grey.min() >= 0 and grey.max() <= 1):
        raise ValueError("grey levels outside of the range of the format")
    return np.repeat(grey[..., None], 3, axis=2)


def fit_long_edge(height: int, width: int, long_edge: int) -> tuple[int, int]:
    """Return (height, width) scaled so that the longer one is `long_edge`; the reference's rounding, downwards."""
    factor = long_edge / max(height, width)
    return int(height * factor), int(width * factor)


def resize(rgb: Rgb, height: int, width: int) -> Rgb:
    """Stretch a picture to exactly height x width: bilinear, smoothed before it is shrunk (skimage's default)."""
    resized: NDArray[np.float32] = skimage_resize(rgb, (height, width))
    return resized.astype(np.float32, copy=False)


def denoise(rgb: Rgb, weight: float) -> Rgb:
    """Smooth a picture by total-variation minimisation (Chambolle, 2004); weights below 1e-6 leave it as it is."""
    if weight < 1e-6:
        return rgb
    denoised: NDArray[np.float32] = denoise_tv_chambolle(rgb, weight=weight, channel_axis=-1)
    return denoised.astype(np.float32, copy=False)


def to_uint8(rgb: Rgb) -> NDArray[np.uint8]:
    """Convert a picture from 0..1 to whole numbers in 0..255, rounded to the nearest."""
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)


def write_image(path: Path, rgb: Rgb) -> None:
    """Encode a picture in the format that the file's ending names: jpg, png or tiff. Whole or not at all.

    Raises:
        OutputError: the file cannot be written.

    """
    with replacing(path) as file:
        Image.fromarray(to_uint8(rgb)).save(file, **_ENCODING[path.suffix.removeprefix(".")])

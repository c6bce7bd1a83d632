"""Opening picture files: which kind they are, whether they are too large, and what is wrong with them, in words.

Files come from strangers, so headers are judged before pixels are decoded. Nothing here changes the state of the
process (warning filters, loggers, file descriptors), so several threads can read at once. What the decoders print on
standard error about damaged files is the business of the program; the commands hide it.
"""

import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

from nstyle.errors import ImageError, Kind
from nstyle.pictures.formats import FORMATS
from nstyle.pictures.limits import LONGEST_EDGE_READ, MOST_BYTES, MOST_PIXELS

# What the decoders are known to raise on files that are cut off, corrupted or hostile. Warnings are raised only if
# the program has made them errors; then what they complain of counts as damage.
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
    Warning,
)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while the block reads a picture file into an `ImageError`.

    Raises:
        ImageError: the message names the file, the cause and the way out.

    """
    size = _size_of_file(path)
    try:
        yield
    except PermissionError as error:
        raise ImageError(
            f"{path} may not be read; give yourself permission (chmod u+r)", path=path, kind=Kind.UNREADABLE
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{path} has far too many pixels ({error}); scale it down first", path=path, kind=Kind.OUT_OF_RANGE
        ) from error
    except MemoryError as error:
        raise ImageError(
            f"{path} needs more memory than there is to be read; scale it down first",
            path=path,
            kind=Kind.OUT_OF_RANGE,
        ) from error
    except _DECODING_ERRORS as error:
        reason = "is empty" if size == 0 else "is not a picture that can be read, or is damaged"
        raise ImageError(
            f"{path} {reason}; name a whole JPEG, PNG, TIFF, WebP, ... file", path=path, kind=Kind.DAMAGED
        ) from error


def _size_of_file(path: Path) -> int:
    """Return the size in bytes of a file that may be read, as far as the system tells before it is opened.

    Raises:
        ImageError: it does not exist, is not a file, or is too large.

    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(f"{path} does not exist; name a picture file", path=path, kind=Kind.MISSING) from error
    except OSError as error:
        raise ImageError(
            f"{path} may not be read: {error.strerror}; check the name and its folder",
            path=path,
            kind=Kind.UNREADABLE,
        ) from error
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "not a file"
        raise ImageError(f"{path} is {what}; name a picture file", path=path, kind=Kind.UNREADABLE)
    if status.st_size > MOST_BYTES:
        raise ImageError(
            f"{path} is larger than {MOST_BYTES / 1e9:.1f} GB; scale the picture down first",
            path=path,
            kind=Kind.OUT_OF_RANGE,
        )
    return status.st_size


def check_size(path: Path, width: int, height: int, bits: int = 64) -> None:
    """Refuse a picture that would fill the memory.

    Args:
        path: its file, for the error.
        width: in pixels, as the header states it.
        height: likewise.
        bits: of a pixel; the more it has above 64, the fewer pixels are allowed.

    Raises:
        ImageError: it is too large.

    """
    if max(width, height) > LONGEST_EDGE_READ:
        raise ImageError(
            f"{path} has an edge of far too many pixels ({width}x{height}, at most {LONGEST_EDGE_READ} are read); "
            "crop it first",
            path=path,
            kind=Kind.OUT_OF_RANGE,
        )
    most = MOST_PIXELS * 64 // max(64, bits)
    if width * height > most:
        raise ImageError(
            f"{path} has far too many pixels ({width}x{height}, at most {most / 1e6:.0f} million are read); "
            "scale it down first",
            path=path,
            kind=Kind.OUT_OF_RANGE,
        )


def head_of(path: Path) -> bytes:
    """Return the first 64 bytes of a file."""
    with path.open("rb") as file:
        return file.read(64)


def is_tiff(head: bytes) -> bool:
    """Tell whether a file that begins so is a TIFF or a BigTIFF."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_heif(head: bytes) -> bool:
    """Tell whether a file that begins so is a HEIC or the like; AVIF, which has the same container, is not."""
    return head[4:8] == b"ftyp" and head[8:10] in (b"he", b"mi", b"ms") and b"avi" not in head


@contextmanager
def open_by_pillow(path: Path) -> Iterator[Image.Image]:
    """Have Pillow read the header of a file in one of our formats, and check the picture's size.

    This takes the place of `Image.open`, which warns of every picture above 89 million pixels: our own limit is twice
    as high. Pillow is not told the file's name: it would map the file to memory, and mix up the rows of a TIFF that
    lies on its side.
    """
    with path.open("rb") as file, _identified(file) as picture:
        check_size(path, *picture.size)
        yield picture


def _identified(file: IO[bytes]) -> Image.Image:
    """Return the picture of the first format that takes the file for its own."""
    Image.init()
    start = file.read(16)
    for name in (name for form in FORMATS for name in form.pillow if name in Image.OPEN):
        make, accepts = Image.OPEN[name]
        accepted = accepts is None or accepts(start)
        if not accepted or isinstance(accepted, str):  # a word on why Pillow lacks the format here
            continue
        file.seek(0)
        try:
            return make(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # it is of another format, after all
            continue
    raise UnidentifiedImageError

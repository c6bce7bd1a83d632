"""Open picture files: detect the format, check the size, and turn decoder errors into clear messages.

Files are not trusted, so headers are checked before pixels are decoded. Nothing here changes the state of the process
(warning filters, loggers, file descriptors), so several threads can read at once. Decoders may print on standard
error about damaged files; the commands hide that.
"""

import io
import logging
import re
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from PIL import Image, ImageFile, UnidentifiedImageError

from nstyle.errors import ImageError, Kind
from nstyle.pictures.formats import FORMATS
from nstyle.pictures.jpeg_file import SIGNATURE as JPEG_SIGNATURE
from nstyle.pictures.jpeg_file import JpegStream, parse_jpeg
from nstyle.pictures.limits import LONGEST_EDGE_READ, MOST_BYTES, MOST_JPEG_PIXELS, MOST_PIXELS, reduction
from nstyle.pictures.png_file import SIGNATURE as PNG_SIGNATURE
from nstyle.pictures.png_file import plain_png
from nstyle.pictures.tiff_pages import stream_of_picture

_log = logging.getLogger(__name__)

# An entry for EXIF in the list of a HEIF container's items (`infe`, ISO 14496-12, 8.11.6), up to the item's type.
_EXIF_ITEM = re.compile(rb"(infe(?:\x02.{7}|\x03.{9}))Exif", re.DOTALL)

# Errors that the decoders raise on truncated, corrupted or malicious files. Warnings are included for programs that
# turn warnings into errors: there, a warning means that the file is damaged.
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
    """Turn all errors of a block that reads a picture file into an `ImageError`.

    Raises:
        ImageError: the message names the file, the cause and the way out.

    """
    size = _size_of_file(path)
    try:
        yield
    except PermissionError as error:
        raise ImageError(
            f"{path} cannot be read: no permission; allow it with chmod u+r", path=path, kind=Kind.UNREADABLE
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{path} has too many pixels; scale it down first", path=path, kind=Kind.OUT_OF_RANGE
        ) from error
    except MemoryError as error:
        raise ImageError(
            f"{path} does not fit into memory; scale it down first",
            path=path,
            kind=Kind.OUT_OF_RANGE,
        ) from error
    except _DECODING_ERRORS as error:
        reason = "is empty" if size == 0 else "is damaged, or not a picture in a supported format"
        raise ImageError(
            f"{path} {reason}; use an intact JPEG, PNG, TIFF, WebP, ... file", path=path, kind=Kind.DAMAGED
        ) from error


def _size_of_file(path: Path) -> int:
    """Return the size of a file in bytes, without opening it.

    Raises:
        ImageError: it does not exist, is not a regular file, or is larger than `MOST_BYTES`.

    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(f"{path} does not exist; name a picture file", path=path, kind=Kind.MISSING) from error
    except OSError as error:
        raise ImageError(
            f"{path} cannot be read: {error.strerror}; check the path and the permissions of its folder",
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


def check_size(path: Path, width: int, height: int, bits: int = 64, most: int = MOST_PIXELS) -> None:
    """Refuse a picture that is too large for memory.

    Args:
        path: its file, for the error.
        width: in pixels, according to the header.
        height: in pixels, according to the header.
        bits: bits per pixel, all channels together. Above 64, the limit on pixels shrinks in proportion.
        most: the limit on pixels.

    Raises:
        ImageError: an edge is longer than `LONGEST_EDGE_READ`, or there are more than `most` pixels.

    """
    if max(width, height) > LONGEST_EDGE_READ:
        raise ImageError(
            f"{path} has {width}x{height} pixels, but the limit for an edge is {LONGEST_EDGE_READ}; "
            "crop it or scale it down first",
            path=path,
            kind=Kind.OUT_OF_RANGE,
        )
    most = most * 64 // max(64, bits)
    if width * height > most:
        raise ImageError(
            f"{path} has {width}x{height} pixels, but the limit is {most / 1e6:.0f} million; scale it down first",
            path=path,
            kind=Kind.OUT_OF_RANGE,
        )


def reduction_of(path: Path) -> int:
    """Return by how much `open_by_pillow` shrinks both edges of a picture if it does not know what is made from it.

    It is 1, but for a JPEG of more than `MOST_PIXELS`.

    Raises:
        ImageError: the file cannot be read.

    """
    if not head_of(path).startswith(JPEG_SIGNATURE):
        return 1
    with reading(path):
        return reduction(*parse_jpeg(path, path.read_bytes()).size, None)


def head_of(path: Path) -> bytes:
    """Return the first 64 bytes of a file."""
    with path.open("rb") as file:
        return file.read(64)


def is_tiff(head: bytes) -> bool:
    """Tell whether a file with this head is a TIFF or a BigTIFF."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_heif(head: bytes) -> bool:
    """Tell whether a file with this head is a HEIC or HEIF; AVIF has the same container, but is excluded."""
    return head[4:8] == b"ftyp" and head[8:10] in (b"he", b"mi", b"ms") and b"avi" not in head


@contextmanager
def open_by_pillow(path: Path, edge: int | None = None) -> Iterator[Image.Image]:
    """Open a file in one of our formats with Pillow, which reads only the header, and check the picture's size.

    This replaces `Image.open`, which warns above 89 million pixels; our limit is twice that. Pillow does not get the
    file name: with it, Pillow memory-maps the file, and mixes up the rows of a rotated TIFF. It gets JPEG and PNG
    files without their notes, because it refuses a picture for a bad one; `info` has a JPEG's profile, the EXIF, and
    no XMP, whose orientation Pillow would apply. The log warns of damage that leaves the picture whole, if it is
    decoded.

    Args:
        path: the file.
        edge: longest edge of what is made from the picture, in pixels. A very large JPEG is decoded at a reduced size
            that is enough for it; see `nstyle.pictures.limits.reduction`.

    """
    with path.open("rb") as file:
        head = file.read(len(PNG_SIGNATURE))
        file.seek(0)
        if head.startswith(JPEG_SIGNATURE):
            with _open_jpeg(path, file.read(), edge) as picture:
                yield picture
        elif head == PNG_SIGNATURE:
            content, exif, complaint = plain_png(file.read())
            with _identified(io.BytesIO(content)) as picture:
                check_size(path, *picture.size)
                picture.info["exif"] = exif  # without any EXIF, Pillow would decode the picture for it
                yield picture
            if complaint is not None and not picture.tile:  # it was decoded
                _log.warning("%s %s", path, complaint)
        else:
            with _open_other(path, file, head) as picture:
                check_size(path, *picture.size)
                _drop_illegible(picture)
                yield picture


def _open_other(path: Path, file: IO[bytes], head: bytes) -> ImageFile.ImageFile:
    """Open a file that is neither JPEG nor PNG; see `open_by_pillow`."""
    try:
        return _identified(stream_of_picture(path, file) if is_tiff(head) else file)
    except _DECODING_ERRORS:
        if head[4:8] != b"ftyp":
            raise
    file.seek(0)  # an AVIF, perhaps with EXIF that is rubbish: Pillow reads it to replace its orientation
    return _identified(io.BytesIO(_EXIF_ITEM.sub(rb"\1none", file.read())))


@contextmanager
def _open_jpeg(path: Path, content: bytes, edge: int | None) -> Iterator[Image.Image]:
    """Open a JPEG, and watch how it is decoded; see `open_by_pillow`."""
    jpeg = parse_jpeg(path, content)
    check_size(path, *jpeg.size, most=MOST_JPEG_PIXELS)
    stream = JpegStream(path, jpeg)
    with _identified(cast("IO[bytes]", stream)) as picture:
        scale = reduction(*picture.size, edge)
        if scale > 1:
            picture.draft(None, (picture.width // scale, picture.height // scale))
        notes = {"exif": jpeg.exif, "icc_profile": jpeg.profile}
        picture.info.update({name: note for name, note in notes.items() if note is not None})
        _drop_illegible(picture)
        stream.watch(picture)
        yield picture
    if stream.complaint is not None:
        _log.warning("%s %s", path, stream.complaint)


def _drop_illegible(picture: Image.Image) -> None:
    """Drop XMP, and EXIF that Pillow cannot read, from an opened picture's `info`."""
    for name in ("xmp", "XML:com.adobe.xmp", "Raw profile type exif"):
        picture.info.pop(name, None)
    try:
        picture.getexif()
    except _DECODING_ERRORS:
        picture.info.pop("exif", None)


def _identified(file: IO[bytes]) -> ImageFile.ImageFile:
    """Open the file with the first of our formats that accepts it."""
    start = file.read(16)
    # preinit imports Pillow's readers of the five commonest formats, init those of all: 0.02 s more.
    (Image.preinit if start.startswith((JPEG_SIGNATURE, PNG_SIGNATURE)) else Image.init)()
    for name in (name for form in FORMATS for name in form.pillow if name in Image.OPEN):
        make, accepts = Image.OPEN[name]
        accepted = accepts is None or accepts(start)
        if not accepted or isinstance(accepted, str):  # a string says why this Pillow lacks the format
            continue
        file.seek(0)
        try:
            return make(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # another format
            continue
    raise UnidentifiedImageError

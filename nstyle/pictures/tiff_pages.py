"""Which page of a TIFF is the picture: the first may be a thumbnail. And raw photos, which are refused."""

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import tifffile
from tifffile import TiffPage

from nstyle.errors import ImageError, Kind

_RAW_PHOTOMETRICS = (
    32803,
    34892,
)  # CFA: one color a pixel, behind a color filter array; LinearRaw: the camera's colors
_RAW_TAGS = (33421, 33422, 50706)  # CFARepeatPatternDim and CFAPattern (TIFF/EP), DNGVersion (DNG 1.7)
_MOST_PAGES = 32  # raw photos and pyramids have about ten
_LONGEST_THUMBNAIL = 256  # pixels
_DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, OSError, struct.error)


def is_raw_photo(head: bytes) -> bool:
    """Tell whether a file with this head is a raw photo that is no ordinary TIFF; `picture_page` knows the others."""
    return (
        head[:4] in (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")  # Olympus, Panasonic, Sigma, Minolta
        or head.startswith((b"FUJIFILMCCD-RAW", b"ARRI"))
        or head[6:14] == b"HEAPCCDR"  # Canon CRW
        or head[4:12] == b"ftypcrx "  # Canon CR3
        or (head[:2] in (b"II", b"MM") and head[8:12] == b"CR\2\0")  # Canon CR2
        or head[8:16] in (b"IIIITwaR", b"MMMMRawT")  # Phase One
    )


def raw_photo(path: Path) -> ImageError:
    """Return the error for a raw photo, to be raised."""
    return ImageError(
        f"{path} is a raw photo, which nstyle cannot develop; export it as TIFF or JPEG",
        path=path,
        kind=Kind.UNSUPPORTED,
    )


def picture_page(path: Path, tiff: tifffile.TiffFile) -> TiffPage:
    """Return the page of a TIFF that holds the picture.

    It is the first, unless that is a thumbnail: marked as a reduced picture (NewSubfileType, TIFF 6.0), or at most
    256 pixels long beside one of the same shape with edges four times as long. Then it is the largest one that is not
    marked, in the chain of pages or in SubIFDs. The mark on the only page of a file means nothing.

    Raises:
        ImageError: it is a raw photo, or all pages are reduced.

    """
    first = tiff.pages.first
    pages = list(_pages(tiff))
    if any(page.photometric in _RAW_PHOTOMETRICS or any(tag in page.tags for tag in _RAW_TAGS) for page in pages):
        raise raw_photo(path)
    marked = _is_reduced(first) and (len(pages) > 1 or first.subifds)
    if marked or any(_is_small_copy(first, page) for page in pages):
        whole = [page for page in pages if not _is_reduced(page)]
        if not whole:
            raise raw_photo(path)
        return max(whole, key=lambda page: page.imagewidth * page.imagelength)
    return first


def stream_of_picture(path: Path, file: IO[bytes]) -> IO[bytes]:
    """Return a TIFF file whose first page is the picture; `file` itself if it already is. See `picture_page`."""
    with tifffile.TiffFile(path) as tiff:
        page = picture_page(path, tiff)
        if page is tiff.pages.first:
            return file
        content = bytearray(file.read())
        at, form = (8, "Q") if tiff.is_bigtiff else (4, "I")  # the header says where the first page is
        struct.pack_into(tiff.byteorder + form, content, at, page.offset)
    return io.BytesIO(content)


def _is_reduced(page: TiffPage) -> bool:
    """Tell whether a page is a smaller copy, or a mask, of another one."""
    return bool(page.subfiletype & 0b101) or page.tags.valueof(255) == 2  # the older tag SubfileType: 2 is reduced


def _is_small_copy(small: TiffPage, page: TiffPage) -> bool:
    """Tell whether a page looks like a thumbnail of another one, without saying so."""
    if not 0 < max(small.imagewidth, small.imagelength) <= _LONGEST_THUMBNAIL or _is_reduced(page):
        return False
    across, down = page.imagewidth / small.imagewidth, page.imagelength / max(1, small.imagelength)
    return bool(min(across, down) >= 4 and abs(across / down - 1) < 0.05)


def _pages(tiff: tifffile.TiffFile) -> Iterator[TiffPage]:
    """Yield the pages of the chain and their SubIFDs, up to `_MOST_PAGES`; skip what is illegible."""
    count = 0
    while count < _MOST_PAGES:
        try:
            page = tiff.pages[count]
            if not isinstance(page, TiffPage):
                return
        except _DAMAGE:
            return
        yield page
        count += 1
        for number in range(min(len(page.subifds or ()), _MOST_PAGES)):
            try:
                part = page.pages[number] if page.pages is not None else None
            except _DAMAGE:
                break
            if isinstance(part, TiffPage):
                yield part

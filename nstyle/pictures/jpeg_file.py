"""The segments of a JPEG file: pixels, profile and EXIF, each apart; and whether the pixels are all there.

libjpeg fills what is missing with grey and says nothing that reaches us. So a file is handed to it in parts, and what
it asks for tells how much it needed.
"""

import re
import struct
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nstyle.errors import ImageError, Kind
from nstyle.pictures.limits import MOST_EXIF_BYTES

SIGNATURE = b"\xff\xd8\xff"

_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # 0xFF00 is a level, 0xFFD0 to 0xFFD7 are restarts
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_SOS, _EOI, _DRI = 0xDA, 0xD9, 0xDD
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15; the others are tables
_BARE = {0x01, *range(0xD0, 0xD9)}  # markers without content

_HELD_BACK = 16
"""Bytes at the end of the pixels without which an intact picture cannot be complete."""

_LOOK_AHEAD = bytes(8)
"""What libjpeg looks at beyond the last pixel; it adds zeros by itself, so these change nothing."""

_UNWRITTEN = ((37, 201, 83, 5), (142, 66, 190, 238))
"""Two colors that mark the rows without pixels while a picture is decoded, in turn; a flat part has only one."""

_MOST_MISSING = 1 / 16
"""Share of the rows that may be missing at the bottom; two rows of blocks may always be."""


@dataclass
class Jpeg:
    """A JPEG file in parts.

    Attributes:
        tables: everything before the first scan that the pixels depend on.
        scans: from the first scan to the end of the picture, without the end marker.
        size: width and height.
        exif: EXIF with its prefix, up to `MOST_EXIF_BYTES`; None if there is none.
        profile: the ICC profile; None if there is none, or a part of it is missing.
        ended: whether the end marker is there.
        pixels: where the pixels of the only scan start in `scans`; None if there are several scans.
        cut_off: whether another marker stands where the end marker should be.
        incomplete: whether scans are missing: components or digits of their coefficients.
        too_small: whether the file has less than one bit for each block of 8 x 8 pixels.
        misplaced: whether restart markers are missing or out of order.
        block_rows: rows of pixels in one row of blocks.

    """

    tables: bytes = b""
    scans: memoryview = field(default_factory=lambda: memoryview(b""))
    size: tuple[int, int] = (0, 0)
    exif: bytes | None = None
    profile: bytes | None = None
    ended: bool = False
    pixels: int | None = None
    cut_off: bool = False
    incomplete: bool = False
    too_small: bool = False
    misplaced: bool = False
    block_rows: int = 16


@dataclass
class _Frame:
    """What the segments say that the parser must know; filled while it reads them.

    Attributes:
        blocks: MCU columns and rows: groups of blocks, which restart markers count.
        components: numbers of the components of the frame.
        progressive: whether coefficients come in several scans.
        arithmetic: whether blocks may take less than a bit.
        restart: MCUs between two restart markers; 0: there are none.
        spectrum: for each component and coefficient (zigzag order), the digits still missing; 255: all.

    """

    blocks: tuple[int, int] = (0, 0)
    components: bytes = b""
    progressive: bool = False
    arithmetic: bool = False
    restart: int = 0
    spectrum: dict[int, list[int]] = field(default_factory=dict)


def parse_jpeg(path: Path, content: bytes) -> Jpeg:
    """Split a JPEG file (ITU-T T.81, annex B) into its parts.

    Notes of programs and cameras (APPn, comments) are left out of `tables`, except the two that say how color is
    encoded, JFIF's and Adobe's, if they are whole. Bytes behind the end marker, such as more pictures, are left out.

    Raises:
        ImageError: the levels have more than 8 bits, or scans are missing.
        ValueError: there is no frame or no scan.

    """
    jpeg, frame, tables, profile, exif = Jpeg(), _Frame(), [SIGNATURE[:2]], list[bytes](), bytearray()
    at, first, starts = 2, None, list[int]()
    while True:
        at = content.find(b"\xff", at)
        while at >= 0 and content[at + 1 : at + 2] == b"\xff":  # fill bytes
            at += 1
        if at < 0 or at + 2 > len(content):
            break
        marker, segment = content[at + 1], content[at : at + 4]
        if marker == _EOI:
            jpeg.ended = True
            break
        if marker == 0 or marker in _BARE or len(segment) < 4:
            at += 2
            continue
        end = at + 2 + int.from_bytes(segment[2:], "big")
        segment = content[at:end]
        if marker == _SOS:
            first = at if first is None else first
            starts.append(end)
            _note_scan(frame, segment[4:])
            found = _NEXT_MARKER.search(content, end)
            at = end = len(content) if found is None else found.start()
            if not frame.progressive and not _is_incomplete(frame):
                jpeg.ended, jpeg.cut_off = _ends_at(content, at), found is not None
                break
        elif first is None:
            _note_segment(path, jpeg, frame, marker, segment)
            if _is_needed(marker, segment):
                tables.append(segment)
            elif marker == 0xE2 and segment[4:16] == b"ICC_PROFILE\0":
                profile.append(segment[16:])
            elif marker == 0xE1 and segment[4:10] == b"Exif\0\0" and len(exif) < MOST_EXIF_BYTES:
                exif += segment[10:] if exif else segment[4:]
        at = end
    if first is None or not frame.components:
        raise ValueError("no frame or no scan")
    jpeg.tables, jpeg.scans = b"".join(tables), memoryview(content)[first : at if at >= 0 else len(content)]
    jpeg.profile, jpeg.exif = _joined(profile), bytes(exif[:MOST_EXIF_BYTES]) or None
    _judge(path, jpeg, frame, [start - first for start in starts])
    return jpeg


def _ends_at(content: bytes, at: int) -> bool:
    """Tell whether the end marker stands here, or behind notes of programs (APPn, comments)."""
    while content[at : at + 1] == b"\xff" and (
        content[at + 1 : at + 2] == b"\xfe" or 0xE0 <= content[at + 1] <= 0xEF
    ):
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return content[at : at + 2] == b"\xff\xd9"


def _is_needed(marker: int, segment: bytes) -> bool:
    """Tell whether decoders need a segment: tables and frames, and whole notes about color (JFIF, Adobe)."""
    if marker == 0xE0:
        return segment[4:9] == b"JFIF\0" and len(segment) >= 18
    if marker == 0xEE:
        return segment[4:9] == b"Adobe" and len(segment) >= 16
    return not (0xE0 <= marker <= 0xEF or marker == 0xFE)


def _note_segment(path: Path, jpeg: Jpeg, frame: _Frame, marker: int, segment: bytes) -> None:
    """Note size, components and restarts in a segment before the first scan."""
    if marker == _DRI and len(segment) >= 6:
        frame.restart = int.from_bytes(segment[4:6], "big")
    if marker not in _FRAMES or len(segment) < 10:
        return
    bits, height, width, count = struct.unpack(">BHHB", segment[4:10])
    if bits != 8:
        raise ImageError(
            f"{path} is a JPEG with {bits} bits per channel, which is not supported; save it as TIFF or PNG",
            path=path,
            kind=Kind.UNSUPPORTED,
        )
    parts = segment[10 : 10 + 3 * count]
    across = max((sampling >> 4 for sampling in parts[1::3]), default=1) or 1
    down = max((sampling & 15 for sampling in parts[1::3]), default=1) or 1
    across, down = (1, 1) if count == 1 else (across, down)  # one component: its blocks are not grouped
    jpeg.size, jpeg.block_rows = (width, height), 8 * down
    frame.components, frame.progressive = parts[0::3], marker in (0xC2, 0xC6, 0xCA, 0xCE)
    frame.arithmetic = marker >= 0xC9
    frame.blocks = -(-width // (8 * across)), -(-height // (8 * down))
    frame.spectrum = {component: [255] * 64 for component in frame.components}


def _note_scan(frame: _Frame, header: bytes) -> None:
    """Note which coefficients a scan brings, up to which digit (T.81, B.2.3)."""
    count = header[0] if header else 0
    if len(header) < 4 + 2 * count:
        return
    start, stop, digits = header[1 + 2 * count : 4 + 2 * count]
    for component in header[1 : 1 + 2 * count : 2]:
        missing = frame.spectrum.get(component, [])
        if not frame.progressive:
            start, stop, digits = 0, 63, 0
        for coefficient in range(start, min(stop, 63) + 1 if missing else 0):
            missing[coefficient] = min(missing[coefficient], digits & 15)


def _is_incomplete(frame: _Frame) -> bool:
    """Tell whether digits of coefficients are missing in the scans so far."""
    return any(any(missing) for missing in frame.spectrum.values())


def _judge(path: Path, jpeg: Jpeg, frame: _Frame, starts: list[int]) -> None:
    """Note what is missing, as far as it is known without decoding.

    Raises:
        ImageError: the end is missing, and with it scans; or all of a component is.

    """
    width, height = jpeg.size
    jpeg.too_small = not frame.arithmetic and width * height > 64 * 8 * len(jpeg.scans)  # a block has 64 pixels
    jpeg.cut_off = jpeg.cut_off and not jpeg.ended
    jpeg.incomplete = _is_incomplete(frame)
    if jpeg.incomplete and not (jpeg.ended and all(missing[0] < 255 for missing in frame.spectrum.values())):
        raise _ends_early(path, "a part of its details")
    if len(starts) == 1 and not frame.progressive:
        jpeg.pixels = starts[0]
        if frame.restart:
            codes = [found[0][1] & 7 for found in _RESTART.finditer(jpeg.scans, starts[0])]
            steps = all((after - before) % 8 == 1 for before, after in pairwise(codes))
            expected = -(-frame.blocks[0] * frame.blocks[1] // frame.restart) - 1
            jpeg.misplaced = not steps or (jpeg.ended and len(codes) != expected)


def _joined(parts: list[bytes]) -> bytes | None:
    """Return the ICC profile whose parts these are, each after its number and their count (ICC.1:2010, B.4)."""
    parts = sorted(part for part in parts if len(part) >= 2)
    if not parts or parts[0][1] != len(parts):
        return None
    return b"".join(part[2:] for part in parts)


def _ends_early(path: Path, what: str) -> ImageError:
    return ImageError(
        f"{path} is damaged and lacks {what}; use an intact copy of the file", path=path, kind=Kind.DAMAGED
    )


def _unwritten_row(width: int, channels: int) -> NDArray[np.uint8]:
    """Return the levels (W x C) of a row without pixels."""
    return np.resize(np.array(_UNWRITTEN, np.uint8)[:, :channels], (width, channels))


class JpegStream:
    """A JPEG file for Pillow, without notes, that tells whether the decoder got what it needed.

    After decoding, `complaint` is a sentence about damage that leaves the picture whole, or nearly; None if there is
    none. A picture of several scans is judged by its scans alone.

    Raises:
        ImageError: the file is too small for its size in pixels.

    """

    def __init__(self, path: Path, jpeg: Jpeg) -> None:
        if jpeg.too_small:
            raise _ends_early(path, "most of its pixels")
        self._path, self._jpeg = path, jpeg
        tail = _LOOK_AHEAD if jpeg.pixels is not None else b""
        self._parts = [memoryview(jpeg.tables), jpeg.scans, memoryview(tail + b"\xff\xd9")]
        self._position = 0
        self._picture: Image.Image | None = None
        self._whole = len(jpeg.tables) + len(jpeg.scans)
        held_back = self._whole
        if jpeg.pixels is not None:
            held_back = max(self._whole - _HELD_BACK, len(jpeg.tables) + jpeg.pixels)
        self._pauses = [held_back, self._whole, self._whole + len(tail)]
        self._asked: set[int] = set()
        self._missing = 0
        self._decoding = False

    def watch(self, picture: Image.Image) -> None:
        """Observe the decoding of a picture that Pillow has opened with this stream."""
        self._picture = picture
        if self._jpeg.pixels is not None:
            row = _unwritten_row(picture.width, len(picture.getbands()))
            marked = Image.frombytes(picture.mode, (picture.width, 1), row.tobytes())
            picture.im = marked.resize(picture.size, Image.Resampling.NEAREST).im

    @property
    def complaint(self) -> str | None:
        """What is wrong with the picture, after decoding; None if only its header was read."""
        if not self._decoding:
            return None
        damaged = "has damaged parts: its data do not fit its size, so a part of the picture may be wrong"
        if self._missing and (self._jpeg.ended or self._jpeg.misplaced or self._jpeg.cut_off):
            return damaged
        if self._missing:
            return f"lacks its last bytes: up to {self._missing} rows at the bottom are damaged"
        if not self._jpeg.ended and not self._jpeg.cut_off:
            several = "it may have less detail than it should"
            return f"lacks its last bytes; {several if self._jpeg.pixels is None else 'its pixels are all there'}"
        if self._jpeg.incomplete:
            return "lacks a part of its data; it has less detail than it should"
        left_over = self._jpeg.pixels is not None and self._pauses[0] < self._whole and 0 not in self._asked
        if left_over or self._jpeg.misplaced or self._jpeg.cut_off:
            return damaged
        return None

    def read(self, count: int = -1) -> bytes:
        """Return up to `count` bytes, and note what the decoder could not do without."""
        self._decoding = self._picture is not None
        if self._picture is not None and self._jpeg.pixels is not None and self._position in self._pauses:
            self._asked.add(self._pauses.index(self._position))
            if self._position == self._pauses[2]:
                self._note_missing(self._picture)
        stop = min((pause for pause in self._pauses if pause > self._position), default=self._position + 2)
        stop = stop if count < 0 else min(stop, self._position + count)
        found, start = [], 0
        for part in self._parts:
            found.append(part[max(0, self._position - start) : max(0, stop - start)])
            start += len(part)
        self._position = min(stop, start)
        return b"".join(found)

    def _note_missing(self, picture: Image.Image) -> None:
        """Count the rows that the decoder has not written.

        Raises:
            ImageError: they are more than two rows of blocks and more than `_MOST_MISSING` of the picture.

        """
        width, height = picture.size
        so_far = np.asarray(Image.Image()._new(picture.im)).reshape(height, width, -1)  # half loaded
        written = (so_far != _unwritten_row(width, so_far.shape[2])).any(axis=(1, 2))
        missing = height - int(written.nonzero()[0].max(initial=-1)) - 1
        full_height = self._jpeg.size[1]  # `height` is smaller in a reduced picture
        if missing * full_height > height * max(2 * self._jpeg.block_rows, _MOST_MISSING * full_height):
            raise _ends_early(self._path, f"{max(1, round(100 * missing / height))}% of its rows")
        self._missing = max(1, missing)

    def seek(self, position: int, _whence: int = 0) -> int:
        """Go to a position from the start."""
        self._position = position
        return position

    def tell(self) -> int:
        """Return the position."""
        return self._position

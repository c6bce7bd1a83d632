"""What a picture file says about its colors, besides the ICC profiles that the decoders hand over.

PNG says it in chunks, AVIF and JPEG 2000 in boxes, BMP in its header, cameras in EXIF. The answer is an ICC profile,
or None for sRGB. Files are not trusted: what is malformed counts as absent, and sizes are bounded.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image
from tifffile import TiffPage

from nstyle.pictures.color_encoding import (
    SRGB_CHROMATICITIES,
    adobe_rgb_profile,
    profile_of_code_points,
    rgb_profile,
    romm_rgb_profile,
    unknown_color_space,
)
from nstyle.pictures.limits import MOST_PROFILE_BYTES
from nstyle.pictures.png_file import png_chunks, unpack

_MOST_BOX_BYTES = 2**24  # bytes of a box that describes a picture; most have a thousand
_MOST_BOXES = 1000  # at the top level of a file that are looked at; most files have ten


def profile_of(path: Path, picture: Image.Image) -> bytes | None:
    """Return the profile of a picture that Pillow has opened; for a PNG, ask `png_color` first.

    Raises:
        ImageError: the picture has high dynamic range, or a color space that we cannot convert.

    """
    profile: bytes | None = picture.info.get("icc_profile")
    if profile:
        return profile
    if picture.format == "AVIF":
        return avif_profile(path)
    if picture.format == "JPEG2000":
        return jpeg2000_profile(path)
    if picture.format in ("BMP", "DIB"):
        return _bmp_profile(path, 14 if picture.format == "BMP" else 0)
    return adobe_rgb_profile() if _says_adobe_rgb(picture.getexif) else None


def profile_of_tiff(path: Path, page: TiffPage) -> bytes | None:
    """Return the ICC profile of a TIFF's first page, or the one that its EXIF names."""
    profile: bytes | None = page.iccprofile
    if profile:
        return profile
    with path.open("rb") as file:
        return adobe_rgb_profile() if _says_adobe_rgb(lambda: _exif_of_tiff(file)) else None


@dataclass(frozen=True)
class PngColor:
    """What the chunks of a PNG before its pixels say about its colors.

    Attributes:
        profile: ICC profile; None for sRGB.
        stated: whether any chunk says anything.
        narrow: whether levels have video's narrow range, 16 to 235 of 255.
        color_key: whether one color of a grey or RGB picture is transparent.

    """

    profile: bytes | None
    stated: bool
    narrow: bool
    color_key: bool


def png_color(path: Path) -> PngColor:
    """Read the chunks cICP, iCCP, sRGB, gAMA and cHRM of a PNG.

    The first of this order that is valid counts, and gAMA and cHRM together (PNG, third edition, 4.3). cICP is valid
    for RGB only, with matrix 0.

    Raises:
        ImageError: cICP names high dynamic range, or a color space that we cannot convert.

    """
    chunks = _color_chunks(path)
    color_type = chunks.get(b"IHDR", bytes(13))[9]
    color_key = b"tRNS" in chunks and color_type in (0, 2)
    cicp = chunks.get(b"cICP", b"")
    if len(cicp) == 4 and cicp[2] == 0:
        return PngColor(profile_of_code_points(path, cicp[0], cicp[1]), True, cicp[3] == 0, color_key)
    profile = _unpacked_profile(chunks.get(b"iCCP", b""))
    if profile is None and b"sRGB" not in chunks:
        profile = _profile_of_gamma(chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b""))
    stated = not chunks.keys().isdisjoint((b"iCCP", b"sRGB", b"gAMA", b"cHRM"))
    return PngColor(profile, stated, False, color_key)


def _color_chunks(path: Path) -> dict[bytes, bytes]:
    """Return the contents of the chunks before the pixels, by name; the first of a name, intact ones only."""
    wanted = (b"IHDR", b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"tRNS")
    chunks: dict[bytes, bytes] = {}
    for name, content, whole in png_chunks(path.read_bytes()):
        if name == b"IDAT":
            break
        if whole and name in wanted:
            chunks.setdefault(name, bytes(content))
    return chunks


def _unpacked_profile(content: bytes) -> bytes | None:
    """Return the ICC profile in the content of a chunk iCCP: a name, a zero byte, the method 0, then zlib."""
    _, _, packed = content.partition(b"\0")
    return unpack(packed[1:], MOST_PROFILE_BYTES) if packed[:1] == b"\0" else None


def _profile_of_gamma(gama: bytes, chrm: bytes) -> bytes | None:
    """Return a profile for the contents of gAMA and cHRM; each is empty if the file lacks it.

    gAMA holds 100000 times the exponent from light to level. What rounds to 0.45 or 0.46 is meant to be sRGB's curve:
    45455 (1/2.2) is the value that PNG prescribes beside an sRGB chunk.
    """
    encoded = struct.unpack(">I", gama)[0] / 100_000 if len(gama) == 4 else 0.45455
    if not 0.05 <= encoded <= 20:  # 0 is meaningless, and no camera or display has the others
        encoded = 0.45455
    gamma = None if 0.445 <= encoded < 0.465 else 1 / encoded
    if len(chrm) != 32:
        return rgb_profile(SRGB_CHROMATICITIES, gamma)
    wx, wy, rx, ry, gx, gy, bx, by = (number / 100_000 for number in struct.unpack(">8I", chrm))
    return rgb_profile((wx, wy, rx, ry, gx, gy, bx, by), gamma)


def _bmp_profile(path: Path, start: int) -> bytes | None:
    """Return the profile of a BMP whose header, at this offset, is of version 4 or 5 (Microsoft's BITMAPV5HEADER).

    Version 5 can embed an ICC profile. Both can give XYZ of the primaries, whose sum is white, and a gamma.
    """
    with path.open("rb") as file:
        file.seek(start)
        header = file.read(124)
        if len(header) < 124 or header[:4] not in (b"\x6c\0\0\0", b"\x7c\0\0\0"):
            return None
        offset, size = struct.unpack_from("<II", header, 112)
        if header[:1] == b"\x7c" and header[56:60] == b"DEBM" and 0 < size <= MOST_PROFILE_BYTES:
            file.seek(start + offset)
            return file.read(size)
    endpoints = np.frombuffer(header, "<i4", 9, 60).reshape(3, 3) / 2**30
    gammas = np.frombuffer(header, "<u4", 3, 96) / 2**16
    points = np.concatenate([endpoints.sum(axis=0, keepdims=True), endpoints])  # white, red, green, blue
    sums = points.sum(axis=1, keepdims=True)
    if header[56:60] != bytes(4) or sums.min() <= 0 or gammas.min() < 0.05 or np.ptp(gammas) > 0.01:
        return None
    wx, wy, rx, ry, gx, gy, bx, by = (points / sums)[:, :2].ravel().tolist()
    gamma = float(gammas[1])
    return rgb_profile((wx, wy, rx, ry, gx, gy, bx, by), None if 0.445 <= 1 / gamma < 0.465 else gamma)


def _says_adobe_rgb(load: Callable[[], Image.Exif]) -> bool:
    """Tell whether EXIF names Adobe RGB; rubbish does not.

    The camera standard DCF 2.0 says it with the color space 0xFFFF ("uncalibrated") and the interoperability index
    R03; some cameras say it with the color space 2.
    """
    try:
        exif = load()
        color_space, index = exif.get_ifd(0x8769).get(0xA001), exif.get_ifd(0xA005).get(1)
    except (ValueError, TypeError, LookupError, OSError, SyntaxError, struct.error):
        return False
    return color_space == 2 or (color_space == 0xFFFF and str(index).strip("\0 ") == "R03")


def _exif_of_tiff(file: IO[bytes]) -> Image.Exif:
    """Read the tags of an open TIFF."""
    exif = Image.Exif()
    exif.load_from_fp(file)
    return exif


def avif_profile(path: Path) -> bytes | None:
    """Return a profile for the code points (`colr` box, type `nclx`) of an AVIF's primary item.

    The decoder hands over an ICC profile, and decodes the range and matrix of the levels.

    Raises:
        ImageError: they name high dynamic range, or a color space that we cannot convert.

    """
    meta = _box_of_file(path, b"meta")[4:]
    properties = _properties_of_primary_item(meta)
    for kind, content in properties:
        if kind == b"colr" and content[:4] == b"nclx" and len(content) >= 10:
            return profile_of_code_points(path, *struct.unpack(">HH", content[4:8]))
    return None


def _properties_of_primary_item(meta: bytes) -> list[tuple[bytes, bytes]]:
    """Return the properties of the primary item, and of its tiles, from a `meta` box (ISO 23008-12)."""
    inside = dict(_boxes(meta))
    pitm, iprp = inside.get(b"pitm", b""), dict(_boxes(inside.get(b"iprp", b"")))
    primary = int.from_bytes(pitm[4:8] if pitm[:1] > b"\0" else pitm[4:6], "big")
    properties = list(_boxes(iprp.get(b"ipco", b"")))
    numbers = _property_numbers(iprp.get(b"ipma", b""))
    items = [primary, *_tiles(inside.get(b"iref", b""), primary)]
    wanted = [number for item in items for number in numbers.get(item, [])]
    return [properties[number - 1] for number in wanted if 0 < number <= len(properties)]


def _tiles(iref: bytes, item: int) -> list[int]:
    """Return the items that a grid or another derived item is made of, from an `iref` box."""
    width = 4 if iref[:1] > b"\0" else 2
    for kind, content in _boxes(iref[4:]):
        ids = [int.from_bytes(content[at : at + width], "big") for at in (0, *range(width + 2, len(content), width))]
        if kind == b"dimg" and ids[0] == item:
            return ids[1:]
    return []


def _property_numbers(ipma: bytes) -> dict[int, list[int]]:
    """Return the numbers of the properties of each item, counted from 1, from an `ipma` box."""
    width = 4 if ipma[:1] > b"\0" else 2  # of an item's number
    step, mask = (2, 0x7FFF) if ipma[3:4] and ipma[3] & 1 else (1, 0x7F)  # the upper bit: readers must understand it
    position, numbers = 8, {}
    while position + width < len(ipma):
        item, count = int.from_bytes(ipma[position : position + width], "big"), ipma[position + width]
        position += width + 1
        ends = range(position, position + step * count, step)
        numbers[item] = [int.from_bytes(ipma[at : at + step], "big") & mask for at in ends]
        position += step * count
    return numbers


_JP2_PLAIN = {12, 16, 17, 18}  # CMYK, sRGB, grey with sRGB's curve, and sYCC, which the decoder converts
_JP2_ROMM_RGB = 21


def jpeg2000_profile(path: Path) -> bytes | None:
    """Return the profile of a JPEG 2000 file (JP2 or JPX, ISO 15444-1 and -2): the first `colr` box that we know.

    Raises:
        ImageError: no box names a color space that we can convert.

    """
    header = _box_of_file(path, b"jp2h")
    colors = [content for kind, content in _boxes(header) if kind == b"colr" and len(content) > 3]
    for content in colors:
        method, value = content[0], int.from_bytes(content[3:7], "big")
        if method == 1 and value in _JP2_PLAIN:
            return None
        if method == 1 and value == _JP2_ROMM_RGB:
            return romm_rgb_profile()
        if method in (2, 3):
            return content[3:]
        if method == 5 and len(content) >= 7:
            return profile_of_code_points(path, *struct.unpack(">HH", content[3:7]))
    if colors:
        raise unknown_color_space(path, "JPEG 2000, number " + str(int.from_bytes(colors[0][3:7], "big")))
    return None


def jpeg2000_is_multiplied(path: Path) -> bool:
    """Tell whether the colors of a JPEG 2000 file are multiplied by alpha: a `cdef` box has a channel of type 2."""
    definitions = dict(_boxes(_box_of_file(path, b"jp2h"))).get(b"cdef", b"")[2:]
    return any(definitions[at + 2 : at + 4] == b"\0\2" for at in range(0, len(definitions), 6))


def _box_of_file(path: Path, wanted: bytes) -> bytes:
    """Return the content of the first box of this kind at the top level of a file; empty if there is none."""
    return next(iter(boxes_of_file(path, wanted, _MOST_BOX_BYTES)), b"")


def boxes_of_file(path: Path, wanted: bytes, most: int) -> list[bytes]:
    """Return the contents of the boxes of this kind at the top level of a file, up to `most` bytes together."""
    found: list[bytes] = []
    with path.open("rb") as file:
        for _ in range(_MOST_BOXES):
            head = _box_head(file)
            if head is None or most <= 0:
                break
            kind, size = head
            start = file.tell()
            if kind == wanted:
                found.append(file.read(min(size, most)))
                most -= len(found[-1]) or most
            file.seek(start + size)
    return found


def _box_head(file: IO[bytes]) -> tuple[bytes, int] | None:
    """Read the head of a box (ISO 14496-12): its kind, and the size of its content; None at the end of the file."""
    head = file.read(8)
    if len(head) < 8:
        return None
    size, kind = struct.unpack(">I4s", head)
    if size == 0:  # up to the end
        return kind, _MOST_BOX_BYTES
    if size == 1:
        size = int.from_bytes(file.read(8), "big") - 8
    return (kind, size - 8) if 8 <= size < 2**62 else None


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and the content of each box inside another one."""
    position = 0
    while position + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, position)
        start = position + 8
        if size == 1:
            size, start = int.from_bytes(content[start : start + 8], "big"), start + 8
        end = position + size if size else len(content)
        if end < start:
            return
        yield kind, content[start:end]
        position = end

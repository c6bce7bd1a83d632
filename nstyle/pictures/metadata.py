"""Metadata of a photo that a painting may keep: date, description, artist, copyright, and place; all from EXIF.

Nothing else is kept: not the orientation, which the painting does not have, and neither thumbnail nor maker's notes,
which would show and tell more than the user sees. Tags: Exif 2.32, CIPA DC-008-2019, tables 3, 7, 8 and 15.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pillow_heif
from PIL import Image

from nstyle.errors import ImageError
from nstyle.pictures.embedded_color import boxes_of_file
from nstyle.pictures.embedded_text import EXIF_FOLDER, RECIPE_MARK
from nstyle.pictures.jpeg_xl import is_jpeg_xl
from nstyle.pictures.limits import MOST_EXIF_BYTES
from nstyle.pictures.opening import head_of, is_heif, is_tiff, open_by_pillow, reading

GPS_FOLDER = 0x8825
"""EXIF tag of the GPS IFD, the directory that holds the place."""

DESCRIPTION, DATE, ARTIST, COPYRIGHT = 270, 306, 315, 33432
"""TIFF tags. The date is that of the last change of the file."""

_EXIF_DATES = (36867, 36868)  # of taking, and of digitizing
_OFFSETS = (36880, 36881, 36882)  # from UTC: of the three dates
_POSITION, _ALTITUDE = (1, 2, 3, 4), (5, 6)  # north or south, latitude, east or west, longitude; below 0, meters

_DATE_FORM = re.compile(r"[0-9]{4}(:[0-9]{2}){2} [0-9]{2}(:[0-9]{2}){2}")
_OFFSET_FORM = re.compile(r"[+-][0-9]{2}:[0-9]{2}")
_CONTROL = bytes(set(range(32)) - {9, 10, 13})
_LONGEST_TEXT = 1000  # bytes; all EXIF of a JPEG has room for 65,000, with the recipe


@dataclass(frozen=True)
class Metadata:
    """Metadata by EXIF tag.

    Attributes:
        texts: tags of the first directory: description, artist and copyright as the photo spells them (bytes of
            unknown encoding), and the date.
        dates: dates and time zones in the Exif IFD.
        place: latitude, longitude and altitude in the GPS IFD.

    """

    texts: Mapping[int, bytes] = field(default_factory=dict)
    dates: Mapping[int, str] = field(default_factory=dict)
    place: Mapping[int, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self.texts or self.dates or self.place)


NOTHING = Metadata()
"""No metadata."""


def read_metadata(path: Path, *, credits_: bool, place: bool) -> Metadata:
    """Return the metadata of a photo; what is missing or damaged is left out.

    Args:
        path: the photo.
        credits_: whether to read date, description, artist and copyright.
        place: whether to read latitude, longitude and altitude.

    """
    try:
        with reading(path):
            return _kept(_exif_of(path), credits_=credits_, place=place)
    except ImageError:  # rubbish in the EXIF: the painting does not need it
        return NOTHING


def _exif_of(path: Path) -> Image.Exif:
    """Return a photo's EXIF, completely read: it does not need the file any more."""
    exif = Image.Exif()
    head = head_of(path)
    if is_heif(head):
        exif.load(pillow_heif.open_heif(path).info.get("exif") or b"")
    elif is_jpeg_xl(head):
        boxes = boxes_of_file(path, b"Exif", MOST_EXIF_BYTES)
        exif.load(boxes[0][4:] if boxes else b"")  # the box begins with a number
    elif is_tiff(head):
        with path.open("rb") as file:
            if head[2:3] == b"+":  # a BigTIFF, whose header Pillow reads only in pictures
                exif.bigtiff, exif.endian = True, "<" if head.startswith(b"II") else ">"
                exif.load_from_fp(file, int.from_bytes(head[8:16], "little" if exif.endian == "<" else "big"))
            else:
                exif.load_from_fp(file)
            exif.get_ifd(EXIF_FOLDER), exif.get_ifd(GPS_FOLDER)
    else:
        with open_by_pillow(path) as picture:
            exif = picture.getexif()
            exif.get_ifd(EXIF_FOLDER), exif.get_ifd(GPS_FOLDER)
    return exif


def _kept(exif: Image.Exif, *, credits_: bool, place: bool) -> Metadata:
    texts: dict[int, bytes] = {}
    dates: dict[int, str] = {}
    if credits_:
        texts = {tag: text for tag in (DESCRIPTION, ARTIST, COPYRIGHT) if (text := _text(exif.get(tag)))}
        if texts.get(DESCRIPTION, b"").startswith(RECIPE_MARK.encode("ascii")):
            del texts[DESCRIPTION]  # the photo is a painting of ours
        if date := _matching(_DATE_FORM, exif.get(DATE)):
            texts[DATE] = date.encode("ascii")
        folder = exif.get_ifd(EXIF_FOLDER)
        for tags, form in ((_EXIF_DATES, _DATE_FORM), (_OFFSETS, _OFFSET_FORM)):
            dates |= {tag: word for tag in tags if (word := _matching(form, folder.get(tag)))}
    return Metadata(texts, dates, _position(exif.get_ifd(GPS_FOLDER)) if place else {})


def _text(value: object) -> bytes:
    """Return the bytes of a text, without control characters. Pillow decodes them as Latin-1, whatever they are."""
    content = value.encode("latin-1", "replace") if isinstance(value, str) else value
    if not isinstance(content, bytes):
        return b""
    return content.translate(None, _CONTROL).strip()[:_LONGEST_TEXT]


def _matching(form: "re.Pattern[str]", value: object) -> str | None:
    text = value.strip("\0 ") if isinstance(value, str) else ""
    return text if form.fullmatch(text) else None


def _position(folder: Mapping[int, Any]) -> dict[int, Any]:
    """Return a position if it is one on the Earth, with its altitude if that is valid."""
    south_north, latitude, west_east, longitude = (folder.get(tag) for tag in _POSITION)
    if south_north not in ("N", "S") or west_east not in ("E", "W"):
        return {}
    if not (_is_angle(latitude, 90) and _is_angle(longitude, 180)):
        return {}
    found = dict(zip(_POSITION, (south_north, latitude, west_east, longitude), strict=True))
    below, meters = (folder.get(tag) for tag in _ALTITUDE)
    if below in (b"\0", b"\1") and _is_number(meters):
        found |= dict(zip(_ALTITUDE, (below, meters), strict=True))
    return found


def _is_angle(value: Any, most: int) -> bool:
    """Tell whether a value is degrees, minutes and seconds of at most `most` degrees."""
    if not isinstance(value, tuple) or len(value) != 3 or not all(map(_is_number, value)):
        return False
    degrees, minutes, seconds = map(float, value)
    return degrees + minutes / 60 + seconds / 3600 <= most


def _is_number(value: Any) -> bool:
    """Tell whether a value is a finite fraction that is not negative; some fractions have the denominator 0."""
    try:
        return math.isfinite(value) and value >= 0
    except (TypeError, ValueError, ZeroDivisionError):
        return False

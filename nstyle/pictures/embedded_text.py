"""Read the recipe that is embedded in a picture as text."""

from pathlib import Path

import pillow_heif
import tifffile

from nstyle.pictures.jpeg_xl import is_jpeg_xl
from nstyle.pictures.opening import head_of, is_heif, is_tiff, open_by_pillow, reading
from nstyle.pictures.png_file import SIGNATURE, png_chunks, png_text

EXIF_FOLDER = 0x8769
"""EXIF tag of the Exif IFD, the directory that holds `USER_COMMENT`."""

USER_COMMENT = 0x9286
"""EXIF tag of the UserComment: 8 bytes with the name of the encoding, then the text."""

IMAGE_DESCRIPTION = 270
"""TIFF tag for text about the picture."""

RECIPE_MARK = "nstyle "
"""Prefix of a recipe in EXIF and TIFF tags, which other programs use, too."""


def read_recipe_text(path: Path) -> str | None:
    """Return the recipe that `write_picture` embedded; None if there is none. Thread-safe.

    Raises:
        ImageError: the file does not exist, or is not a picture.

    """
    with reading(path):
        head = head_of(path)
        if is_heif(head):
            pillow_heif.open_heif(path)
            return None
        if is_jpeg_xl(head):
            return None
        if is_tiff(head):
            with tifffile.TiffFile(path) as tiff:
                text = tiff.pages.first.tags.valueof(IMAGE_DESCRIPTION)
        elif head.startswith(SIGNATURE):
            return _recipe_in_png(path)
        else:
            with open_by_pillow(path) as picture:
                comment = picture.getexif().get_ifd(EXIF_FOLDER).get(USER_COMMENT)
                text = comment[8:].decode("ascii", "replace") if isinstance(comment, bytes) else None
    return text.removeprefix(RECIPE_MARK) if isinstance(text, str) and text.startswith(RECIPE_MARK) else None


def _recipe_in_png(path: Path) -> str | None:
    """Return the text "nstyle" of a PNG; None if there is none.

    Raises:
        ValueError: the text is damaged, or too long for a recipe.

    """
    with open_by_pillow(path):  # checks that it is a picture
        pass
    for kind, body, whole in png_chunks(path.read_bytes()):
        if kind in (b"tEXt", b"zTXt", b"iTXt") and bytes(body[:7]) == b"nstyle\0":
            _, text = png_text(kind, bytes(body))
            if text is None or not whole:
                raise ValueError("a damaged recipe")
            return text
    return None

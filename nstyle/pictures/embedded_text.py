"""The text that a written picture carries: its recipe."""

from pathlib import Path

import pillow_heif
import tifffile

from nstyle.pictures.opening import head_of, is_heif, is_tiff, open_by_pillow, reading

EXIF_FOLDER = 0x8769
"""EXIF: the tag that leads to the folder in which `USER_COMMENT` is."""

USER_COMMENT = 0x9286
"""EXIF: the comment, 8 bytes that name its coding and then the text."""

IMAGE_DESCRIPTION = 270
"""TIFF: the tag for text about the picture."""

RECIPE_MARK = "nstyle "
"""What a recipe begins with in a place that other programs use as well (EXIF, TIFF)."""


def read_recipe_text(path: Path) -> str | None:
    """Return the recipe that `write_picture` embedded; None if there is none. Safe in several threads at once.

    Raises:
        ImageError: the file does not exist, or is not a picture.

    """
    with reading(path):
        head = head_of(path)
        if is_heif(head):
            pillow_heif.open_heif(path)
            return None
        if is_tiff(head):
            with tifffile.TiffFile(path) as tiff:
                text = tiff.pages.first.tags.valueof(IMAGE_DESCRIPTION)
        else:
            with open_by_pillow(path) as picture:
                if picture.format == "PNG":
                    text = picture.info.get("nstyle")
                    return str(text) if isinstance(text, str) else None
                comment = picture.getexif().get_ifd(EXIF_FOLDER).get(USER_COMMENT)
                text = comment[8:].decode("ascii", "replace") if isinstance(comment, bytes) else None
    return text.removeprefix(RECIPE_MARK) if isinstance(text, str) and text.startswith(RECIPE_MARK) else None

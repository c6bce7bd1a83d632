"""Small copies of a film's frames, beside its page, that a browser can decode as fast as the film plays."""

import os
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from nstyle.errors import ImageError, Kind, OutputError
from nstyle.files import make_folder, replacing
from nstyle.storage.layout import FRAMES, SOURCE_FRAMES
from nstyle.view.album import LADDER, open_picture
from nstyle.view.films import refuse_foreign
from nstyle.view.markup import picture_link
from nstyle.view.runs import Film, is_plain_file

PREVIEWS = "previews"
"""Folder of the copies, beside the page."""

ENDING = ".webp"

PLAYED = 960
"""Longest edge in pixels of frames that the page plays as they are. A browser decodes such a PNG in about 10 ms."""

_EDGE, _QUALITY = LADDER[0]

_MOST_BYTES = 2**20  # of a copy; its note is at the end

_NOTE = b"nstyle preview"
"""Text in a copy by which it is known as nstyle-view's."""


def needs_previews(film: Film, page: Path) -> bool:
    """Tell whether a page plays small copies: the frames are large, or in a folder that it must not link to."""
    return max(film.film.size) > PLAYED or picture_link(film.folder / FRAMES, page) is None


def prefix(folder: str) -> str:
    """Return how the names of the copies of `FRAMES` or of `SOURCE_FRAMES` begin."""
    return "painted-" if folder == FRAMES else "source-"


def write_previews(film: Film, page: Path) -> None:
    """Write the copies that the film's page needs. Skips frames that cannot be read, and copies that are up to date.

    Raises:
        OutputError: a copy cannot be written, or would replace a file that nstyle-view did not write.

    """
    if not needs_previews(film, page) or not film.painted:
        return
    folder = page.parent / PREVIEWS
    if folder.is_symlink():
        raise OutputError(
            f"{folder} is a link; remove it, or choose another --output-dir",
            flag="--output-dir",
            path=folder,
            kind=Kind.IN_THE_WAY,
        )
    make_folder(folder)
    for number in film.painted:
        _write_preview(film.painted_frame(number), _path(page, FRAMES, number))
    for number in film.sources:
        _write_preview(film.source_frame(number), _path(page, SOURCE_FRAMES, number))


def find_previews(page: Path, folder: str, frames: Iterable[int]) -> list[int]:
    """Return the frames that have a copy beside the page."""
    return [number for number in frames if is_plain_file(_path(page, folder, number))]


def _path(page: Path, folder: str, number: int) -> Path:
    return page.parent / PREVIEWS / f"{prefix(folder)}{number:06d}{ENDING}"


def _write_preview(frame: Path, path: Path) -> None:
    """Write a copy of a frame, unless there is one of the frame's modification time: a copy has that of its frame."""
    try:
        modified = frame.stat().st_mtime_ns
        if is_plain_file(path) and path.stat().st_mtime_ns == modified:
            return
        picture = open_picture(frame, _EDGE)
    except (ImageError, OSError):
        return
    refuse_foreign(path, _NOTE, _MOST_BYTES)
    content = BytesIO()
    picture.save(content, "WEBP", quality=_QUALITY, xmp=_NOTE)
    with replacing(path) as file:
        file.write(content.getvalue())
    os.utime(path, ns=(modified, modified))

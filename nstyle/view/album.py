"""Pictures made small enough that a page which carries them all is small, too."""

from base64 import b64encode
from collections.abc import Collection, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from nstyle.errors import ImageError
from nstyle.pictures.decode import read_picture
from nstyle.pictures.picture import on_white, to_uint8
from nstyle.view.runs import evenly

LADDER = ((720, 82), (600, 78), (480, 72), (400, 66), (320, 58), (256, 50), (200, 40), (160, 30), (112, 25))
"""Longest edge in pixels and quality of WebP, from good to small: the first with which all pictures fit is taken."""

_SAMPLE = 6
"""So many pictures tell whether all of them are likely to fit."""


class Album:
    """Makes pictures small, and keeps what it made, so that a page that grows is made again at little cost."""

    def __init__(self) -> None:
        self._made: dict[tuple[Path, int, int, tuple[int, int]], str | None] = {}

    def fit(self, paths: Collection[Path], budget: int, largest: int = LADDER[0][0]) -> dict[Path, str]:
        """Return each picture as a `data:` address, all of the same edge and quality.

        Args:
            paths: their files; what cannot be read is left out.
            budget: characters that the addresses may have together.
            largest: pixels that an edge may have.

        """
        unique = list(dict.fromkeys(paths))
        made: dict[Path, str] = {}
        for edge, quality in [rung for rung in LADDER if rung[0] <= largest]:
            sample = self._make_all(evenly(unique, _SAMPLE), edge, quality)
            if sample and _characters(sample) / len(sample) * len(unique) > budget:
                continue
            made = self._make_all(unique, edge, quality)
            if _characters(made) <= budget:
                return made
        return made or self._make_all(unique, *LADDER[-1])

    def _make_all(self, paths: Sequence[Path], edge: int, quality: int) -> dict[Path, str]:
        made = {path: self._make(path, edge, quality) for path in paths}
        return {path: address for path, address in made.items() if address is not None}

    def _make(self, path: Path, edge: int, quality: int) -> str | None:
        """Return the picture as an address, made now or before from the same file; None if it cannot be read."""
        try:
            status = path.stat()
            key = (path, status.st_mtime_ns, status.st_size, (edge, quality))
            if key not in self._made:
                self._made[key] = address(open_picture(path), edge, quality)
            return self._made[key]
        except (ImageError, OSError):
            return None


def _characters(made: dict[Path, str]) -> int:
    return sum(map(len, made.values()))


def open_picture(path: Path) -> Image.Image:
    """Decode a picture's file for display: RGB in 8 bits, laid on white where it is transparent.

    Raises:
        ImageError: it cannot be read.

    """
    return Image.fromarray(to_uint8(on_white(read_picture(path))))


def shrink(picture: Image.Image, edge: int) -> Image.Image:
    """Return the picture with its longer edge at most so many pixels; a smaller one as it is."""
    if max(picture.size) <= edge:
        return picture
    factor = edge / max(picture.size)
    width, height = (max(1, round(side * factor)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def address(picture: Image.Image, edge: int, quality: int) -> str:
    """Return the picture, shrunken and encoded as WebP, as a `data:` address."""
    file = BytesIO()
    shrink(picture, edge).save(file, "WEBP", quality=quality)
    return "data:image/webp;base64," + b64encode(file.getvalue()).decode("ascii")

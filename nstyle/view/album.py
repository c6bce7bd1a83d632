"""Pictures compressed so that a page that embeds them all stays small."""

from base64 import b64encode
from collections.abc import Collection, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from nstyle.errors import ImageError
from nstyle.pictures.decode import read_picture
from nstyle.pictures.picture import on_white, to_uint8
from nstyle.view.run_files import evenly

LADDER = ((720, 82), (600, 78), (480, 72), (400, 66), (320, 58), (256, 50), (200, 40), (160, 30), (112, 25))
"""Pairs of longest edge in pixels and WebP quality, best first. The page uses the first pair that fits its budget."""

_SAMPLE = 6
"""Number of pictures compressed to estimate whether all will fit."""


class Album:
    """Compresses pictures and caches the results, so that updating a page is cheap."""

    def __init__(self) -> None:
        self._made: dict[tuple[Path, int, int, tuple[int, int]], str | None] = {}

    def fit(self, paths: Collection[Path], budget: int, largest: int = LADDER[0][0]) -> dict[Path, str]:
        """Return each picture as a `data:` URL, all with the same longest edge and quality.

        If the budget is too small for any pair in `LADDER`, uses the last pair and exceeds the budget.

        Args:
            paths: picture files; unreadable ones are skipped.
            budget: maximum total length of the URLs in characters.
            largest: maximum longest edge in pixels.

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
        """Return the picture as a `data:` URL, from the cache if the file has not changed; None if unreadable."""
        try:
            status = path.stat()
            key = (path, status.st_mtime_ns, status.st_size, (edge, quality))
            if key not in self._made:
                self._made[key] = address(open_picture(path, edge), edge, quality)
            return self._made[key]
        except (ImageError, OSError):
            return None


def _characters(made: dict[Path, str]) -> int:
    return sum(map(len, made.values()))


def open_picture(path: Path, edge: int | None = None) -> Image.Image:
    """Decode a picture file for display: 8-bit RGB, with transparent pixels composited on white.

    A very large JPEG is decoded at a reduced size that is enough for a longer edge of `edge` pixels.

    Raises:
        ImageError: the file cannot be read.

    """
    return Image.fromarray(to_uint8(on_white(read_picture(path, edge))))


def shrink(picture: Image.Image, edge: int) -> Image.Image:
    """Resize the picture so that its longer edge is at most `edge` pixels; a smaller picture is unchanged."""
    if max(picture.size) <= edge:
        return picture
    factor = edge / max(picture.size)
    width, height = (max(1, round(side * factor)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def address(picture: Image.Image, edge: int, quality: int) -> str:
    """Shrink the picture to `edge` pixels, encode it as WebP, and return it as a `data:` URL."""
    file = BytesIO()
    shrink(picture, edge).save(file, "WEBP", quality=quality)
    return "data:image/webp;base64," + b64encode(file.getvalue()).decode("ascii")

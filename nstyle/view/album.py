"""Pictures compressed so that a page that embeds them all stays small."""

from base64 import b64encode
from collections.abc import Collection, Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from PIL import Image

from nstyle.errors import ImageError
from nstyle.pictures.decode import read_picture
from nstyle.pictures.limits import LARGE
from nstyle.pictures.picture import on_white, resize_picture, to_uint8
from nstyle.view.run_files import evenly

LADDER = ((720, 82), (600, 78), (480, 72), (400, 66), (320, 58), (256, 50), (200, 40), (160, 30), (112, 25))
"""Pairs of longest edge in pixels and WebP quality, best first. The page uses the first pair that fits its budget."""

_SAMPLE = 6
"""Number of pictures compressed to estimate whether all will fit."""

_KEPT = 50
"""Number of decoded pictures that are cached: 2 MB each at the largest size in `LADDER`."""


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


def open_picture(path: Path, edge: int) -> Image.Image:
    """Decode a picture file for display: 8-bit RGB, with transparent pixels composited on white.

    The longer edge of the result has at most `edge` pixels. Up to the largest size in `LADDER`, pictures whose files
    have not changed come from a cache.

    Raises:
        ImageError: the file is not a picture.
        OSError: it cannot be read.

    """
    if edge > LADDER[0][0]:
        return _decoded(path, edge)
    status = path.stat()
    return shrink(_small(path, status.st_mtime_ns, status.st_size), edge)


@lru_cache(maxsize=_KEPT)
def _small(path: Path, _modified: int, _size: int) -> Image.Image:
    """Return a picture at the largest size in `LADDER`; decoding one of 100 megapixels takes seconds."""
    return _decoded(path, LADDER[0][0])


def _decoded(path: Path, edge: int) -> Image.Image:
    picture = read_picture(path, edge)
    height, width = picture.size
    if height * width > LARGE:  # shrink it quickly, before it is copied
        picture = resize_picture(picture, *_fitted((height, width), edge))
    return shrink(Image.fromarray(to_uint8(on_white(picture))), edge)


def shrink(picture: Image.Image, edge: int) -> Image.Image:
    """Resize the picture so that its longer edge is at most `edge` pixels; a smaller picture is unchanged."""
    if max(picture.size) <= edge:
        return picture
    return picture.resize(_fitted(picture.size, edge), Image.Resampling.LANCZOS)


def _fitted(size: tuple[int, int], edge: int) -> tuple[int, int]:
    """Return a size whose longer side is `edge`, with the same aspect ratio."""
    first, second = (max(1, round(side * edge / max(size))) for side in size)
    return first, second


def address(picture: Image.Image, edge: int, quality: int) -> str:
    """Shrink the picture to `edge` pixels, encode it as WebP, and return it as a `data:` URL."""
    file = BytesIO()
    shrink(picture, edge).save(file, "WEBP", quality=quality)
    return "data:image/webp;base64," + b64encode(file.getvalue()).decode("ascii")

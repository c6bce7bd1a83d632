"""A film in a folder: one picture file for each frame."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from nstyle.errors import ImageError, Kind
from nstyle.film.source import PLAIN, Geometry, Timing
from nstyle.pictures.decode import read_picture
from nstyle.pictures.formats import FORMATS
from nstyle.pictures.opening import reading
from nstyle.pictures.picture import Picture, Rgb

FRAME_RATE = Fraction(24)
"""Frames per second of a film made of pictures, if nothing else is said: that of the cinema."""

_WITH_PLAIN_HEADER = {
    ending: form for form in FORMATS if form.name != "tiff" for ending in form.endings if form.pillow
}
"""The formats whose headers Pillow reads in every variant, by their endings. Of TIFF it does not know all."""


@dataclass(frozen=True)
class FrameFiles:
    """A film in a folder: a `nstyle.film.source.Source`. `open_frames` opens one.

    Attributes:
        paths: the files, in order.
        size: height and width of each frame, in pixels.
        bit_depth: 16 if the first frame has levels between those of 8 bits, else 8.
        timing: the times of the frames; they begin at 0.
        geometry: how they are stored: upright.
        sound_starts: None; pictures have no sound.

    """

    paths: tuple[Path, ...]
    size: tuple[int, int]
    bit_depth: int
    timing: Timing
    geometry: Geometry = PLAIN
    sound_starts: None = None

    @property
    def path(self) -> Path:
        """The folder of the first frame."""
        return self.paths[0].parent

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold the frames."""
        return self.paths

    def frames(self, numbers: range | None = None) -> Iterator[Picture]:
        """Yield frames in order, with their alpha; see `nstyle.film.source.Source.frames`.

        Raises:
            ImageError: a frame cannot be read, or has another size than the first; see `read_picture`.

        """
        for path in self.paths if numbers is None else self.paths[numbers.start : numbers.stop : numbers.step]:
            picture = read_picture(path)
            if picture.size != self.size:
                raise _of_another_size(path, picture.size, self.paths[0], self.size)
            yield picture


def open_frames(paths: Sequence[Path], rate: Fraction = FRAME_RATE) -> FrameFiles:
    """Open pictures as the frames of a film.

    Args:
        paths: the files, in order; at least one.
        rate: frames per second.

    Raises:
        ImageError: the first frame cannot be read; or the header of another one cannot be read, or states another
            size. Formats with unusual headers are not checked before their turn.

    """
    first = read_picture(paths[0])
    for path in paths[1:]:
        size = _stated_size(path)
        if size is not None and sorted(size) != sorted(first.size):  # EXIF may exchange height and width
            raise _of_another_size(path, size, paths[0], first.size)
    starts = tuple(number / rate for number in range(len(paths)))
    timing = Timing(starts, len(paths) / rate, 1 / rate, rate)
    return FrameFiles(tuple(paths), first.size, 16 if _is_deep(first.rgb) else 8, timing)


def _stated_size(path: Path) -> tuple[int, int] | None:
    """Return the height and the width that a picture's header states; None if it may state them in an unusual way."""
    form = _WITH_PLAIN_HEADER.get(path.suffix.removeprefix(".").lower())
    if form is None:
        return None
    with reading(path), Image.open(path, formats=form.pillow) as picture:
        return picture.height, picture.width


def _of_another_size(path: Path, size: tuple[int, int], first: Path, wanted: tuple[int, int]) -> ImageError:
    return ImageError(
        f"{path} has {size[1]}x{size[0]} pixels, but {first.name} has {wanted[1]}x{wanted[0]}; "
        "scale all frames of a film to one size",
        path=path,
        kind=Kind.CONFLICT,
    )


def _is_deep(rgb: Rgb) -> bool:
    """Tell whether a picture has levels between those of 8 bits."""
    levels = rgb * np.float32(255)
    return bool((np.abs(levels - np.rint(levels)) > 1 / 512).any())

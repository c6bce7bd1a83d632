"""What a film is made from: frames in order with their times, whether they lie in a video file or in a folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nstyle.pictures.picture import Picture

Matrix = tuple[int, int, int, int, int, int, int, int, int]
"""The transformation of ISO 14496-12, 8.2.2: a, b, u, c, d, v, x, y, w; a to d, x and y are in units of 1/65536."""


@dataclass(frozen=True)
class Turn:
    """How a stored frame becomes upright: rotations by right angles, and mirror images.

    Attributes:
        is_transposed: whether rows and columns are exchanged first.
        flips_rows: whether the order of the rows is reversed then.
        flips_columns: whether the order of the columns is reversed then.

    """

    is_transposed: bool = False
    flips_rows: bool = False
    flips_columns: bool = False

    def upright(self, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn a stored frame (H x W, or H x W x C) upright."""
        return self._flipped(levels.swapaxes(0, 1) if self.is_transposed else levels)

    def stored(self, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn an upright frame back; the inverse of `upright`."""
        flipped = self._flipped(levels)
        return flipped.swapaxes(0, 1) if self.is_transposed else flipped

    def _flipped(self, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        return levels[:: -1 if self.flips_rows else 1, :: -1 if self.flips_columns else 1]


UPRIGHT = Turn()
"""The turn of a frame that is stored upright."""


@dataclass(frozen=True)
class Geometry:
    """How frames are stored in a video file. A film that is made from a video is stored in the same way.

    Attributes:
        turn: from a stored frame to an upright one.
        matrix: the file's display matrix, which says the same; None if it has none.
        pixel_aspect: width of a stored pixel divided by its height, as the film is shown.

    """

    turn: Turn = UPRIGHT
    matrix: Matrix | None = None
    pixel_aspect: Fraction = Fraction(1)


PLAIN = Geometry()
"""The geometry of pictures: upright, with square pixels."""


@dataclass(frozen=True)
class Timing:
    """When the frames of a film are shown.

    Attributes:
        starts: when each frame appears, in seconds, in ascending order.
        end: when the last frame disappears, in seconds.
        time_base: the unit of the times in a file, in seconds; times of a video are multiples of its unit.
        rate: frames per second, on average.

    """

    starts: tuple[Fraction, ...]
    end: Fraction
    time_base: Fraction
    rate: Fraction


@dataclass(frozen=True)
class Sound:
    """The sound of a film, and its subtitles: streams of a video file that are copied.

    Attributes:
        path: the video file.
        zero: the time in the file that is the film's zero, in seconds.
        start: packets that begin before this time in the file are left out; None: none is.
        stop: packets that begin at this time in the file, or later, are left out; None: none is.

    """

    path: Path
    zero: Fraction = Fraction(0)
    start: Fraction | None = None
    stop: Fraction | None = None


class Source(Protocol):
    """Frames in order with their times. `nstyle.film.video` and `nstyle.film.frames` have one each."""

    @property
    def path(self) -> Path:
        """The video file, or the folder of the first frame."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold the frames."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an upright frame, in pixels."""

    @property
    def bit_depth(self) -> int:
        """Bits for each channel that hold the source's precision: 8 or 16."""

    @property
    def timing(self) -> Timing:
        """The times of all frames, on the source's own clock. There is at least one frame."""

    @property
    def geometry(self) -> Geometry:
        """How the frames are stored."""

    @property
    def sound_starts(self) -> Sequence[Fraction] | None:
        """When each stream of sound begins, on the source's clock, in seconds; None if there is nothing to copy."""

    def frames(self, numbers: range | None = None) -> Iterator[Picture]:
        """Yield frames, upright and in order. Only one frame is in memory at a time.

        Args:
            numbers: the frames, counted from 0, with a positive step; None: all.

        Raises:
            ImageError: a frame is missing, damaged, or of another size than the first.

        """


def cut(source: Source, numbers: range) -> Timing:
    """Return the times of some frames (counted from 0, with a positive step) in a film that is made of them.

    A film of all frames keeps the time between its beginning and the first frame, during which only sound is heard.
    Any other film begins with its first frame.
    """
    timing, zero = source.timing, _zero(source, numbers)
    starts = tuple(timing.starts[number] - zero for number in numbers)
    return Timing(starts, _end(source, numbers) - zero, timing.time_base, timing.rate / numbers.step)


def sound_of(source: Source, numbers: range) -> Sound | None:
    """Return the sound for a film made of some frames, see `cut`; None if the source has none.

    The sound may go on after the last frame if the film goes to the end of the source.
    """
    if source.sound_starts is None:
        return None
    is_to_the_end = numbers.stop >= len(source.timing.starts)
    return Sound(
        source.path,
        zero=_zero(source, numbers),
        start=None if numbers.start == 0 else source.timing.starts[numbers.start],
        stop=None if is_to_the_end else _end(source, numbers),
    )


def _zero(source: Source, numbers: range) -> Fraction:
    """Return the time on the source's clock at which a film of these frames begins, in seconds.

    A recording of a broadcast begins anywhere on its clock. A sound may begin a little before zero, where it holds
    what its decoder needs to start; this is no reason to move the frames.
    """
    first = source.timing.starts[numbers.start]
    if numbers.start > 0 or first < 0:
        return first
    return max(Fraction(0), min([first, *(source.sound_starts or ())]))


def _end(source: Source, numbers: range) -> Fraction:
    """Return when the last of these frames disappears, on the source's clock, in seconds."""
    starts = source.timing.starts
    return starts[numbers.stop] if numbers.stop < len(starts) else source.timing.end

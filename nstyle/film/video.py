"""Read a film from a video file."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from nstyle.errors import ImageError, Kind
from nstyle.film.container import opened, picture_stream, pyav
from nstyle.film.source import Geometry, Timing
from nstyle.film.video_index import Index, read_index
from nstyle.film.video_pixels import check_color, depth_of, geometry_of, to_picture
from nstyle.pictures.limits import SHORTEST_EDGE
from nstyle.pictures.opening import check_size
from nstyle.pictures.picture import Picture

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Video:
    """A film in a video file: a `nstyle.film.source.Source`. `open_video` opens one.

    Attributes:
        path: the file.
        size: height and width of an upright frame, in pixels. Pixels that are not square stay so.
        bit_depth: 16 if the file has more than 8 bits for each channel, else 8.
        timing: the times of the frames, as they are in the file.
        geometry: how the frames are stored.
        sound_starts: when each stream of sound begins, in seconds; None if there is neither sound nor a subtitle.
        index: where the frames lie in the file.

    """

    path: Path
    size: tuple[int, int]
    bit_depth: int
    timing: Timing
    geometry: Geometry
    sound_starts: tuple[Fraction, ...] | None
    index: Index = field(repr=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """The file itself."""
        return (self.path,)

    def frames(self, numbers: range | None = None) -> Iterator[Picture]:
        """Yield frames, upright and in order; see `nstyle.film.source.Source.frames`.

        Raises:
            ImageError: a frame is missing or damaged, or the size of the frames changes.

        """
        marks = self.index.marks
        remaining = iter(range(len(marks)) if numbers is None else numbers)
        wanted = next(remaining, None)
        if wanted is None:
            return
        damage: int | None = None  # the first damaged mark since the last key frame: what follows may copy from it
        for mark, frame in _decoded(self.path, self.index, wanted):
            if frame is None or frame.is_corrupt:
                damage = mark if damage is None else min(damage, mark)
            elif damage is not None and frame.key_frame and mark > damage:
                damage = None
            if frame is None or mark < marks[wanted]:
                continue
            if mark > marks[wanted] or (damage is not None and damage <= mark):
                break
            yield self._picture(wanted, frame)
            wanted = next(remaining, None)
            if wanted is None:
                return
        raise self._damaged(wanted)

    def _picture(self, number: int, frame: "VideoFrame") -> Picture:
        picture = to_picture(self.path, frame, self.geometry.turn)
        if picture.size != self.size:
            height, width = picture.size
            raise ImageError(
                f"{self.path} changes its size to {width}x{height} pixels at frame {number + 1}; "
                "cut it there, and paint the parts one after the other",
                path=self.path,
                kind=Kind.UNSUPPORTED,
            )
        return picture

    def _damaged(self, number: int) -> ImageError:
        seconds = float((self.index.marks[number] - self.index.marks[0]) * self.index.time_base)
        return ImageError(
            f"{self.path} is damaged at frame {number + 1} ({seconds:.2f} s); leave it out with --from and --to, "
            "or repair the file",
            path=self.path,
            kind=Kind.DAMAGED,
        )


def open_video(path: Path) -> Video:
    """Open a video file, and read when each of its frames is shown.

    The first stream of pictures counts. Only its first frame is decoded.

    Raises:
        OptionError: PyAV is not installed.
        ImageError: the file cannot be read, is damaged, or has no frames; or its frames are too small, too large, of
            high dynamic range, or turned by an angle that is no right angle.

    """
    index = read_index(path)
    first = next((frame for _, frame in _decoded(path, index, 0) if frame is not None), None)
    if first is None:
        raise ImageError(f"{path} has no frame that is intact; repair it", path=path, kind=Kind.DAMAGED)
    if min(first.height, first.width) < SHORTEST_EDGE:
        raise ImageError(
            f"{path} has {first.width}x{first.height} pixels; use a film with at least {SHORTEST_EDGE} on each edge",
            path=path,
            kind=Kind.OUT_OF_RANGE,
        )
    check_size(path, first.width, first.height)
    check_color(path, first)
    if first.interlaced_frame:
        _log.warning("%s is interlaced: its frames have comb edges; deinterlace it first", path)
    with opened(path) as container:
        pixel_aspect = picture_stream(path, container).sample_aspect_ratio
    geometry = geometry_of(path, first, pixel_aspect)
    return Video(
        path=path,
        size=(first.width, first.height) if geometry.turn.is_transposed else (first.height, first.width),
        bit_depth=depth_of(first.format),
        timing=Timing(
            tuple(mark * index.time_base for mark in index.marks),
            index.end * index.time_base,
            index.time_base,
            index.rate,
        ),
        geometry=geometry,
        sound_starts=index.sound_starts,
        index=index,
    )


def _decoded(path: Path, index: Index, first: int) -> Iterator[tuple[int, "VideoFrame | None"]]:
    """Yield marks and frames, from the key frame before frame `first` on, or from an earlier one; None is damaged."""
    target = index.key_before(first)
    if target is not None:
        is_early = False
        for mark, frame in _decoded_from(path, index, target):
            if not is_early and mark > index.marks[first]:
                break  # the file's own index is wrong: decode from the beginning
            is_early = True
            yield mark, frame
        if is_early:
            return
    yield from _decoded_from(path, index, None)


def _decoded_from(path: Path, index: Index, target: int | None) -> Iterator[tuple[int, "VideoFrame | None"]]:
    """Yield marks and frames, from the key frame before a time stamp on; None: from the beginning."""
    av = pyav()
    with opened(path) as container:
        stream = picture_stream(path, container)
        if target is not None:
            container.seek(target, stream=stream)
        number = 0
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                if packet.pts is not None:
                    yield packet.pts if index.has_stamps else number, None
                continue
            for frame in frames:
                if not index.has_stamps:
                    yield number, frame
                elif frame.pts is not None:
                    yield frame.pts, frame
                number += 1

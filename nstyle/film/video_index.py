"""The frames of a video file with their times, read from its packets without decoding them."""

import bisect
import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from nstyle.errors import ImageError, Kind
from nstyle.film.container import opened, picture_stream, pyav

if TYPE_CHECKING:
    from av.container import InputContainer

_log = logging.getLogger(__name__)

_USUAL_RATE = Fraction(24)
"""Frames per second of a video that does not say it."""

_AVI = "avi"
"""FFmpeg's name of a format with a constant rate and no time stamps; those that FFmpeg guesses are often wrong."""


@dataclass(frozen=True)
class Index:
    """The frames of a video file, in the order in which they are shown.

    Attributes:
        marks: what tells the frames apart, in ascending order: their presentation time stamps, in units of
            `time_base`; or their numbers, if the file has no such stamps.
        end: when the last frame disappears, in units of `time_base`.
        time_base: the unit of the marks, in seconds.
        rate: frames per second, on average.
        keys: marks of the key frames, where decoding can begin; empty if the file has no time stamps.
        has_stamps: whether the marks are time stamps.
        sound_starts: when each stream of sound begins, in seconds; None if there is neither sound nor a subtitle.

    """

    marks: tuple[int, ...]
    end: int
    time_base: Fraction
    rate: Fraction
    keys: tuple[int, ...]
    has_stamps: bool
    sound_starts: tuple[Fraction, ...] | None

    def key_before(self, number: int) -> int | None:
        """Return the mark of the last key frame up to frame `number`; None: it is the file's first, or unknown."""
        after = bisect.bisect_right(self.keys, self.marks[number])
        return self.keys[after - 1] if after > 1 else None


@dataclass(frozen=True)
class _Stamp:
    """What a packet says about its frame; times are in units of the stream's time base."""

    mark: int
    duration: int
    is_key: bool
    is_shown: bool


def read_index(path: Path) -> Index:
    """Read the index of a video file. Of a file that lacks its end, it has what is there; the log warns of it.

    Raises:
        ImageError: the file cannot be read, is damaged, or has no frames.

    """
    with opened(path) as container:
        stream = picture_stream(path, container)
        time_base, rate = stream.time_base, stream.average_rate or _USUAL_RATE
        end = None if stream.duration is None else (stream.start_time or 0) + stream.duration
        sound_starts = _sound_starts(container)
        may_have_stamps = container.format.name != _AVI
        stamps, packets, intact = [], 0, 0
        for packet in container.demux(stream):
            if packet.size == 0:  # the last one: it tells the decoder that there are no more
                continue
            packets += 1
            intact = intact if packet.is_corrupt else packets  # the last one may be there in part
            if packet.pts is not None:
                is_shown = not (packet.is_discard or packet.is_corrupt)
                stamps.append(_Stamp(packet.pts, packet.duration or 0, packet.is_keyframe, is_shown))
        if stream.frames > intact:
            _log.warning("%s lacks its end: %d of its %d frames are there", path, intact, stream.frames)
    if may_have_stamps and time_base is not None and len({stamp.mark for stamp in stamps}) == packets > 0:
        index = _of_stamps(stamps, end, time_base, rate, sound_starts)
    else:
        frames = _count(path)
        index = Index(tuple(range(frames)), frames, 1 / rate, rate, (), False, sound_starts)
    if not index.marks:
        raise ImageError(f"{path} has no frames; it may be damaged", path=path, kind=Kind.MISSING)
    return index


def _of_stamps(
    stamps: list[_Stamp],
    end: int | None,
    time_base: Fraction,
    rate: Fraction,
    sound_starts: tuple[Fraction, ...] | None,
) -> Index:
    """Return the index for the stamps of all packets. Frames before the first key frame cannot be decoded."""
    keys = tuple(sorted(stamp.mark for stamp in stamps if stamp.is_key))
    first = keys[0] if keys else min(stamp.mark for stamp in stamps)
    shown = sorted((stamp.mark, stamp.duration) for stamp in stamps if stamp.is_shown and stamp.mark >= first)
    marks = tuple(mark for mark, _ in shown)
    if marks and (end is None or end <= marks[-1]):
        end = marks[-1] + (shown[-1][1] or max(1, round(1 / rate / time_base)))
    return Index(marks, end or 0, time_base, rate, keys, True, sound_starts)


def _count(path: Path) -> int:
    """Decode a whole file, and return how many frames it has."""
    frames, av = 0, pyav()
    with opened(path) as container:
        for packet in container.demux(picture_stream(path, container)):
            try:
                frames += len(packet.decode())
            except av.error.InvalidDataError:
                continue
    return frames


def _sound_starts(container: "InputContainer") -> tuple[Fraction, ...] | None:
    """Return when each stream of sound begins, in seconds; None if there is neither sound nor a subtitle."""
    if not container.streams.audio and not container.streams.subtitles:
        return None
    return tuple(
        stream.start_time * stream.time_base
        for stream in container.streams.audio
        if stream.start_time is not None and stream.time_base is not None
    )

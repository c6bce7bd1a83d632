"""Find the cuts of a film, so that each shot begins afresh."""

import bisect
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nstyle.errors import Kind, OptionError
from nstyle.film.source import Source
from nstyle.pictures.picture import Rgb, on_white, to_uint8

_EDGE = 256
"""Longer edge, in pixels, of the frames that are compared: cuts show at any size, and small frames are fast."""

_WINDOW = 2
"""Frames before and after a cut whose changes are compared with the change at the cut."""

_LEAST_CHANGE = 10
"""Mean change of a cut in levels of 255. Noise and compression stay below it."""

_SHORTEST = 2
"""Least number of frames between two cuts: a flash of a single frame is one cut, not two."""


def shots_of(
    source: Source, numbers: range, *, on_frame: Callable[[int], object] = lambda number: None
) -> list[range]:
    """Return the shots of a film, in order: ranges of its frames, counted from 0, that together are the whole film.

    All frames of the source from the first to the last are read, also those that `numbers` leaves out, because motion
    between frames far apart looks like a cut. So a damaged frame is found before anything is painted.

    A cut is where the value of HSV changes by at least 10 levels of 255 on average, and three times as much as in the
    two frames before and after: scenedetect's `AdaptiveDetector`. Its own defaults are 15 levels, which miss cuts of
    dark films, and the mean with hue and saturation, which misses those of grey films. A dissolve has no cut.

    Args:
        source: the film.
        numbers: the source's frames that make the film, counted from 0, with a positive step.
        on_frame: called with the number of each frame of the source that was looked at.

    Raises:
        OptionError: scenedetect or OpenCV is not installed.
        ImageError: a frame is missing or damaged.

    """
    every = range(numbers.start, numbers.stop)

    def frames() -> Iterator[Rgb]:
        for number, picture in zip(every, source.frames(every), strict=True):
            yield on_white(picture)
            on_frame(number)

    cuts = [every[cut] for cut in find_cuts(frames())]
    bounds = [0, *(bisect.bisect_left(numbers, cut) for cut in cuts), len(numbers)]
    return [range(first, stop) for first, stop in itertools.pairwise(bounds) if first < stop]


def find_cuts(frames: Iterable[Rgb]) -> list[int]:
    """Return the numbers of the frames with which a new shot begins, counted from 0, without frame 0.

    Args:
        frames: H x W x 3, range 0..1, in order. Each is looked at once.

    Raises:
        OptionError: scenedetect or OpenCV is not installed.

    """
    scenedetect = _scenedetect()
    detector = scenedetect.AdaptiveDetector(
        window_width=_WINDOW, min_scene_len=_SHORTEST, min_content_val=_LEAST_CHANGE, luma_only=True
    )
    cuts: list[int] = []
    for number, frame in enumerate(_with_margin(map(_small, frames))):
        found = detector.process_frame(scenedetect.FrameTimecode(number, 24.0), frame)
        cuts += [moment.frame_num - _WINDOW for moment in found]
    return cuts


def _with_margin(frames: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Repeat the first and the last frame, so that the detector's window fits around every frame."""
    last = None
    for frame in frames:
        yield from itertools.repeat(frame, 1 if last is not None else 1 + _WINDOW)
        last = frame
    if last is not None:
        yield from itertools.repeat(last, _WINDOW)


def _small(rgb: Rgb) -> NDArray[np.uint8]:
    """Shrink a frame; as uint8, in OpenCV's order of colors: blue, green, red."""
    import cv2

    height, width, _ = rgb.shape
    scale = min(1.0, _EDGE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small: Any = cv2.resize(np.ascontiguousarray(rgb[..., ::-1]), size, interpolation=cv2.INTER_AREA)
    return to_uint8(small)


def _scenedetect() -> Any:
    """Return scenedetect. It is imported here because it is an extra, and large."""
    try:
        import scenedetect
    except ImportError as error:
        raise OptionError(
            "finding cuts needs scenedetect; run pip install 'nstyle[film]', or add --no-cuts",
            flag="--film",
            kind=Kind.MISSING,
        ) from error
    return scenedetect

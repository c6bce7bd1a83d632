"""Open a film, whatever it is: a video file, a folder of frames, or a pattern."""

from fractions import Fraction
from pathlib import Path

from nstyle.errors import ImageError, Kind
from nstyle.film.frames import FRAME_RATE, open_frames
from nstyle.film.source import Source
from nstyle.film.video import open_video
from nstyle.painting.selection import ENDINGS, listed, select

_MOVING = ".gif"
"""Ending of files that count as pictures elsewhere, and are films here."""


def open_source(name: str | Path, rate: Fraction = FRAME_RATE, output_dir: Path | None = None) -> Source:
    """Open a film.

    A folder or a pattern stands for its pictures, in natural order (f2 before f10); see
    `nstyle.painting.selection.select`. Any other name is a video file.

    Args:
        name: a video file, a folder, or a pattern.
        rate: frames per second of a film made of pictures.
        output_dir: pictures that nstyle painted into it are no frames.

    Raises:
        OptionError: the name is empty or a URL; or it is a video, and PyAV is not installed.
        ImageError: there is no such file; or it is a single picture, several videos, or neither; or see `open_video`
            and `open_frames`.

    """
    paths = select("film", name, output_dir).paths
    pictures = [path for path in paths if path.suffix.lower() in ENDINGS]
    if len(paths) == 1 and (not pictures or paths[0].suffix.lower() == _MOVING):
        return open_video(paths[0])
    if len(paths) == 1:
        raise ImageError(
            f"{paths[0]} is a single picture; name a video, a folder of frames or a pattern, "
            "or paint it with --content-image",
            path=paths[0],
            kind=Kind.UNSUPPORTED,
        )
    if len(pictures) < len(paths):
        others = [path for path in paths if path not in set(pictures)]
        raise ImageError(
            f"{name} matches files that are no pictures ({listed(others)}); name one video, or pictures only",
            path=others[0],
            kind=Kind.UNSUPPORTED,
        )
    return open_frames(paths, rate)

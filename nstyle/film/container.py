"""Open video files with PyAV, which brings FFmpeg along; their errors become ours."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nstyle.errors import ImageError, Kind, OptionError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,mxf,ogg,flv,asf,gif,nut,dv,m4v,h264,hevc,ivf"
"""FFmpeg's names of the formats that are read. Others are refused: a playlist, for example, names other files."""


def pyav() -> Any:
    """Return PyAV. It is imported here because it is an extra, and large.

    Raises:
        OptionError: it is not installed.

    """
    try:
        import av
    except ImportError as error:
        raise OptionError(
            "video files need PyAV; run pip install 'nstyle[film]', or name a folder of frames",
            flag="--film",
            kind=Kind.MISSING,
        ) from error
    logging.getLogger("libav").setLevel(logging.CRITICAL)  # our own messages say what is wrong with a file
    return av


@contextmanager
def opened(path: Path) -> Iterator["InputContainer"]:
    """Open a video file for reading.

    Raises:
        ImageError: the file cannot be read, is damaged, or is not a video in a known format. Also if the block raises
            one of PyAV's errors.

    """
    av = pyav()
    _check_file(path)
    try:
        with av.open(
            f"file:{path}",
            options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"},
            metadata_errors="replace",  # a title in another encoding spoils no film
        ) as container:
            yield container
    except PermissionError as error:
        raise ImageError(
            f"{path} cannot be read: no permission; allow it with chmod u+r", path=path, kind=Kind.UNREADABLE
        ) from error
    except av.FFmpegError as error:
        raise ImageError(
            f"{path} is damaged, or not a video in a supported format ({error.strerror}); convert it to MP4",
            path=path,
            kind=Kind.DAMAGED,
        ) from error


def picture_stream(path: Path, container: "InputContainer") -> "VideoStream":
    """Return the stream of pictures. A cover is none.

    Raises:
        ImageError: there is none.

    """
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise ImageError(f"{path} has no stream of pictures; name a video", path=path, kind=Kind.MISSING)


def _check_file(path: Path) -> None:
    """Raise ImageError if this is no regular file: opening a pipe would wait."""
    if not path.exists():
        raise ImageError(f"{path} does not exist; check the name", path=path, kind=Kind.MISSING)
    if not path.is_file():
        raise ImageError(f"{path} is not a file; name a video", path=path, kind=Kind.UNREADABLE)

"""Write painted frames as a film, with the times and the sound of its source."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nstyle.files import replacing, unwritable
from nstyle.film.container import opened, pyav
from nstyle.film.sound import add_streams, packets_of
from nstyle.film.source import PLAIN, Geometry, Sound, Timing
from nstyle.film.video_pixels import BT709, LIMITED, interpolation
from nstyle.pictures.picture import Picture, on_white, to_uint8, to_uint16

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame


@dataclass(frozen=True)
class FilmCodec:
    """A way to encode films.

    Attributes:
        name: its name in `--film-codec`.
        container: FFmpeg's name of the file format.
        ending: the ending of the file, with its dot.
        encoder: FFmpeg's name of the encoder.
        pixels: FFmpeg's name of the pixel format for 8 or 16 bits a channel, without and with alpha. If the ones with
            alpha are missing, transparent parts become white.
        options: of the encoder.
        has_even_edges: whether it stores only frames with even edges: an odd edge gets one more pixel, a copy.

    """

    name: str
    container: str
    ending: str
    encoder: str
    pixels: Mapping[tuple[int, bool], str]
    options: Mapping[str, str] = field(default_factory=dict)
    has_even_edges: bool = False


H264 = FilmCodec(
    "h264",
    "mp4",
    ".mp4",
    "libx264",
    {(8, False): "yuv420p", (16, False): "yuv420p"},  # what every player plays
    {"crf": "16", "preset": "medium"},  # brush strokes need more bits than the usual 23 leaves them
    has_even_edges=True,
)
PRORES = FilmCodec(
    "prores",
    "mov",
    ".mov",
    "prores_ks",  # it takes profile 422 HQ or 4444, as the pixels ask for
    {
        (8, False): "yuv422p10le",
        (16, False): "yuv422p10le",
        (8, True): "yuva444p10le",
        (16, True): "yuva444p10le",
    },
    {"vendor": "apl0"},  # some editors refuse any other
)
LOSSLESS = FilmCodec(
    "lossless",
    "matroska",
    ".mkv",
    "ffv1",
    {(8, False): "bgr0", (16, False): "gbrp16le", (8, True): "bgra", (16, True): "gbrap16le"},
    {"level": "3", "slicecrc": "1"},  # a checksum for each slice
)

FILM_CODECS = {codec.name: codec for codec in (H264, PRORES, LOSSLESS)}
"""The ways to encode films, by their names in `--film-codec`."""


def write_film(
    path: Path,
    pictures: Iterable[Picture],
    timing: Timing,
    codec: FilmCodec = H264,
    *,
    bit_depth: int = 8,
    geometry: Geometry = PLAIN,
    sound: Sound | None = None,
) -> None:
    """Write a film atomically: it is complete, or it is not there. Only one frame is in memory at a time.

    Colors are coded as BT.709 in limited range, or as RGB by a lossless codec. The film holds nothing that could tell
    where it was made: of the source's notes it has the languages of sound and subtitles only. MP4 and MOV keep times
    exactly; Matroska rounds them to milliseconds.

    Args:
        path: the file, with the codec's ending.
        pictures: the frames, upright; as many as `timing` has times. Whether the first has alpha decides for all.
        timing: when they are shown; from `nstyle.film.source.cut`.
        codec: how they are encoded.
        bit_depth: 8 or 16 bits for each channel. H.264 gets 8, ProRes 10, a lossless codec as many as these.
        geometry: how the source's frames are stored; those of the film are stored in the same way.
        sound: what is copied from the source; None: nothing.

    Raises:
        OptionError: PyAV is not installed.
        OutputError: the file cannot be written, or its format cannot hold the sound.
        ImageError: the sound cannot be read.
        ValueError: the pictures do not fit the times, or are not of one size.

    """
    av = pyav()
    options = {"movflags": "+faststart"} if codec.container in ("mp4", "mov") else {}  # it plays while it loads
    remaining = iter(pictures)
    first = next(remaining, None)
    if first is None:
        raise ValueError("a film needs a frame")
    with replacing(path) as file:
        try:
            with av.open(f"file:{file.name}", "w", format=codec.container, options=options) as output:
                encoder = _Encoder(output, codec, first, timing, bit_depth, geometry)
                with _copied(output, sound) as copied:
                    for _, packet in _merged(encoder.packets(itertools.chain([first], remaining)), copied):
                        _write(path, output, packet)
        except av.FFmpegError as error:
            raise unwritable(path, OSError(error.errno, error.strerror)) from error


def _write(path: Path, output: "OutputContainer", packet: "Packet[Any]") -> None:
    """Write a packet. An error here is the film's, and not that of the source, which is open, too.

    Raises:
        OutputError: the file cannot be written.

    """
    try:
        output.mux(packet)
    except pyav().FFmpegError as error:
        raise unwritable(path, OSError(error.errno, error.strerror)) from error


class _Encoder:
    """Encodes the frames of a film; adds their stream to the file.

    Args:
        output: the file.
        codec, timing, bit_depth, geometry: as for `write_film`.
        first: the first frame; the others have its size.

    """

    def __init__(
        self,
        output: "OutputContainer",
        codec: FilmCodec,
        first: Picture,
        timing: Timing,
        bit_depth: int,
        geometry: Geometry,
    ) -> None:
        self._codec, self._timing, self._bit_depth, self._geometry = codec, timing, bit_depth, geometry
        self._has_alpha = first.alpha is not None and (bit_depth, True) in codec.pixels
        self._size = first.size
        self._pixels = codec.pixels[bit_depth, self._has_alpha]
        stream: Any = output.add_stream(codec.encoder, rate=timing.rate, options=dict(codec.options))
        stream.height, stream.width = self._levels(first).shape[:2]
        stream.pix_fmt = self._pixels
        context = stream.codec_context
        context.time_base = timing.time_base
        context.sample_aspect_ratio = geometry.pixel_aspect
        context.color_primaries = context.color_trc = BT709
        if self._pixels.startswith("yuv"):
            context.colorspace, context.color_range = BT709, LIMITED
        if geometry.matrix is not None:
            stream.set_display_matrix(geometry.matrix)
        self._stream = stream

    def packets(self, pictures: Iterable[Picture]) -> Iterator[tuple[Fraction, "Packet[Any]"]]:
        """Encode all frames; yield packets, with the times in seconds at which they are decoded."""
        starts, unit = self._timing.starts, self._timing.time_base
        ticks = [round(start / unit) for start in (*starts, self._timing.end)]
        durations = {start: end - start for start, end in itertools.pairwise(ticks)}
        for picture, start in zip(pictures, ticks[:-1], strict=True):
            frame = self._frame(picture)
            frame.pts, frame.time_base = start, unit
            yield from self._timed(self._stream.encode(frame), durations)
        yield from self._timed(self._stream.encode(None), durations)

    def _timed(
        self, packets: list["Packet[Any]"], durations: Mapping[int, int]
    ) -> Iterator[tuple[Fraction, "Packet[Any]"]]:
        """Yield packets with their times, and set how long their frames are shown: the encoder does not know it."""
        for packet in packets:
            if packet.pts is not None:
                packet.duration = durations[packet.pts]
            yield (packet.dts or 0) * packet.time_base, packet

    def _frame(self, picture: Picture) -> "VideoFrame":
        """Convert a picture to a frame as it is stored."""
        if picture.size != self._size:
            raise ValueError(f"a frame is {picture.size}, the first is {self._size}")
        channels = "rgba" if self._has_alpha else "rgb"
        form = {8: {"rgb": "rgb24", "rgba": "rgba"}[channels], 16: f"{channels}{16 * len(channels)}le"}
        whole: Any = pyav().VideoFrame.from_ndarray(self._levels(picture), format=form[self._bit_depth])
        is_coded = self._pixels.startswith("yuv")
        converted: VideoFrame = whole.reformat(
            format=self._pixels,
            dst_colorspace=BT709 if is_coded else None,
            dst_color_range=LIMITED if is_coded else None,
            interpolation=interpolation(),
            threads=1,
        )
        converted.color_primaries = converted.color_trc = BT709  # after the conversion: they only say what it is
        return converted

    def _levels(self, picture: Picture) -> NDArray[Any]:
        """Return the levels of a picture as they are stored, H x W x 3 or 4, as uint8 or uint16."""
        turn = self._geometry.turn
        if self._has_alpha:
            alpha = np.ones(picture.size, np.float32) if picture.alpha is None else picture.alpha
            joined = np.concatenate([picture.rgb, alpha[..., None]], axis=2)
        else:
            joined = on_white(picture)
        stored = turn.stored(joined)
        if self._codec.has_even_edges:
            height, width, _ = stored.shape
            stored = np.pad(stored, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        stored = np.ascontiguousarray(stored)
        return to_uint8(stored) if self._bit_depth == 8 else to_uint16(stored)


@contextlib.contextmanager
def _copied(output: "OutputContainer", sound: Sound | None) -> Iterator[Iterator[tuple[Fraction, "Packet[Stream]"]]]:
    """Add the streams that are copied to a film; give their packets, with their times in seconds."""
    if sound is None:
        yield iter(())
        return
    with opened(sound.path) as source:
        yield packets_of(source, add_streams(output, source, sound), sound)


def _merged(
    first: Iterator[tuple[Fraction, "Packet[Any]"]], second: Iterator[tuple[Fraction, "Packet[Any]"]]
) -> Iterator[tuple[Fraction, "Packet[Any]"]]:
    """Merge two streams by time, as players read them."""
    waiting = next(second, None)
    for time, packet in first:
        while waiting is not None and waiting[0] <= time:
            yield waiting
            waiting = next(second, None)
        yield time, packet
    if waiting is not None:
        yield waiting
        yield from second

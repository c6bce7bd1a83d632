"""Small films for tests, written with PyAV and without nstyle's own writer."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 48, 32
RATE = Fraction(24)


def scene(
    count: int, height: int = HEIGHT, width: int = WIDTH, tint: tuple[int, int, int] = (40, 90, 200)
) -> list[Any]:
    """Return frames (H x W x 3, uint8): a gradient over which a light square moves by two pixels a frame."""
    rows, columns = np.mgrid[:height, :width]
    frames = []
    for number in range(count):
        frame = np.empty((height, width, 3), np.uint8)
        for channel, level in enumerate(tint):
            frame[..., channel] = level * (rows + columns) // (height + width)
        left = 2 * number % (width - 8)
        frame[8:16, left : left + 8] = 230
        frames.append(frame)
    return frames


def write_video(
    path: Path,
    frames: Sequence[NDArray[Any]],
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rate: Fraction = RATE,
    ticks: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    sound: float = 0,
    rotation: float | None = None,
    flipped: bool = False,
    color: Mapping[str, int] | None = None,
    options: Mapping[str, str] | None = None,
    pixel_aspect: Fraction | None = None,
    sound_codec: str = "aac",
    subtitle: bool = False,
) -> Path:
    """Write a video.

    Args:
        path: the file; its ending names the container.
        frames: H x W x 3 or 4, uint8 or uint16; or anything else in the layout of `pixels`.
        ticks: time stamps in units of `time_base`; None: at a constant rate.
        sound: seconds of a tone; 0: no sound.
        rotation: angle of the display matrix, counterclockwise, in degrees.
        color: attributes of the encoder such as `colorspace`; the pixels are converted with BT.709 anyway.
    """
    first = {"movflags": "+faststart"} if path.suffix in (".mp4", ".mov") else {}  # the table of frames comes first
    with av.open(str(path), "w", options=first) as container:
        stream: Any = container.add_stream(codec, rate=rate, options=dict(options or {}))
        height, width = frames[0].shape[:2]
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        if time_base is not None:
            stream.codec_context.time_base = time_base
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        for name, code in (color or {}).items():
            setattr(stream.codec_context, name, code)
        if rotation is not None or flipped:
            stream.set_display_rotation(rotation or 0, hflip=flipped)
        tone: Any = container.add_stream(sound_codec, rate=48000) if sound else None
        if tone is not None:
            tone.codec_context.format = "fltp"
            tone.metadata["language"] = "swe"
        words = container.add_mux_stream("mov_text") if subtitle else None
        for number, levels in enumerate(frames):
            frame = _frame(levels, pixels)
            frame.pts = number if ticks is None else ticks[number]
            frame.time_base = 1 / rate if time_base is None else time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone is not None:
            _play(container, tone, sound)
        if words is not None:
            packet = av.Packet(b"\0\5hello")
            packet.stream, packet.time_base = words, Fraction(1, 1000)
            packet.pts = packet.dts = 100
            packet.duration = 200
            container.mux(packet)
    return path


def _frame(levels: NDArray[Any], pixels: str) -> av.VideoFrame:
    if levels.ndim == 2:
        return av.VideoFrame.from_ndarray(levels, format="gray" if levels.dtype == np.uint8 else "gray16le")
    channels = "rgb" if levels.shape[2] == 3 else "rgba"
    eight = {"rgb": "rgb24", "rgba": "rgba"}[channels]
    source = eight if levels.dtype == np.uint8 else f"{channels}{16 * len(channels)}le"
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(levels), format=source)
    return frame.reformat(format=pixels, dst_colorspace="ITU709", dst_color_range="MPEG" if "yuv" in pixels else None)


def _play(container: Any, stream: Any, seconds: float) -> None:
    """Encode a tone of 440 Hz."""
    size = 1024
    for number in range(math.ceil(seconds * 48000 / size)):
        samples = np.sin(2 * np.pi * 440 / 48000 * (number * size + np.arange(size))).astype(np.float32) / 2
        frame = av.AudioFrame.from_ndarray(np.stack([samples, samples]), format="fltp", layout="stereo")
        frame.sample_rate = 48000
        frame.pts = number * size
        frame.time_base = Fraction(1, 48000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def sound_packets(path: Path) -> list[bytes]:
    """Return the packets of sound in a file."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]

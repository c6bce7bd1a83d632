"""Copy sound and subtitles from one film to another, packet by packet, without encoding them again."""

import io
import logging
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nstyle.errors import Kind, OutputError
from nstyle.film.container import opened, pyav
from nstyle.film.source import Sound

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

_log = logging.getLogger(__name__)


def check_sound(sound: Sound, container: str) -> None:
    """Check that a file format can hold the sound of a film, so that nobody paints for hours in vain.

    Args:
        sound: the sound.
        container: FFmpeg's name of the file format.

    Raises:
        OutputError: it cannot.
        ImageError: the film cannot be read.

    """
    with opened(sound.path) as source, pyav().open(io.BytesIO(), "w", format=container) as output:
        add_streams(output, source, sound)


def add_streams(output: "OutputContainer", source: "InputContainer", sound: Sound) -> dict[int, "Stream"]:
    """Add a film's streams of sound and subtitles to a file, and return them by their number in the source.

    Subtitles that the file format cannot hold are left out, and so is sound if another stream of sound fits; the log
    warns of it.

    Raises:
        OutputError: the file format can hold none of the sound.

    """
    streams: dict[int, Stream] = {}
    fitting, unfit = 0, []
    for stream in [*source.streams.audio, *source.streams.subtitles]:
        try:
            copy = output.add_stream_from_template(stream)
        except ValueError:
            codec: Any = stream.codec_context  # None if FFmpeg does not know it
            unfit.append(
                f"{'sound' if stream.type == 'audio' else stream.type} ({codec.name if codec else 'unknown'})"
            )
            continue
        if stream.language is not None:
            copy.metadata["language"] = stream.language
        streams[stream.index] = copy
        fitting += stream.type == "audio"
    if source.streams.audio and not fitting:
        raise OutputError(
            f"{output.format.name} files cannot hold the {unfit[0]} of {sound.path}; "
            "convert it to AAC first, or use another --film-codec",
            flag="--film-codec",
            path=sound.path,
            kind=Kind.UNSUPPORTED,
        )
    for what in unfit:
        _log.warning("%s: %s does not fit into the film, and is left out; see --film-codec", sound.path, what)
    return streams


def packets_of(
    source: "InputContainer", streams: dict[int, "Stream"], sound: Sound
) -> Iterator[tuple[Fraction, "Packet[Stream]"]]:
    """Yield the packets to write, with their times in the new film, in seconds; see `Sound` for which.

    Args:
        source: the film, just opened.
        streams: the streams of the new file, from `add_streams`.
        sound: what is copied.

    """
    for packet in source.demux([source.streams[index] for index in streams]):
        if packet.pts is None:  # an empty one, at the end
            continue
        time = packet.pts * packet.time_base
        if (sound.start is not None and time < sound.start) or (sound.stop is not None and time >= sound.stop):
            continue
        shift = round(sound.zero / packet.time_base)
        packet.stream = streams[packet.stream_index]
        packet.pts -= shift
        packet.dts = None if packet.dts is None else packet.dts - shift
        yield time - sound.zero, packet

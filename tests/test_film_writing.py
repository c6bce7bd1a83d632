"""Writing films: pictures, times and sound are read back, by PyAV alone and by nstyle."""

import dataclasses
import itertools
import logging
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import films
import numpy as np
import pytest
from films import RATE, scene, sound_packets, write_video

from nstyle.errors import Kind, OptionError, OutputError
from nstyle.film.sound import check_sound
from nstyle.film.source import Timing, Turn, cut, sound_of
from nstyle.film.video import Video, open_video
from nstyle.film.writing import FILM_CODECS, H264, LOSSLESS, PRORES, FilmCodec, write_film
from nstyle.pictures.picture import Picture, to_uint8


def copy(source: Path, path: Path, codec: FilmCodec = H264, numbers: range | None = None) -> Video:
    """Make a film of the frames of another, as they are."""
    video = open_video(source)
    numbers = range(len(video.timing.starts)) if numbers is None else numbers
    write_film(
        path,
        video.frames(numbers),
        cut(video, numbers),
        codec,
        bit_depth=video.bit_depth,
        geometry=video.geometry,
        sound=sound_of(video, numbers),
    )
    assert [file for file in path.parent.iterdir() if file.suffix == ".tmp"] == []
    return open_video(path)


def facts(path: Path) -> dict[str, Any]:
    """Return what a player knows of a film."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        known: dict[str, Any] = {
            "rate": stream.average_rate,
            "aspect": stream.sample_aspect_ratio,
            "duration": container.duration,
            "size": (stream.height, stream.width),
        }
        frames: list[Any] = list(container.decode(video=0))
        first = frames[0]
        known["rotation"] = first.rotation
        known["times"] = [frame.pts * frame.time_base for frame in frames if frame.pts is not None]
        known["color"] = first.colorspace, first.color_range, first.color_trc, first.color_primaries
    return known


def pictures(frames: Sequence[Any]) -> list[Picture]:
    return [Picture(frame.astype(np.float32) / np.float32(255)) for frame in frames]


def constant(count: int, rate: Fraction = RATE) -> Timing:
    return Timing(tuple(number / rate for number in range(count)), count / rate, 1 / rate, rate)


@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_a_copy_has_all_that_its_source_has(tmp_path: Path, ending: str) -> None:
    rate = Fraction(30000, 1001)
    source = write_video(
        tmp_path / f"source.{ending}", scene(45), rate=rate, sound=1.5, rotation=-90, pixel_aspect=Fraction(4, 3)
    )
    copy(source, tmp_path / "film.mp4")
    was, now = facts(source), facts(tmp_path / "film.mp4")
    assert was["rotation"] == -90
    assert len(was["times"]) == 45
    assert {**now, "color": None} == {**was, "color": None}
    assert now["color"] == (1, 1, 1, 1)
    assert sound_packets(tmp_path / "film.mp4") == sound_packets(source) != []


@pytest.mark.parametrize("codec", [H264, PRORES])
def test_a_variable_rate_is_kept(tmp_path: Path, codec: FilmCodec) -> None:
    ticks = [0, 3, 4, 20, 21, 60, 100]
    source = write_video(tmp_path / "source.mp4", scene(7), ticks=ticks, time_base=Fraction(1, 600))
    film = copy(source, tmp_path / f"film{codec.ending}", codec)
    assert film.timing.starts == tuple(Fraction(tick, 600) for tick in ticks)
    assert film.timing.end == open_video(source).timing.end


def test_matroska_keeps_times_to_a_millisecond(tmp_path: Path) -> None:
    source = write_video(tmp_path / "source.mp4", scene(10), sound=0.4)
    film = copy(source, tmp_path / "film.mkv", LOSSLESS)
    assert film.timing.rate == RATE
    assert len(film.timing.starts) == 10
    for start, number in zip(film.timing.starts, range(10), strict=True):
        assert abs(start - film.timing.starts[0] - number / RATE) <= Fraction(1, 1000)
    assert sound_packets(tmp_path / "film.mkv") == sound_packets(source)


@pytest.mark.parametrize("size", [(32, 48), (33, 48), (32, 47), (33, 47)])
@pytest.mark.parametrize("name", FILM_CODECS)
def test_every_size_is_encoded(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    codec = FILM_CODECS[name]
    frames = scene(3, *size)
    path = tmp_path / f"film{codec.ending}"
    write_film(path, pictures(frames), constant(3), codec)
    film = open_video(path)
    height, width = size
    even = name == "h264"
    assert film.size == (height + height % 2 * even, width + width % 2 * even)
    for read, frame in zip(film.frames(), frames, strict=True):
        error = np.abs(read.rgb[:height, :width] * 255 - frame)
        assert error.mean() < {"h264": 4, "prores": 3, "lossless": 1e-3}[name]
        if even and width % 2:  # the pixels that were added are copies
            assert np.abs(read.rgb[:height, -1] * 255 - frame[:, -1]).mean() < 8


@pytest.mark.parametrize(("codec", "most"), [(H264, 2.0), (PRORES, 1.0), (LOSSLESS, 0.0)])
def test_colors_are_kept(tmp_path: Path, codec: FilmCodec, most: float) -> None:
    colors = [(255, 255, 255), (0, 0, 0), (128, 128, 128), (200, 40, 30), (30, 160, 60), (40, 60, 210)]
    frames = [np.broadcast_to(np.array(color, np.uint8), (32, 32, 3)) for color in colors]
    path = tmp_path / f"film{codec.ending}"
    write_film(path, pictures(frames), constant(len(frames)), codec)
    for read, frame in zip(open_video(path).frames(), frames, strict=True):
        assert np.abs(read.rgb * 255 - frame).max() <= most + 0.01


def test_16_bits_and_alpha_are_kept_without_loss(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    whole = [noise.integers(1, 65536, (32, 48, 4)) for _ in range(2)]
    shares = [(levels / 65535).astype(np.float32) for levels in whole]
    frames = [Picture(share[..., :3], share[..., 3]) for share in shares]
    write_film(tmp_path / "film.mkv", frames, constant(2), LOSSLESS, bit_depth=16)
    film = open_video(tmp_path / "film.mkv")
    assert film.bit_depth == 16
    for read, levels in zip(film.frames(), whole, strict=True):
        assert read.alpha is not None
        np.testing.assert_array_equal(np.rint(read.rgb * 65535), levels[..., :3])
        np.testing.assert_array_equal(np.rint(read.alpha * 65535), levels[..., 3])


def test_prores_has_10_bits_and_alpha(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.linspace(0.4, 0.5, 64, dtype=np.float32)[:, None, None], (32, 64, 64, 3)[1:])
    alpha = np.full((64, 64), 0.5, np.float32)
    write_film(tmp_path / "film.mov", [Picture(ramp)], constant(1), PRORES, bit_depth=16)
    (read,) = open_video(tmp_path / "film.mov").frames()
    assert len(np.unique(np.rint(read.rgb[:, 0, 1] * 1023))) > 60  # 8 bits have 26 levels between 0.4 and 0.5
    write_film(tmp_path / "clear.mov", [Picture(ramp, alpha)], constant(1), PRORES, bit_depth=16)
    (clear,) = open_video(tmp_path / "clear.mov").frames()
    assert clear.alpha is not None
    np.testing.assert_allclose(clear.alpha, 0.5, atol=2 / 1023)


def test_transparent_parts_are_white_in_h264(tmp_path: Path) -> None:
    frame = Picture(np.zeros((32, 32, 3), np.float32), np.zeros((32, 32), np.float32))
    write_film(tmp_path / "film.mp4", [frame], constant(1))
    (read,) = open_video(tmp_path / "film.mp4").frames()
    np.testing.assert_allclose(read.rgb, 1, atol=1 / 255)


@pytest.mark.parametrize("numbers", [range(12, 36), range(0, 20), range(20, 48), range(0, 48, 5), range(10, 30, 3)])
def test_a_part_has_its_part_of_the_sound(tmp_path: Path, numbers: range) -> None:
    source = write_video(tmp_path / "source.mp4", scene(48), sound=2.0)
    film = copy(source, tmp_path / "film.mp4", numbers=numbers)
    times = open_video(source).timing.starts
    assert film.timing.starts == tuple(times[number] - times[numbers.start] for number in numbers)
    assert film.timing.end == (numbers.stop - numbers.start) / RATE
    whole, part = sound_packets(source), sound_packets(tmp_path / "film.mp4")
    first = whole.index(part[0])
    assert part == whole[first : first + len(part)]
    seconds = 1024 / 48000
    assert first == 0 or abs((first - 1) * seconds - numbers.start / RATE) <= seconds  # the first is before zero
    assert abs(len(part) * seconds - (numbers.stop - numbers.start) / RATE) <= 3 * seconds
    assert (numbers.start == 0) == (first == 0)
    with av.open(str(tmp_path / "film.mp4")) as container:
        starts = [packet.pts * packet.time_base for packet in container.demux(audio=0) if packet.pts is not None]
    assert abs(starts[0] - ((first - 1) * Fraction(1024, 48000) - numbers.start / RATE)) < Fraction(1, 40000)


def test_a_sound_that_begins_before_the_pictures_is_kept(tmp_path: Path) -> None:
    ticks = [number + 12 for number in range(10)]
    source = write_video(tmp_path / "source.mkv", scene(10), ticks=ticks, time_base=1 / RATE, sound=1)
    film = copy(source, tmp_path / "film.mp4")
    assert film.timing.starts[0] == Fraction(1, 2)
    assert sound_packets(tmp_path / "film.mp4") == sound_packets(source)


def test_a_recording_begins_at_zero(tmp_path: Path) -> None:
    source = write_video(tmp_path / "source.ts", scene(10))
    assert open_video(source).timing.starts[0] > 0
    film = copy(source, tmp_path / "film.mp4")
    assert film.timing.starts == tuple(number / RATE for number in range(10))


def test_what_a_decoder_needs_before_the_sound_moves_no_frame(tmp_path: Path) -> None:
    video = open_video(write_video(tmp_path / "source.mp4", scene(4), sound=1))
    early = dataclasses.replace(video, sound_starts=(Fraction(-1024, 48000),))
    assert cut(early, range(4)) == cut(video, range(4)) == video.timing
    sound = sound_of(early, range(4))
    assert sound is not None
    assert sound.zero == 0


def test_a_film_without_sound_stays_without(tmp_path: Path) -> None:
    source = write_video(tmp_path / "source.mp4", scene(4))
    copy(source, tmp_path / "film.mp4")
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert len(container.streams) == 1


def test_sound_lies_among_the_pictures(tmp_path: Path) -> None:
    source = write_video(tmp_path / "source.mp4", scene(40), rate=Fraction(2), sound=20)
    copy(source, tmp_path / "film.mp4")
    with av.open(str(tmp_path / "film.mp4")) as container:
        kinds = [packet.stream.type for packet in container.demux() if packet.size]
    runs = [len(list(group)) for _, group in itertools.groupby(kinds)]
    assert max(runs[:-1]) < 30  # half a second has 23 packets of sound: a player need not look far ahead


def test_subtitles_are_copied_or_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = write_video(tmp_path / "source.mp4", scene(24), sound=1, subtitle=True)
    copy(source, tmp_path / "film.mp4")
    with av.open(str(tmp_path / "film.mp4")) as container:
        words = [bytes(packet) for packet in container.demux(subtitles=0) if packet.size > 2]
    assert words == [b"\0\5hello"]
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert container.streams.audio[0].language == "swe"
    assert caplog.text == ""
    with caplog.at_level(logging.WARNING):
        copy(source, tmp_path / "film.mkv", LOSSLESS)
    assert "subtitles" in caplog.text


def test_a_sound_that_does_not_fit_is_refused_before_painting(tmp_path: Path) -> None:
    source = write_video(tmp_path / "source.mkv", scene(24), sound=1, sound_codec="wavpack")
    video = open_video(source)
    sound = sound_of(video, range(24))
    assert sound is not None
    check_sound(sound, LOSSLESS.container)
    with pytest.raises(OutputError, match=r"sound \(wavpack\).*--film-codec") as caught:
        check_sound(sound, H264.container)
    assert caught.value.kind is Kind.UNSUPPORTED
    with pytest.raises(OutputError, match="wavpack"):
        copy(source, tmp_path / "film.mp4")
    assert [file.name for file in tmp_path.iterdir()] == ["source.mkv"]


def test_a_sound_that_does_not_fit_is_left_out_beside_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_video(tmp_path / "source.mkv", scene(24), sound=1, sound_codec="wavpack")
    second = write_video(tmp_path / "second.mkv", scene(24), sound=1)
    with (
        av.open(str(source)) as one,
        av.open(str(second)) as other,
        av.open(str(tmp_path / "both.mkv"), "w") as both,
    ):
        streams = {stream: both.add_stream_from_template(stream) for stream in [*one.streams, other.streams.audio[0]]}
        for container in (one, other):
            for packet in container.demux([stream for stream in streams if stream.container is container]):
                if packet.pts is not None:
                    packet.stream = streams[packet.stream]
                    both.mux(packet)
    with caplog.at_level(logging.WARNING):
        copy(tmp_path / "both.mkv", tmp_path / "film.mp4")
    assert "sound (wavpack) does not fit" in caplog.text
    assert sound_packets(tmp_path / "film.mp4") == sound_packets(second)


def test_a_sound_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    source = write_video(tmp_path / "source.mp4", scene(24), sound=1)
    content = source.read_bytes()
    assert content.count(b"mp4a") == content.count(b"esds") == 1  # the codec, and what it needs to know
    source.write_bytes(content.replace(b"mp4a", b"xyz7").replace(b"esds", b"free"))
    with pytest.raises(OutputError, match=r"unknown.*AAC"):
        copy(source, tmp_path / "film.mp4")


def test_the_place_where_a_film_was_made_is_not_copied(tmp_path: Path) -> None:
    source = tmp_path / "source.mov"
    with av.open(str(source), "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata["com.apple.quicktime.location.ISO6709"] = "+48.2+016.3/"
        stream: Any = container.add_stream("libx264", rate=24)
        stream.width = stream.height = 32
        container.mux(stream.encode(av.VideoFrame(32, 32)))
        container.mux(stream.encode(None))
    assert b"+48.2" in source.read_bytes()
    copy(source, tmp_path / "film.mp4")
    assert b"+48.2" not in (tmp_path / "film.mp4").read_bytes()


def test_an_old_film_stays_if_the_new_one_fails(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"old")

    def broken() -> Any:
        yield from pictures(scene(2))
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_film(path, broken(), constant(3))
    with pytest.raises(ValueError, match="zip"):
        write_film(path, pictures(scene(2)), constant(3))
    with pytest.raises(ValueError, match="the first is"):
        write_film(path, pictures([*scene(1), *scene(1, 40, 40)]), constant(2))
    assert [file.name for file in tmp_path.iterdir()] == ["film.mp4"]
    assert path.read_bytes() == b"old"


def test_a_full_disk_gives_one_line(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    noise = np.random.default_rng(0)
    frames = [noise.random((128, 128, 3), np.float32) for _ in range(8)]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*film\.mkv") as caught:
            write_film(tmp_path / "film.mkv", map(Picture, frames), constant(8), LOSSLESS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.kind is Kind.UNWRITABLE
    assert list(tmp_path.iterdir()) == []


def test_the_same_frames_make_the_same_film(tmp_path: Path) -> None:
    for name in ("one.mp4", "two.mp4"):
        write_film(tmp_path / name, pictures(scene(12)), constant(12))
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


@pytest.mark.parametrize("flags", list(itertools.product([False, True], repeat=3)))
def test_a_turn_back_is_the_inverse(flags: tuple[bool, bool, bool]) -> None:
    levels = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    turn = Turn(*flags)
    np.testing.assert_array_equal(turn.stored(turn.upright(levels)), levels)


@pytest.mark.parametrize("codec", [PRORES, LOSSLESS])
def test_a_rotated_film_is_stored_as_its_source(tmp_path: Path, codec: FilmCodec) -> None:
    frames = scene(2)
    source = write_video(
        tmp_path / "source.mov", frames, codec="libx264rgb", pixels="rgb24", options={"qp": "0"}, rotation=-90
    )
    path = tmp_path / f"film{codec.ending}"
    film = copy(source, path, codec)
    assert film.size == (films.WIDTH, films.HEIGHT)
    for read, frame in zip(film.frames(), frames, strict=True):
        assert np.abs(to_uint8(read.rgb).astype(int) - np.rot90(frame, -1)).mean() < 3
    known = facts(path)
    assert (known["size"], known["rotation"]) == ((films.HEIGHT, films.WIDTH), -90)


def test_without_pyav_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(OptionError, match=r"pip install 'nstyle\[film\]'"):
        write_film(tmp_path / "film.mp4", pictures(scene(1)), constant(1))

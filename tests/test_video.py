"""Reading films from video files."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import films
import numpy as np
import pytest
from films import RATE, scene, write_video

from nstyle.errors import ImageError, Kind, OptionError
from nstyle.film import container, video_index
from nstyle.film.video import open_video
from nstyle.pictures.picture import to_uint8

LOSSLESS: dict[str, Any] = {"codec": "ffv1", "pixels": "bgr0"}
"""What makes a video whose frames are read exactly as they were written."""


def levels_of(path: Path, numbers: range | None = None) -> list[Any]:
    return [to_uint8(picture.rgb) for picture in open_video(path).frames(numbers)]


def test_frames_come_in_order_with_their_times(tmp_path: Path) -> None:
    frames = scene(20)
    path = write_video(tmp_path / "film.mkv", frames, **LOSSLESS)
    video = open_video(path)
    assert video.size == (films.HEIGHT, films.WIDTH)
    assert video.bit_depth == 8
    assert video.timing.rate == RATE
    assert len(video.timing.starts) == 20
    np.testing.assert_array_equal(levels_of(path), frames)


def test_times_of_a_constant_rate_are_exact(tmp_path: Path) -> None:
    rate = Fraction(30000, 1001)
    video = open_video(write_video(tmp_path / "film.mp4", scene(10), rate=rate))
    assert video.timing.starts == tuple(number / rate for number in range(10))
    assert video.timing.end == 10 / rate


def test_times_of_a_variable_rate_are_exact(tmp_path: Path) -> None:
    ticks = [0, 3, 4, 20, 21, 60]
    path = write_video(tmp_path / "film.mp4", scene(6), ticks=ticks, time_base=Fraction(1, 600))
    assert open_video(path).timing.starts == tuple(Fraction(tick, 600) for tick in ticks)


@pytest.mark.parametrize("numbers", [range(5, 12), range(0, 30, 7), range(17, 30, 5), range(29, 30), range(4, 4)])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_a_part_of_a_film_is_the_same_as_in_the_whole(tmp_path: Path, ending: str, numbers: range) -> None:
    path = write_video(tmp_path / f"film.{ending}", scene(30), options={"g": "8", "bf": "2"})  # several key frames
    whole = levels_of(path)
    assert len(whole) == 30
    part = levels_of(path, numbers)
    assert len(part) == len(numbers)
    for levels, number in zip(part, numbers, strict=True):
        np.testing.assert_array_equal(levels, whole[number])


def test_a_part_is_decoded_from_the_key_frame_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nstyle.film import video as module

    path = write_video(tmp_path / "film.mp4", scene(40), options={"g": "10", "sc_threshold": "0"})
    video, decoded = open_video(path), []
    original = module._decoded_from

    def counted(*args: Any) -> Any:
        for mark, frame in original(*args):
            decoded.append(mark)
            yield mark, frame

    monkeypatch.setattr(module, "_decoded_from", counted)
    assert len(list(video.frames(range(32, 35)))) == 3
    assert len(decoded) == 5  # from frame 30 on


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_rotated_film_is_read_upright(tmp_path: Path, rotation: int) -> None:
    frames = scene(3)
    upright = [np.rot90(frame, rotation // 90) for frame in frames]
    path = write_video(
        tmp_path / "film.mov", frames, codec="libx264rgb", pixels="rgb24", options={"qp": "0"}, rotation=rotation
    )
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).rotation % 360 == rotation % 360
    assert open_video(path).size == upright[0].shape[:2]
    np.testing.assert_array_equal(levels_of(path), upright)


def test_a_mirrored_film_is_read_upright(tmp_path: Path) -> None:
    frames = scene(2)
    path = write_video(
        tmp_path / "film.mov", frames, codec="libx264rgb", pixels="rgb24", options={"qp": "0"}, flipped=True
    )
    np.testing.assert_array_equal(levels_of(path), [frame[:, ::-1] for frame in frames])


def test_a_film_turned_by_another_angle_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mov", scene(2), rotation=30)
    with pytest.raises(ImageError, match="right angle") as caught:
        open_video(path)
    assert caught.value.kind is Kind.UNSUPPORTED


def write_ycc(path: Path, ycc: tuple[int, int, int], pixels: str = "yuv444p", **attributes: int) -> Path:
    """Write a film of one color, given as stored levels."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 48, 32, pixels
        for name, code in attributes.items():
            setattr(stream.codec_context, name, code)
        frame = av.VideoFrame(48, 32, pixels)
        for plane, level in zip(frame.planes, ycc, strict=True):
            kind = np.uint16 if "10" in pixels else np.uint8
            plane.update(np.full(plane.buffer_size // np.dtype(kind).itemsize, level, kind).tobytes())
        for name, code in attributes.items():
            setattr(frame, name, code)
        frame.pts, frame.time_base = 0, Fraction(1, 24)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def ycc_of(rgb: tuple[float, float, float], red: float, blue: float, *, full: bool = False) -> tuple[int, int, int]:
    """Return the 8-bit levels of a color by H.273, 8.3; `red` and `blue` are its constants K_R and K_B."""
    luma = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    chroma = (rgb[2] - luma) / (2 * (1 - blue)), (rgb[0] - luma) / (2 * (1 - red))
    if full:
        return round(255 * luma), round(128 + 255 * chroma[0]), round(128 + 255 * chroma[1])
    return round(16 + 219 * luma), round(128 + 224 * chroma[0]), round(128 + 224 * chroma[1])


BT601, BT709 = (0.299, 0.114), (0.2126, 0.0722)


@pytest.mark.parametrize("rgb", [(1, 1, 1), (0, 0, 0), (0.8, 0.2, 0.1), (0.1, 0.7, 0.3), (0.2, 0.3, 0.9)])
@pytest.mark.parametrize(
    ("constants", "attributes"),
    [
        (BT709, {"colorspace": 1, "color_range": 1}),
        (BT601, {"colorspace": 5, "color_range": 1}),
        (BT601, {"colorspace": 6, "color_range": 1}),
        (BT601, {}),  # small, and nothing is stated
        (BT709, {"colorspace": 1, "color_range": 2}),
    ],
)
def test_colors_are_right(
    tmp_path: Path, rgb: tuple[float, float, float], constants: tuple[float, float], attributes: dict[str, int]
) -> None:
    ycc = ycc_of(rgb, *constants, full=attributes.get("color_range") == 2)
    path = write_ycc(tmp_path / "film.mkv", ycc, "yuv444p", **attributes)
    (picture,) = open_video(path).frames()
    np.testing.assert_allclose(picture.rgb, np.broadcast_to(rgb, picture.rgb.shape), atol=2 / 255)


def test_a_large_film_that_states_no_matrix_counts_as_bt709(tmp_path: Path) -> None:
    frame = np.empty((32, 1280, 3), np.uint8)
    frame[:] = (200, 50, 30)
    path = write_video(tmp_path / "film.mkv", [frame], codec="ffv1", pixels="yuv444p")
    (picture,) = open_video(path).frames()
    np.testing.assert_allclose(picture.rgb * 255, frame, atol=2)


def test_more_than_8_bits_are_kept(tmp_path: Path) -> None:
    path = write_ycc(tmp_path / "film.mkv", (502, 512, 512), "yuv444p10le", colorspace=1, color_range=1)
    video = open_video(path)
    assert video.bit_depth == 16
    (picture,) = video.frames()
    np.testing.assert_allclose(picture.rgb, (502 - 64) / 876, atol=0.1 / 1023)  # a tenth of a 10-bit level


def test_16_bits_with_alpha_are_exact(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(1, 65536, (32, 48, 4)).astype(np.uint16)
    path = write_video(tmp_path / "film.mkv", [levels], codec="ffv1", pixels="gbrap16le")
    (picture,) = open_video(path).frames()
    np.testing.assert_array_equal(np.rint(picture.rgb * 65535), levels[..., :3])
    assert picture.alpha is not None
    np.testing.assert_array_equal(np.rint(picture.alpha * 65535), levels[..., 3])


def test_grey_is_read_in_its_full_range(tmp_path: Path) -> None:
    levels = np.tile(np.arange(0, 256, 8, dtype=np.uint8)[:, None], (1, 48))
    path = write_video(tmp_path / "film.mkv", [levels], codec="ffv1", pixels="gray")
    np.testing.assert_array_equal(levels_of(path)[0], np.repeat(levels[..., None], 3, axis=2))


def test_display_p3_is_converted(tmp_path: Path) -> None:
    path = write_ycc(tmp_path / "film.mkv", ycc_of((0.5, 0.5, 0.5), *BT709), colorspace=1, color_primaries=12)
    (grey,) = open_video(path).frames()
    path = write_ycc(tmp_path / "red.mkv", ycc_of((0.8, 0.3, 0.3), *BT709), colorspace=1, color_primaries=12)
    (red,) = open_video(path).frames()
    np.testing.assert_allclose(grey.rgb, 0.5, atol=2 / 255)
    assert red.rgb[0, 0, 0] > 0.82  # P3's red is more saturated


@pytest.mark.parametrize("transfer", [16, 18])
def test_high_dynamic_range_is_refused(tmp_path: Path, transfer: int) -> None:
    path = write_ycc(tmp_path / "film.mkv", (500, 512, 512), "yuv444p10le", color_trc=transfer, colorspace=9)
    with pytest.raises(ImageError, match=r"high dynamic range.*SDR") as caught:
        open_video(path)
    assert caught.value.kind is Kind.UNSUPPORTED


def test_pixel_aspect_is_known(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", scene(2), pixel_aspect=Fraction(16, 15))
    video = open_video(path)
    assert video.geometry.pixel_aspect == Fraction(16, 15)
    assert video.size == (films.HEIGHT, films.WIDTH)


def damage(path: Path, number: int) -> None:
    """Overwrite most of the packet of frame `number` with garbage."""
    with av.open(str(path)) as container:
        packets = sorted((packet.pts, packet.pos, packet.size) for packet in container.demux(video=0) if packet.size)
    _, at, size = packets[number]
    assert at is not None
    content = bytearray(path.read_bytes())
    content[at + 8 : at + size] = np.random.default_rng(1).bytes(size - 8)
    path.write_bytes(content)


def test_a_damaged_frame_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    frames = [noise.integers(0, 256, (64, 64, 3)).astype(np.uint8) for _ in range(24)]
    path = write_video(tmp_path / "film.mp4", frames, options={"g": "8", "bf": "0", "sc_threshold": "0"})
    whole = levels_of(path)
    damage(path, 10)
    video = open_video(path)
    read: list[Any] = []
    with pytest.raises(ImageError, match=r"frame 11 \(0.42 s\).*--from") as caught:
        read.extend(video.frames())
    assert caught.value.kind is Kind.DAMAGED
    assert len(read) == 10
    with pytest.raises(ImageError, match="frame"):  # it copies from the damaged one
        next(video.frames(range(12, 14)))
    np.testing.assert_array_equal(levels_of(path, range(16, 24)), whole[16:])  # from the next key frame on
    np.testing.assert_array_equal(levels_of(path, range(10)), whole[:10])
    np.testing.assert_array_equal(levels_of(path, range(0, 24, 16)), whole[::16])  # it is not among them


def test_a_recording_that_begins_between_key_frames_begins_at_the_first(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.ts", scene(30), options={"g": "8", "bf": "2", "sc_threshold": "0"})
    whole = levels_of(path)
    with av.open(str(path)) as container:
        positions = [packet.pos for packet in container.demux(video=0) if packet.size]
    content = path.read_bytes()
    tables, at = content[: 3 * 188], positions[3]
    assert at is not None
    path.write_bytes(tables + content[at:])
    read = levels_of(path)
    assert 15 < len(read) < 27
    np.testing.assert_array_equal(read, whole[-len(read) :])


def test_a_film_without_its_end_has_what_is_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    noise = np.random.default_rng(0)
    frames = [noise.integers(0, 256, (64, 64, 3)).astype(np.uint8) for _ in range(24)]
    path = write_video(tmp_path / "film.mov", frames, codec="mjpeg", pixels="yuvj420p")
    whole = levels_of(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    with caplog.at_level(logging.WARNING):
        read = levels_of(path)
    assert 15 < len(read) < 20
    assert "lacks its end" in caplog.text
    np.testing.assert_array_equal(read, whole[: len(read)])


def test_a_film_whose_last_frame_is_there_in_part_lacks_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "film.mp4", scene(6), options={"bf": "0"})
    with av.open(str(path)) as container:
        *_, last = (packet for packet in container.demux(video=0) if packet.size)
    assert last.pos is not None
    whole = levels_of(path)
    assert caplog.text == ""
    path.write_bytes(path.read_bytes()[: last.pos + last.size // 2])
    read = levels_of(path)
    assert "lacks its end: 5 of its 6 frames are there" in caplog.text
    np.testing.assert_array_equal(read, whole[:5])


@pytest.mark.parametrize(("corrupt", "warned"), [({2}, None), ({4, 5}, "4 of its 6"), ({2, 5}, "5 of its 6")])
def test_what_is_corrupt_in_mid_film_is_not_its_end(
    corrupt: set[int],
    warned: str | None,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_video(tmp_path / "film.mp4", scene(6), options={"bf": "0"})
    names = ("size", "pts", "duration", "is_keyframe", "is_discard")

    def damaged(packets: Iterator[Any]) -> Iterator[Any]:
        for number, packet in enumerate(packets):
            yield SimpleNamespace(**{name: getattr(packet, name) for name in names}, is_corrupt=number in corrupt)

    @contextmanager
    def opened(path: Path) -> Iterator[Any]:
        with container.opened(path) as film:
            packets = damaged(film.demux(video=0))
            yield SimpleNamespace(format=film.format, streams=film.streams, demux=lambda stream: packets)

    monkeypatch.setattr(video_index, "opened", opened)
    assert len(video_index.read_index(path).marks) == 6 - len(corrupt)
    assert ("lacks its end" in caplog.text) == (warned is not None)
    assert warned is None or f"{warned} frames are there" in caplog.text


def test_a_film_that_changes_its_size_is_read_up_to_there(tmp_path: Path) -> None:
    small, large = (write_video(tmp_path / f"{edge}.ts", scene(6, edge, 64)) for edge in (48, 64))
    path = tmp_path / "film.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    video = open_video(path)
    read: list[Any] = []
    with pytest.raises(ImageError, match="changes its size to 64x64 pixels at frame 7"):
        read.extend(video.frames())
    assert len(read) == 6


def test_comb_edges_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        open_video(write_video(tmp_path / "plain.mp4", scene(2)))
        assert caplog.text == ""
        open_video(write_video(tmp_path / "film.mp4", scene(2), options={"x264-params": "tff=1"}))
    assert "deinterlace" in caplog.text


@pytest.mark.parametrize("name", ["film.h264", "film.avi"])
def test_a_film_without_time_stamps_is_read_at_its_rate(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, scene(12), options={"bf": "2"})
    video = open_video(path)
    assert len(video.timing.starts) == len(list(video.frames())) == 12
    gaps = {later - earlier for earlier, later in zip(video.timing.starts, video.timing.starts[1:], strict=False)}
    assert gaps == {1 / video.timing.rate}


@pytest.mark.parametrize("ending", ["avi", "webm", "gif"])
def test_other_containers_are_read(tmp_path: Path, ending: str) -> None:
    codec, pixels = {"avi": ("mpeg4", "yuv420p"), "webm": ("libvpx-vp9", "yuv420p"), "gif": ("gif", "rgb8")}[ending]
    path = write_video(tmp_path / f"film.{ending}", scene(6), codec=codec, pixels=pixels, rate=Fraction(25))
    assert len(levels_of(path)) == 6


def test_names_that_no_text_holds_are_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", scene(2))
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xff:ilm.mp4"))
    path.rename(strange)
    assert len(levels_of(strange)) == 2


def test_a_title_in_another_encoding_spoils_no_film(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", scene(2), sound=0.1)
    content = path.read_bytes()
    assert b"SoundHandler" in content
    path.write_bytes(
        content.replace(b"SoundHandler", "Lärm-Händler".encode("latin-1")).replace(b"Lavf", b"\xe4\xf6\xfc!")
    )
    assert len(levels_of(path)) == 2


def test_what_is_no_film_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as missing:
        open_video(tmp_path / "none.mp4")
    assert missing.value.kind is Kind.MISSING
    for name, content in {"empty.mp4": b"", "text.mp4": b"no film" * 100}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError, match="not a video") as caught:
            open_video(tmp_path / name)
        assert "\n" not in str(caught.value)
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(ImageError, match="not a file"):
        open_video(tmp_path / "pipe.mp4")


def test_a_playlist_reads_no_other_file(tmp_path: Path) -> None:
    write_video(tmp_path / "film.ts", scene(4))
    playlist = tmp_path / "film.m3u8"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfilm.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(ImageError, match="not a video"):
        open_video(playlist)


def test_sound_alone_is_no_film(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        films._play(container, container.add_stream("aac", rate=48000), 0.2)
    with pytest.raises(ImageError, match="no stream of pictures"):
        open_video(path)


def test_a_tiny_film_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mkv", scene(2, 16, 14), **LOSSLESS)
    with pytest.raises(ImageError, match="14x16"):
        open_video(path)


def test_without_pyav_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "film.mp4").write_bytes(b"")
    with pytest.raises(OptionError, match=r"pip install 'nstyle\[film\]'") as caught:
        open_video(tmp_path / "film.mp4")
    assert caught.value.kind is Kind.MISSING


def test_the_module_imports_no_pyav() -> None:
    code = "import sys, nstyle.film.video; sys.exit('av' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

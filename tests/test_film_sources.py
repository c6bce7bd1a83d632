"""Films as folders of frames, the choice of the source, and the choice of frames."""

import os
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import RATE, scene, write_video
from PIL import Image

from nstyle.errors import ImageError, Kind, OptionError
from nstyle.film.frames import FRAME_RATE, FrameFiles, open_frames
from nstyle.film.lookup import FrameLookup
from nstyle.film.opening import open_source
from nstyle.film.source import Source, cut, sound_of
from nstyle.film.span import numbers_of, rate_of
from nstyle.film.video import Video
from nstyle.film.writing import LOSSLESS, write_film
from nstyle.pictures.encode import write_picture
from nstyle.pictures.picture import Picture, to_uint8
from nstyle.storage.layout import frame_name


def write_frames(folder: Path, frames: list[Any], name: str = "f{}.png") -> Path:
    folder.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / name.format(number + 1))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_frames(tmp_path / "shot", scene(12))


def levels_of(source: Source, numbers: range | None = None) -> list[Any]:
    return [to_uint8(picture.rgb) for picture in source.frames(numbers)]


def test_a_folder_is_a_film_in_natural_order(folder: Path) -> None:
    (folder / "notes.txt").write_text("no frame")
    source = open_source(folder)
    assert isinstance(source, FrameFiles)
    assert source.path == folder
    assert [path.name for path in source.paths] == [f"f{number}.png" for number in range(1, 13)]
    assert source.size == (32, 48)
    assert source.bit_depth == 8
    np.testing.assert_array_equal(levels_of(source), scene(12))
    np.testing.assert_array_equal(levels_of(source, range(1, 12, 4)), scene(12)[1::4])


def test_a_pattern_is_a_film(folder: Path) -> None:
    source = open_source(f"{folder}/f1?.png")
    np.testing.assert_array_equal(levels_of(source), scene(12)[9:])


def test_pictures_have_a_constant_rate(folder: Path) -> None:
    assert FRAME_RATE == 24
    timing = open_source(folder, Fraction(30000, 1001)).timing
    assert timing.rate == Fraction(30000, 1001)
    assert timing.starts == tuple(number * Fraction(1001, 30000) for number in range(12))
    assert timing.end == 12 * Fraction(1001, 30000)


def test_a_film_is_made_of_a_folder(folder: Path, tmp_path: Path) -> None:
    source, numbers = open_source(folder), range(0, 12, 2)
    write_film(tmp_path / "film.mkv", source.frames(numbers), cut(source, numbers), LOSSLESS)
    assert sound_of(source, numbers) is None
    film = open_source(tmp_path / "film.mkv")
    assert isinstance(film, Video)
    assert film.timing.rate == 12
    np.testing.assert_array_equal(levels_of(film), scene(12)[::2])


def test_16_bits_and_alpha_of_frames_are_kept(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(1, 65536, (2, 32, 48, 4)) / 65535
    for number, frame in enumerate(levels.astype(np.float32)):
        path = tmp_path / "frames" / frame_name(number + 1)
        path.parent.mkdir(exist_ok=True)
        write_picture(path, Picture(frame[..., :3], frame[..., 3]), bit_depth=16)
    assert [path.name for path in sorted((tmp_path / "frames").iterdir())] == ["000001.png", "000002.png"]
    source = open_source(tmp_path / "frames")
    assert source.bit_depth == 16
    for picture, frame in zip(source.frames(), levels, strict=True):
        assert picture.alpha is not None
        np.testing.assert_allclose(picture.rgb, frame[..., :3], atol=1e-6)
        np.testing.assert_allclose(picture.alpha, frame[..., 3], atol=1e-6)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_a_frame_of_another_size_is_refused_before_painting(tmp_path: Path, ending: str) -> None:
    folder = write_frames(tmp_path / "shot", scene(3), f"f{{}}.{ending}")
    Image.new("RGB", (40, 32)).save(folder / f"f2.{ending}")
    with pytest.raises(ImageError, match=rf"f2.{ending} has 40x32 pixels, but f1.{ending} has 48x32") as caught:
        open_source(folder)
    assert caught.value.path == folder / f"f2.{ending}"


def test_a_frame_that_is_on_its_side_is_refused_in_its_turn(folder: Path) -> None:
    Image.new("RGB", (32, 48)).save(folder / "f2.png")
    source = open_source(folder)
    with pytest.raises(ImageError, match=r"f2.png has 32x48 pixels, but f1.png has 48x32"):
        list(source.frames())


def test_a_damaged_frame_is_refused(folder: Path) -> None:
    content = (folder / "f5.png").read_bytes()
    (folder / "f5.png").write_bytes(content[: len(content) // 2])
    source = open_source(folder)
    read: list[Picture] = []
    with pytest.raises(ImageError, match=r"f5\.png"):
        read.extend(source.frames())
    assert len(read) == 4
    (folder / "f5.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"f5\.png is empty"):
        open_source(folder)


def test_only_one_frame_is_in_memory(folder: Path) -> None:
    frames: Iterator[Picture] = open_source(folder).frames()
    next(frames)
    shutil.rmtree(folder)
    with pytest.raises(ImageError):
        next(frames)


def test_a_gif_is_a_film(tmp_path: Path) -> None:
    stills = [Image.fromarray(frame) for frame in scene(4)]
    stills[0].save(tmp_path / "film.gif", save_all=True, append_images=stills[1:], duration=100)
    source = open_source(tmp_path / "film.gif")
    assert isinstance(source, Video)
    assert len(source.timing.starts) == 4


def test_what_is_no_film_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"single picture.*--content-image"):
        open_source(folder / "f1.png")
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ImageError, match=r"a\.mp4, b\.mp4.*one video"):
        open_source(f"{tmp_path}/*.mp4")
    with pytest.raises(ImageError, match="does not exist"):
        open_source(tmp_path / "none.mp4")
    with pytest.raises(OptionError) as caught:
        open_source("https://example.org/film.mp4")
    assert caught.value.flag == "--film"
    os.mkdir(tmp_path / "empty")
    with pytest.raises(ImageError, match="no pictures"):
        open_source(tmp_path / "empty")


@pytest.mark.parametrize(
    ("begin", "end", "every", "numbers"),
    [
        (None, None, 1, range(12)),
        ("0.25", None, 1, range(6, 12)),
        ("0.25s", "0.5", 1, range(6, 12)),
        (".1", "0:0:0.4", 1, range(3, 10)),
        ("0:00.1", "5", 1, range(3, 12)),
        ("3f", "7f", 1, range(2, 7)),
        ("3f", "0.25", 1, range(2, 6)),
        (None, "1f", 1, range(1)),
        (None, "99f", 5, range(0, 12, 5)),
    ],
)
def test_moments_choose_frames(folder: Path, begin: str | None, end: str | None, every: int, numbers: range) -> None:
    assert numbers_of(open_source(folder), begin, end, every) == numbers


def test_times_count_from_the_first_frame(tmp_path: Path) -> None:
    source = open_source(write_video(tmp_path / "film.ts", scene(24)))
    assert source.timing.starts[0] > 0
    assert numbers_of(source, "0.5", "0.75") == range(12, 18)


@pytest.mark.parametrize(
    ("begin", "end", "every", "flag", "kind"),
    [
        ("x", None, 1, "--from", Kind.UNSUPPORTED),
        ("-1", None, 1, "--from", Kind.UNSUPPORTED),
        (None, "1:2:3:4", 1, "--to", Kind.UNSUPPORTED),
        ("9" * 5000, None, 1, "--from", Kind.UNSUPPORTED),
        (None, "9" * 5000 + "f", 1, "--to", Kind.UNSUPPORTED),
        ("9" * 5000 + ":1", None, 1, "--from", Kind.UNSUPPORTED),
        ("0f", None, 1, "--from", Kind.OUT_OF_RANGE),
        ("13f", None, 1, "--from", Kind.OUT_OF_RANGE),
        ("0.5", None, 1, "--from", Kind.OUT_OF_RANGE),
        ("0.3", "0.2", 1, "--to", Kind.CONFLICT),
        (None, "0", 1, "--to", Kind.CONFLICT),
        (None, None, 0, "--every", Kind.OUT_OF_RANGE),
    ],
)
def test_wrong_moments_are_refused(
    folder: Path, begin: str | None, end: str | None, every: int, flag: str, kind: Kind
) -> None:
    with pytest.raises(OptionError) as caught:
        numbers_of(open_source(folder), begin, end, every)
    assert (caught.value.flag, caught.value.kind) == (flag, kind)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("24", Fraction(24)),
        ("12.5", Fraction(25, 2)),
        ("30000/1001", Fraction(30000, 1001)),
        ("23.976", Fraction(24000, 1001)),
        ("23.98", Fraction(24000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        ("59.94", Fraction(60000, 1001)),
        ("1/2", Fraction(1, 2)),
        ("16.6666666667", Fraction(50, 3)),
        ("24.000000001", Fraction(24)),
        ("0.001", Fraction(1, 1000)),
    ],
)
def test_frame_rates(text: str, rate: Fraction) -> None:
    assert rate_of(text) == rate


@pytest.mark.parametrize(
    "text", ["0", "x", "-24", "1/0", "1/00", "0.00001", "1001", "24fps", "", "nan", "9" * 5000, "1/" + "9" * 5000]
)
def test_what_is_no_frame_rate_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="30000/1001") as caught:
        rate_of(text)
    assert caught.value.flag == "--frame-rate"


def test_both_kinds_of_film_are_sources(folder: Path, tmp_path: Path) -> None:
    video: Source = open_source(write_video(tmp_path / "film.mkv", scene(12), codec="ffv1", pixels="bgr0"))
    files: Source = open_frames(sorted(folder.iterdir(), key=lambda path: int(path.stem[1:])), RATE)
    np.testing.assert_array_equal(levels_of(video), levels_of(files))
    assert video.timing.rate == files.timing.rate


class Counted:
    """A source that counts how often reading begins."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.readings = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def frames(self, numbers: range | None = None) -> Iterator[Picture]:
        self.readings += 1
        return self.source.frames(numbers)


@pytest.mark.parametrize(
    ("asked", "readings"),
    [
        ([0, 1, 2, 3, 4, 5], 1),  # up
        ([5, 4, 3, 2, 1, 0], 3),  # down
        ([0, 1, 0, 2, 1, 3, 2], 1),  # with looks back
        ([0, 2, 4, 3], 1),  # near enough to read on
        ([3, 3, 3], 1),
        ([5, 0, 3, 0], 3),  # 3 comes soon enough after 0
    ],
)
def test_frames_are_looked_up_in_any_order(folder: Path, asked: list[int], readings: int) -> None:
    source = Counted(open_source(folder))
    lookup = FrameLookup(source, range(1, 12, 2), kept=3)
    for number in asked:
        np.testing.assert_array_equal(to_uint8(lookup(number).rgb), scene(12)[1 + 2 * number])
        assert len(lookup._kept) <= 3
    assert source.readings == readings


def test_a_lookup_goes_on_after_a_damaged_frame(folder: Path) -> None:
    content = (folder / "f5.png").read_bytes()
    (folder / "f5.png").write_bytes(content[: len(content) // 2])
    lookup = FrameLookup(open_source(folder), range(12), kept=3)
    lookup(3)
    for _ in range(2):
        with pytest.raises(ImageError, match=r"f5\.png"):
            lookup(4)
    np.testing.assert_array_equal(to_uint8(lookup(5).rgb), scene(12)[5])
    (folder / "f5.png").write_bytes(content)
    np.testing.assert_array_equal(to_uint8(lookup(4).rgb), scene(12)[4])

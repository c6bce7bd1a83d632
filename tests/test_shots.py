"""Cuts of films."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import write_video
from skimage import data

from nstyle.errors import ImageError, Kind, OptionError
from nstyle.film.shots import find_cuts, shots_of
from nstyle.film.video import open_video
from nstyle.pictures.picture import Rgb, resize


def pan(picture: Any, count: int, step: int = 2) -> list[Rgb]:
    """Return frames of 64 x 96 pixels that move over a photo."""
    small = resize(picture.astype(np.float32) / np.float32(255), 120, 320)
    return [small[20:84, step * number % 224 :][:, :96] for number in range(count)]


CAT, COFFEE, SPACE = data.chelsea(), data.coffee(), data.astronaut()


@pytest.mark.parametrize("first", [1, 2, 3, 10])
def test_cuts_are_found(first: int) -> None:
    frames = pan(CAT, first) + pan(COFFEE, 6) + pan(SPACE, 12)
    assert find_cuts(frames) == [first, first + 6]


def test_a_cut_before_the_last_frame_is_found() -> None:
    assert find_cuts(pan(CAT, 9) + pan(COFFEE, 1)) == [9]


@pytest.mark.parametrize("step", [0, 1, 4, 16])
def test_motion_is_no_cut(step: int) -> None:
    assert find_cuts(pan(CAT, 14, step)) == []


def test_a_dissolve_is_no_cut() -> None:
    mixed = [(1 - share) * CAT[:300, :400] + share * COFFEE[:300, :400] for share in np.linspace(0, 1, 12)]
    assert find_cuts([resize((frame / 255).astype(np.float32), 64, 96) for frame in mixed]) == []


def test_a_flash_is_one_cut() -> None:
    frames = pan(CAT, 20)
    frames[10] = np.ones_like(frames[10])
    assert find_cuts(frames) == [10]


def test_dark_and_grey_films_have_cuts() -> None:
    frames = pan(CAT, 8) + pan(COFFEE, 8)
    assert find_cuts([frame.mean(2, keepdims=True).repeat(3, 2) for frame in frames]) == [8]
    assert find_cuts([frame * np.float32(0.4) for frame in frames]) == [8]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_short_films_have_no_cuts(count: int) -> None:
    assert find_cuts(pan(CAT, count)) == []


@pytest.fixture
def film(tmp_path: Path) -> Path:
    frames = pan(CAT, 10) + pan(COFFEE, 10) + pan(SPACE, 10)
    return write_video(tmp_path / "film.mp4", [np.rint(frame * 255).astype(np.uint8) for frame in frames])


@pytest.mark.parametrize(
    ("numbers", "shots"),
    [
        (range(30), [range(10), range(10, 20), range(20, 30)]),
        (range(4, 16), [range(6), range(6, 12)]),
        (range(0, 30, 4), [range(3), range(3, 5), range(5, 8)]),
        (range(0, 30, 25), [range(1), range(1, 2)]),
        (range(12, 18), [range(6)]),
    ],
)
def test_shots_are_parts_of_the_film(film: Path, numbers: range, shots: list[range]) -> None:
    seen: list[int] = []
    found = shots_of(open_video(film), numbers, on_frame=seen.append)
    assert found == shots
    assert seen == list(range(numbers.start, numbers.stop))


def test_a_damaged_frame_is_found_before_painting(film: Path) -> None:
    content = bytearray(film.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = bytes(4000)
    film.write_bytes(content)
    video = open_video(film)
    with pytest.raises(ImageError) as caught:
        shots_of(video, range(30))
    assert caught.value.kind is Kind.DAMAGED


def test_without_scenedetect_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scenedetect", None)
    with pytest.raises(OptionError, match=r"pip install 'nstyle\[film\]'.*--no-cuts") as caught:
        find_cuts(pan(CAT, 2))
    assert caught.value.kind is Kind.MISSING
